"""The gated robot over topics: joint states that cannot be used, and a hand that has fallen silent."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import rclpy
from graph_support import domain, wait_for
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from deft_core.errors import DeftError
from deft_core.ros import qos
from deft_core.ros.spun_node import SpunNode
from deft_motion import codes
from deft_motion.gate import SafetyGate
from deft_motion.kinematics import ArmHandModel
from deft_motion.robot_port import GatedRobot

pytestmark = pytest.mark.graph


@pytest.fixture
def rig(robot, hand):
    """A port, who publishes states, and what was commanded."""
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(24), "LOCALHOST"
    rclpy.init()
    commands: dict[str, list[JointTrajectory]] = {"arm": [], "hand": []}
    with SpunNode("driver") as driver:
        states = driver.create_publisher(JointState, "/joint_states", qos.JOINT_STATE_PUBLISHER)
        driver.create_subscription(JointTrajectory, robot.arm_command_topic, commands["arm"].append, qos.COMMAND)
        driver.create_subscription(JointTrajectory, robot.hand_command_topic, commands["hand"].append, qos.COMMAND)
        node = Node("motion")
        port = GatedRobot(node, robot, hand, SafetyGate(robot, hand, ArmHandModel(robot, hand)))
        wait_for(lambda: states.get_subscription_count() and node.count_subscribers(robot.arm_command_topic), 20)

        def tell(names, positions, stamped=True) -> None:
            message = JointState(name=list(names), position=np.asarray(positions, float).tolist())
            if stamped:
                message.header.stamp = driver.get_clock().now().to_msg()
            states.publish(message)

        yield port, tell, commands
        port.close()
        node.destroy_node()
    rclpy.try_shutdown()


def test_joint_states_without_stamps_are_refused_by_name(rig, robot, hand):
    port, tell, _ = rig
    tell(robot.joint_names, robot.park)
    tell(hand.joint_names, hand.open_pose, stamped=False)
    wait_for(lambda: port._unstamped, 10)
    with pytest.raises(DeftError, match=r"joint states of joint_0\.0, .* carry no stamps") as caught:
        port.state()
    assert caught.value.code == codes.STALE_STATE
    tell(hand.joint_names, hand.open_pose)

    def fresh() -> bool:
        tell(robot.joint_names, robot.park)
        tell(hand.joint_names, hand.open_pose)
        latest = port.latest()
        return latest is not None and latest.age < 0.2

    wait_for(fresh, 10)
    np.testing.assert_allclose(port.state().hand, hand.open_pose)


def test_a_message_with_more_names_than_positions_is_dropped_whole(rig, robot):
    port, tell, _ = rig
    tell((*robot.joint_names, "extra"), robot.park)
    time.sleep(0.3)
    assert port.latest() is None


def test_the_arm_holds_although_the_hand_has_fallen_silent(rig, robot, hand):
    port, tell, commands = rig
    tell(hand.joint_names, hand.open_pose)
    wait_for(lambda: port.latest() is None and len(port._positions) == len(hand.joint_names), 10)
    time.sleep(0.7)
    tell(robot.joint_names, np.array(robot.park) + 0.01)
    wait_for(lambda: port.latest() is not None, 10)
    with pytest.raises(DeftError) as caught:
        port.hold()
    assert caught.value.code == codes.STALE_STATE
    wait_for(lambda: commands["arm"], 10, "the arm's hold")
    np.testing.assert_allclose(commands["arm"][-1].points[-1].positions, np.array(robot.park) + 0.01)
    assert not commands["hand"]
