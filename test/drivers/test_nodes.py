"""hand_node and xarm_node against stand-ins of the vendors' nodes: real publishers and services that behave as they do."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import rclpy
import yaml
from graph_support import domain, wait_for
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from standins.hands import AllegroStandIn, LeapStandIn
from standins.xarm import XArmStandIn
from std_msgs.msg import String
from std_srvs.srv import Trigger
from support import CONFIG
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from deft_core.config import find, load
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError
from deft_core.ros import names, qos
from deft_core.ros.executor import PoolExecutor
from deft_core.ros.node import call
from deft_drivers.hand_node import HandNode
from deft_drivers.xarm_node import XArmNode

pytestmark = pytest.mark.graph


class Listener(Node):
    """What deft_motion would hear and say."""

    def __init__(self):
        super().__init__("listener")
        self.states: list[JointState] = []
        self.faults: list[str] = []
        self.create_subscription(JointState, "/joint_states", self.states.append, qos.SENSOR)
        for topic in (names.HAND_FAULT, names.ROBOT_FAULT):
            self.create_subscription(String, topic, lambda m: self.faults.append(m.data), qos.LATCHED)
        self.command = self.create_publisher(JointTrajectory, "/allegro_hand_controller/joint_trajectory", qos.COMMAND)
        self.recover_hand = self.create_client(Trigger, names.RECOVER_HAND)
        self.recover_robot = self.create_client(Trigger, names.RECOVER_ROBOT)

    def of(self, hand: HandConfig) -> np.ndarray | None:
        """The hand's latest state by our names."""
        for message in reversed(self.states[-50:]):
            if set(hand.joint_names) <= set(message.name):
                assert message.header.stamp.sec > 0, "a state without a stamp"
                return np.array([dict(zip(message.name, message.position, strict=True))[n] for n in hand.joint_names])
        return None

    def send(self, hand: HandConfig, goal: np.ndarray, seconds: float = 0.3) -> None:
        point = JointTrajectoryPoint(positions=goal.tolist())
        point.time_from_start.nanosec = int(seconds * 1e9)
        self.command.publish(JointTrajectory(joint_names=list(hand.joint_names), points=[point]))


@contextmanager
def running(number: int, *make):
    """Nodes that turn, and the listener."""
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(number), "LOCALHOST"
    rclpy.init()
    nodes, executors, threads = [], [], []
    try:
        for one in (Listener, *make):
            nodes.append(one())
            executors.append(PoolExecutor(3) if isinstance(nodes[-1], HandNode | XArmNode) else SingleThreadedExecutor())
            executors[-1].add_node(nodes[-1])
            threads.append(threading.Thread(target=executors[-1].spin, daemon=True))
            threads[-1].start()
        yield nodes
    finally:
        for executor, thread in zip(executors, threads, strict=True):
            executor.shutdown(timeout_sec=2)
            thread.join(timeout=2)
        for node in reversed(nodes):
            node.destroy_node()
        rclpy.try_shutdown()


def hand_node(hand: str, folder=CONFIG):
    return lambda: HandNode(parameter_overrides=[Parameter("hand", value=hand), Parameter("config_dir", value=str(folder))])


def test_leap_is_asked_clipped_and_told_in_its_own_numbers():
    hand = load(HandConfig, find(CONFIG, "hands", "leap_right"))
    with running(14, LeapStandIn, hand_node("leap_right")) as (listener, leap, _):
        wait_for(lambda: listener.of(hand) is not None, 20, "a state")
        np.testing.assert_allclose(listener.of(hand), 0, atol=1e-4)
        goal = np.array(hand.upper) + 1.0  # beyond every limit; the driver would push the motors there
        wait_for(lambda: listener.command.get_subscription_count(), 10)
        listener.send(hand, goal)
        wait_for(lambda: listener.of(hand) is not None and np.abs(listener.of(hand) - hand.upper).max() < 1e-3, 20, "the hand")
        angles = np.array(leap.commands) - 3.14159
        assert (angles <= np.array(hand.upper) + 1e-9).all() and (angles >= np.array(hand.lower) - 1e-9).all()
        assert np.abs(np.diff(angles, axis=0)).max() <= hand.velocity_limit * 0.1 + 1e-6  # never at once


def test_allegro_is_told_step_by_step_and_heard_by_name(tmp_path):
    hand = load(HandConfig, find(CONFIG, "hands", "allegro_right"))
    with running(15, AllegroStandIn, hand_node("allegro_right")) as (listener, allegro, _):
        wait_for(lambda: listener.of(hand) is not None and listener.command.get_subscription_count(), 20, "a state")
        assert not allegro.commands  # nothing is sent before something is asked for
        goal = np.array(hand.open_pose) + 0.1
        listener.send(hand, goal)
        wait_for(lambda: np.abs(listener.of(hand) - goal).max() < 1e-3, 20, "the hand")
        np.testing.assert_allclose(allegro.commands[-1][:4], goal[12:], atol=1e-9)
        np.testing.assert_allclose(allegro.commands[-1][4:], goal[:12], atol=1e-9)


def test_a_lost_and_an_overloaded_hand_are_told_and_take_no_commands_until_recovered(tmp_path):
    hand = load(HandConfig, find(CONFIG, "hands", "allegro_right"))
    (tmp_path / "hands").mkdir()
    (tmp_path / "robots").symlink_to(CONFIG / "robots")
    data = yaml.safe_load(find(CONFIG, "hands", "allegro_right").read_text())
    data["interface"]["overload"] = {"effort": 0.6, "seconds": 0.2, "then": "open"}
    (tmp_path / "hands" / "allegro_right.yaml").write_text(yaml.safe_dump(data))
    with running(16, AllegroStandIn, hand_node("allegro_right", tmp_path)) as (listener, allegro, _):
        wait_for(lambda: listener.of(hand) is not None and listener.command.get_subscription_count(), 20, "a state")
        closed = np.array(hand.upper) - 0.2
        listener.send(hand, closed)
        wait_for(lambda: np.abs(listener.of(hand) - closed).max() < 1e-3, 20, "the hand")
        allegro.efforts[3] = -0.7
        wait_for(lambda: listener.faults and "joint ah_joint03 has pushed with 0.70" in listener.faults[-1], 10, "the fault")
        wait_for(lambda: np.abs(listener.of(hand) - hand.open_pose).max() < 1e-3, 20, "the hand to open")
        listener.send(hand, closed)
        allegro.efforts[3] = 0.0
        wait_for(lambda: call(listener.recover_hand, Trigger.Request(), 10).success, 10)
        wait_for(lambda: listener.faults[-1] == "", 10, "the fault's end")
        assert np.abs(listener.of(hand) - hand.open_pose).max() < 1e-3  # what was sent meanwhile was dropped
        allegro.silent = True
        wait_for(lambda: "hand lost" in listener.faults[-1], 10, "the loss")
        answer = call(listener.recover_hand, Trigger.Request(), 10)
        assert not answer.success and "start it first" in answer.message
        allegro.silent = False
        wait_for(lambda: call(listener.recover_hand, Trigger.Request(), 10).success, 10)


def test_a_hand_without_a_state_is_what_it_was_told(tmp_path):
    (tmp_path / "hands").mkdir()
    (tmp_path / "robots").symlink_to(CONFIG / "robots")
    data = yaml.safe_load(find(CONFIG, "hands", "leap_right").read_text())
    data["interface"]["state"] = {"source": "none"}
    (tmp_path / "hands" / "leap_right.yaml").write_text(yaml.safe_dump(data))
    hand = load(HandConfig, find(tmp_path, "hands", "leap_right"))
    with running(17, LeapStandIn, hand_node("leap_right", tmp_path)) as (listener, leap, _):
        wait_for(lambda: listener.of(hand) is not None and listener.command.get_subscription_count(), 20, "a state")
        np.testing.assert_allclose(listener.of(hand), hand.open_pose)
        listener.send(hand, np.array(hand.open_pose) + 0.2)
        wait_for(lambda: np.abs(listener.of(hand) - hand.open_pose - 0.2).max() < 1e-3, 20, "the hand")
        np.testing.assert_allclose(leap.at - 3.14159, np.array(hand.open_pose) + 0.2, atol=1e-6)


def test_a_hand_whose_driver_takes_trajectories_needs_no_node():
    with pytest.raises(ConfigError, match="needs no hand_node"), running(18, hand_node("dash_right")):
        pytest.fail("it started")


def test_an_xarm_s_faults_are_told_and_recovered_in_order():
    with running(19, XArmStandIn, XArmNode) as (listener, arm, _):
        wait_for(lambda: listener.faults and not any(listener.faults), 10, "the first word")
        for change, words in (({"err": 31, "state": 4}, "collision current"), ({"err": 1}, "emergency stop"),
                              ({"state": 3}, "paused"), ({"mode": 0}, "needs mode 1"), ({"err": 999}, "error 999")):
            arm.say(**change)
            arm.arm_at += 0.1  # it came to rest behind where its controller was told to hold, or somebody moved it
            wait_for(lambda words=words: words in listener.faults[-1], 10, words)
            answer = call(listener.recover_robot, Trigger.Request(), 20)
            assert answer.success, answer.message
            controller = ["xarm7_traj_controller"]
            assert arm.calls == [("clean_error", None), ("clean_warn", None), ("motion_enable", (8, 1)), ("set_mode", 1),
                                 ("deactivate", controller), ("activate", controller), ("set_state", 0)]
            assert not arm.jumped
            arm.calls.clear()
            wait_for(lambda: listener.faults[-1] == "", 10, "the fault's end")
        arm.refuses = "motion_enable"
        arm.say(err=22)
        wait_for(lambda: "collide with itself" in listener.faults[-1], 10)
        answer = call(listener.recover_robot, Trigger.Request(), 20)
        assert not answer.success and "refused motion_enable (7)" in answer.message
        arm.silent = True
        wait_for(lambda: "driver has fallen silent" in listener.faults[-1], 10, "the silence")


def test_an_arm_that_is_not_ready_yet_while_its_driver_starts_is_no_fault():
    with running(19, XArmStandIn, XArmNode) as (listener, arm, _):
        arm.say(mode=0, state=4)
        listener.faults.clear()
        time.sleep(1.5)
        assert not any(listener.faults) or listener.faults[-1] == ""


def test_leap_s_driver_may_die_and_come_back_and_the_hand_does_not_jump():
    """A question that was never answered must not be the last one, and no old posture may wait for the hand."""
    hand = load(HandConfig, find(CONFIG, "hands", "leap_right"))
    with running(25, LeapStandIn, hand_node("leap_right")) as (listener, leap, _):
        wait_for(lambda: listener.of(hand) is not None and listener.command.get_subscription_count(), 20, "a state")
        closed = np.array(hand.upper) - 0.3
        listener.send(hand, closed)
        wait_for(lambda: np.abs(listener.of(hand) - closed).max() < 1e-3, 20, "the hand")
        leap.dumb = True
        wait_for(lambda: listener.faults and "hand lost" in listener.faults[-1], 10, "the loss")
        leap.dumb = False
        time.sleep(0.5)  # what had been sent before the loss has been taken
        leap.commands.clear()
        leap.at = np.full(16, 3.14159)  # at its start the driver opens the hand
        wait_for(lambda: call(listener.recover_hand, Trigger.Request(), 10).success, 20, "the recovery")
        time.sleep(0.5)
        assert not leap.commands, "an old posture was sent to a hand that has come back"
        listener.send(hand, np.array(hand.open_pose))
        wait_for(lambda: np.abs(listener.of(hand) - hand.open_pose).max() < 1e-3, 20, "the hand")
        steps = np.abs(np.diff(np.array([np.full(16, 3.14159), *leap.commands]), axis=0))
        assert steps.max() <= hand.velocity_limit * 0.1 + 1e-6
