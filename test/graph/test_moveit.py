"""A session planned by move_group and moved through a FollowJointTrajectory action: stand-ins around the simulated robot."""

from __future__ import annotations

import json
import shutil
import threading
import time

import numpy as np
import pytest
import yaml
from deft_msgs.srv import Rearm, Stop
from graph_support import ABORTED, SUCCEEDED, graph_with, wait_for
from standins.controller import ControllerStandIn
from standins.move_group import MoveGroupStandIn
from support import CONFIG
from trajectory_msgs.msg import JointTrajectory

from deft_cem.journal import peek
from deft_core.config import find, load
from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.ros import names, qos
from deft_core.ros.executor import PoolExecutor
from deft_motion.kinematics import ArmHandModel
from deft_motion.planner import OmplPlanner

pytestmark = pytest.mark.graph
ACTION = "/xarm7_traj_controller/follow_joint_trajectory"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The shipped configuration, but that the simulated arm has MoveIt and an action."""
    out = tmp_path_factory.mktemp("config") / "config"
    shutil.copytree(CONFIG, out)
    file = out / "robots" / "xarm7_sim.yaml"
    data = yaml.safe_load(file.read_text()) | {"moveit": {"group": "xarm7", "link": "link7"},
                                               "arm_interface": {"type": "action", "action": ACTION}}
    file.write_text(yaml.safe_dump(data))
    return out


@pytest.fixture(scope="module")
def cell(folder):
    """The graph, with a move_group that plans by OMPL and a controller that passes on what it is sent."""
    robot = load(RobotConfig, find(folder, "robots", "xarm7_sim"))
    hand = load(HandConfig, find(folder, "hands", "allegro_right"))
    planning, model = ArmHandModel(robot, hand), ArmHandModel(robot, hand)
    ompl = OmplPlanner(planning)
    with graph_with(26, config_dir=folder, overrides={"deft_motion": {"planner": "move_group"}}) as tester:
        moveit = MoveGroupStandIn(model, lambda start, goal: ompl.plan(start, goal, np.array(hand.open_pose), 0))
        topic = moveit.create_publisher(JointTrajectory, robot.arm_command_topic, qos.COMMAND)
        controller = ControllerStandIn(ACTION, topic.publish)
        executor = PoolExecutor(6)
        executor.add_node(moveit)
        executor.add_node(controller)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        yield tester, moveit, controller
        executor.shutdown(timeout_sec=2)
        thread.join(timeout=2)
        for node in (moveit, controller):
            node.action.destroy()
            node.destroy_node()


def test_a_session_runs_through_moveit_and_the_action(cell, tmp_path):
    tester, moveit, controller = cell
    seen = set()
    handle = tester.send(tmp_path / "s", episodes=2)
    result = handle.get_result_async()

    def done() -> bool:
        seen.update(moveit.objects, moveit.held)
        return result.done()

    wait_for(done, 240, "the session")
    assert result.result().status == SUCCEEDED and result.result().result.scored == 2
    assert not moveit.mistakes and not moveit.lost and not moveit.held
    assert {"deft_table", "deft_object", "deft_surroundings"} <= seen
    assert controller.goals > 20  # windows, each of which takes over from the one before
    summary = json.loads((tmp_path / "s" / "summary.json").read_text())
    assert [e["status"] for e in summary["episodes"]] == ["scored", "scored"]


def test_a_controller_that_gives_up_ends_the_attempt_with_its_reason(cell, tmp_path):
    tester, _, controller = cell
    handle = tester.send(tmp_path / "s", episodes=1)
    wait_for(lambda: tester.state() == "executing", 60)
    started = controller.goals
    wait_for(lambda: controller.goals > started + 2, 30, "the arm to move")
    controller.fails = -4
    path = tmp_path / "s" / "journal.jsonl"
    wait_for(lambda: [r for r in peek(path) if r.kind == "retry"], 60, "the attempt's end")
    controller.fails = 0
    retry = next(r.data for r in peek(path) if r.kind == "retry")
    assert retry["status"] == "aborted" and "left its path" in retry["reason"], retry
    assert tester.result(handle)[1].scored == 1


def test_a_stop_holds_the_arm_without_a_cancel(cell, tmp_path):
    tester, _, controller = cell
    handle = tester.send(tmp_path / "s", episodes=1)
    wait_for(lambda: tester.state() == "executing", 60)
    started = controller.goals
    wait_for(lambda: controller.goals > started + 2, 30, "the arm to move")
    assert tester.call(Stop, names.STOP, Stop.Request(reason="test")).stopped
    after = controller.goals
    status, result = tester.result(handle)
    assert status == ABORTED and "stopped" in result.error_msg
    time.sleep(0.5)
    assert controller.goals <= after + 2 and controller.cancels == 0  # the hold, and nothing that follows it
    assert tester.call(Rearm, names.REARM, Rearm.Request()).armed
    assert tester.result(tester.send(tmp_path / "s", episodes=1))[1].scored == 1


def test_a_controller_that_is_inactive_refuses_at_once(cell, tmp_path):
    tester, _, controller = cell
    controller.active = False
    handle = tester.send(tmp_path / "s", episodes=1)
    path = tmp_path / "s" / "journal.jsonl"
    wait_for(lambda: path.exists() and [r for r in peek(path) if r.kind == "retry"], 60, "the attempt's end")
    controller.active = True
    reasons = [r.data["reason"] for r in peek(path) if r.kind == "retry"]
    assert "refused the motion; is the controller active?" in reasons[0]
    assert tester.result(handle)[1].scored == 1
    assert tester.call(Rearm, names.REARM, Rearm.Request()).armed
