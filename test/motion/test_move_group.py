"""The move_group backend against a stand-in of real rclpy servers that behave as MoveIt's sources say."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
import rclpy
from graph_support import domain
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from standins.move_group import MoveGroupStandIn

from deft_core.errors import DeftError
from deft_core.hardware import MoveItConfig
from deft_core.ros.executor import PoolExecutor
from deft_core.types import Pose
from deft_motion import codes
from deft_motion.executor import Cancelled
from deft_motion.kinematics import ArmHandModel
from deft_motion.moveit.move_group import MoveGroupPlanner
from deft_motion.moveit.results import MOVEIT_CODES
from deft_motion.planner import OmplPlanner

pytestmark = pytest.mark.graph
SETTINGS = MoveItConfig(group="xarm7", link="link7", attempts=1, planning_time=2.0)


@pytest.fixture(scope="module")
def bench(robot, hand):
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(13), "LOCALHOST"
    rclpy.init()
    model = ArmHandModel(robot, hand)
    server, client = MoveGroupStandIn(ArmHandModel(robot, hand)), Node("client")
    executors = [PoolExecutor(3), SingleThreadedExecutor()]
    threads = []
    for node, executor in zip((server, client), executors, strict=True):
        executor.add_node(node)
        threads.append(threading.Thread(target=executor.spin, daemon=True))
        threads[-1].start()
    yield server, client, model
    for executor, thread in zip(executors, threads, strict=True):
        executor.shutdown(timeout_sec=2)
        thread.join(timeout=2)
    server.action.destroy()
    server.destroy_node()
    client.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def server(bench):
    server = bench[0]
    server.code, server.fraction, server.seconds, server.rejects, server.spoil = 1, 1.0, 0.0, False, lambda _: None
    server.mistakes.clear()
    server.cancelled.clear()
    yield server
    assert not server.mistakes and not server.lost


@pytest.fixture
def planner(bench, server):
    return MoveGroupPlanner(bench[1], SETTINGS, bench[2])


@pytest.fixture
def ends(robot):
    return np.array(robot.park), np.array(robot.ready)


def test_it_plans_as_the_embedded_planner_does(planner, bench, ends, hand):
    ours = OmplPlanner(bench[2]).plan(*ends, np.array(hand.open_pose), 0)
    theirs = planner.plan(*ends, np.array(hand.open_pose), 0)
    for path in (ours, theirs):
        np.testing.assert_allclose(path.positions[[0, -1]], ends, atol=1e-6)
        assert not path.velocities[[0, -1]].any() and (np.diff(path.times) > 0).all()
        assert (np.abs(path.velocities) <= np.array(bench[2].robot.velocity_limits) * 1.02).all()


@pytest.mark.parametrize("code", sorted(MOVEIT_CODES))
def test_every_error_code_is_told(server, planner, ends, hand, code):
    server.code = code
    with pytest.raises(DeftError) as caught:
        planner.plan(*ends, np.array(hand.open_pose), 0)
    assert caught.value.code == MOVEIT_CODES[code][0] and "as the test wanted" in caught.value.message


def test_a_rejected_goal_and_a_path_from_elsewhere_are_refused(server, planner, ends, hand):
    server.rejects = True
    with pytest.raises(DeftError, match="rejected the planning goal"):
        planner.plan(*ends, np.array(hand.open_pose), 0)
    server.rejects = False

    def elsewhere(trajectory):
        for point in trajectory.points:
            point.positions = [q + 0.2 for q in point.positions]

    server.spoil = elsewhere
    with pytest.raises(DeftError, match=r"it starts 0\.2"):
        planner.plan(*ends, np.array(hand.open_pose), 0)


def test_a_success_with_a_fraction_is_no_path(server, planner, bench, ends):
    model, ready = bench[2], ends[1]
    palm = model.grasp_pose(ready)
    poses = [Pose(palm.position + np.array([0.0, 0.0, 0.01 * k]), palm.rotation) for k in range(9)]
    whole = planner.straight(poses, ready)
    np.testing.assert_allclose(model.grasp_pose(whole[-1]).position, poses[-1].position, atol=1e-3)
    np.testing.assert_allclose(model.grasp_pose(whole[len(whole) // 2]).position[:2], palm.position[:2], atol=2e-3)
    server.fraction = 0.6
    assert planner.straight(poses, ready) is None


def test_the_scene_has_what_is_to_be_kept_clear_of(server, planner, bench, ends, hand):
    model = bench[2]
    model.set_table(0.02)
    model.set_object(np.array([0.5, 0.0, 0.1]), np.array([0.08, 0.08, 0.16]))
    model.set_surroundings(np.array([[0.6, 0.2, 0.12], [0.6, 0.2, 0.08], [0.7, 0.2, 0.05]]))
    planner.plan(*ends, np.array(hand.open_pose), 0)
    assert set(server.objects) == {"deft_table", "deft_object", "deft_surroundings"}
    table, seen = server.objects["deft_table"], server.objects["deft_surroundings"]
    for place, box in zip(table.primitive_poses, table.primitives, strict=True):
        assert place.position.z + box.dimensions[2] / 2 == pytest.approx(0.02 - 0.002)
        away = max(abs(place.position.x) - box.dimensions[0] / 2, abs(place.position.y) - box.dimensions[1] / 2)
        assert away == pytest.approx(0.15)  # the robot's base stands there
    assert table.header.frame_id == model.robot.base_frame
    assert len(seen.primitives) == 2  # two cells: what is below a point is part of its column
    tops = [p.position.z + b.dimensions[2] / 2 for p, b in zip(seen.primitive_poses, seen.primitives, strict=True)]
    assert max(tops) >= 0.12 and min(p.position.z - b.dimensions[2] / 2 for p, b in zip(
        seen.primitive_poses, seen.primitives, strict=True)) == pytest.approx(0.02)
    palm = model.grasp_pose(ends[1])
    planner.straight([palm, Pose(palm.position + np.array([0, 0, 0.02]), palm.rotation)], ends[1])
    assert set(server.objects) == {"deft_table"}  # the hand means to touch the rest


def test_the_object_goes_with_the_hand_and_leaves_it(server, planner, bench, ends):
    model = bench[2]
    palm = model.grasp_pose(ends[1])
    model.set_object(palm.position, np.array([0.05, 0.05, 0.05]))
    planner.grasped(ends[1])
    held = server.held["deft_object"]
    assert held.link_name == "link7" and "link7" in held.touch_links and held.object.header.frame_id == "link7"
    flange = model.flange_target(palm)
    place = flange.apply(np.array([getattr(held.object.pose.position, k) for k in "xyz"]))
    np.testing.assert_allclose(place, palm.position, atol=1e-9)  # where the object was when the hand closed
    planner.released()
    assert not server.held and "deft_object" not in server.objects
    planner.released()  # MoveIt refuses to take away what is not there; that means nothing


def test_a_held_object_does_not_begin_in_the_table(server, planner, bench, ends):
    model = bench[2]
    model.set_table(0.0)
    model.set_object(np.array([0.5, 0.0, 0.05]), np.array([0.06, 0.06, 0.10]))  # it stands on the table
    planner.grasped(ends[1])
    held = server.held["deft_object"].object
    flange = model.flange_target(model.grasp_pose(ends[1]))
    middle = flange.apply(np.array([getattr(held.pose.position, k) for k in "xyz"]))
    assert middle[2] - held.primitives[0].dimensions[2] / 2 >= 0.009
    planner.released()


def test_planning_can_be_cancelled(server, bench, ends, hand):
    server.seconds, cancelled = 5.0, threading.Event()
    planner = MoveGroupPlanner(bench[1], SETTINGS, bench[2], cancelled.is_set)
    threading.Timer(0.5, cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        planner.plan(*ends, np.array(hand.open_pose), 0)
    assert time.monotonic() - started < 4.0 and server.cancelled.wait(3)


def test_without_move_group_it_says_what_to_start(bench, ends, hand, monkeypatch):
    monkeypatch.setattr("deft_motion.moveit.move_group.SERVER_SECONDS", 0.5)
    planner = MoveGroupPlanner(bench[1], SETTINGS.model_copy(update={"namespace": "/nowhere"}), bench[2])
    with pytest.raises(DeftError, match="is it started") as caught:
        planner.plan(*ends, np.array(hand.open_pose), 0)
    assert caught.value.code == codes.PLANNING_FAILED
