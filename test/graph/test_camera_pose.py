"""Where the camera is, by tf2: for the picture's own time, never silently the latest (stand-in for tf2_ros, real topics)."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
import standins
from geometry_msgs.msg import TransformStamped
from graph_support import domain
from rclpy.clock import Clock
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from deft_core.descriptions import RobotConfig
from deft_core.errors import ConfigError
from deft_core.ros.camera_pose import CameraPose, TransformProblem

pytestmark = pytest.mark.graph
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def node(monkeypatch):
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(27), "LOCALHOST"
    monkeypatch.syspath_prepend(str(Path(standins.__file__).parent / "tf2"))
    rclpy.init()
    node = Node("publisher")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield node
    executor.shutdown(timeout_sec=2)
    thread.join(timeout=2)
    node.destroy_node()
    rclpy.try_shutdown()
    sys.modules.pop("tf2_ros", None)


def moved(robot: RobotConfig, **camera) -> RobotConfig:
    return robot.model_copy(update={"camera": robot.camera.model_copy(update={"tf": True, **camera})})


def transform(parent: str, child: str, x: float, stamp: Time) -> TransformStamped:
    out = TransformStamped(child_frame_id=child)
    out.header.frame_id, out.header.stamp = parent, stamp.to_msg()
    out.transform.translation.x, out.transform.rotation.w = x, 1.0
    return out


def test_a_static_calibration_is_composed_with_the_driver_s_frames(node, robot):
    static = node.create_publisher(TFMessage, "/tf_static", LATCHED)
    stamp = Clock().now()
    static.publish(TFMessage(transforms=[transform(robot.base_frame, "camera_link", 0.5, stamp),
                                         transform("camera_link", robot.camera.frame, 0.015, stamp)]))
    camera = CameraPose(node, moved(robot))
    try:
        found = camera.at(Clock().now().to_msg())
        np.testing.assert_allclose(found.position, [0.515, 0, 0])
        np.testing.assert_allclose(camera.now(1.0).position, [0.515, 0, 0])
    finally:
        camera.close()


def test_a_moving_frame_is_looked_up_for_the_picture_s_time_and_an_old_one_refused(node, robot):
    dynamic, camera = node.create_publisher(TFMessage, "/tf", 100), CameraPose(node, moved(robot, tf_tolerance=0.2))
    try:
        time.sleep(0.5)
        begin = Clock().now().nanoseconds
        stamps = [Time(nanoseconds=begin + k * 50_000_000) for k in range(10)]
        for k, stamp in enumerate(stamps):
            dynamic.publish(TFMessage(transforms=[transform(robot.base_frame, robot.camera.frame, 0.1 * k, stamp)]))
        assert camera.at(stamps[3].to_msg()).position[0] == pytest.approx(0.3)
        late = Time(nanoseconds=stamps[-1].nanoseconds + 150_000_000)  # a little younger than the newest: within tolerance
        assert camera.at(late.to_msg()).position[0] == pytest.approx(0.9)
        too_late = Time(nanoseconds=stamps[-1].nanoseconds + 2_000_000_000)
        with pytest.raises(TransformProblem, match=r"2\.00 s older than the picture"):
            camera.at(too_late.to_msg())
        with pytest.raises(TransformProblem, match="older than the picture"):
            camera.at(Time(nanoseconds=begin - 10**9).to_msg())  # before anything was known
    finally:
        camera.close()


def test_unconnected_frames_and_a_missing_package_are_named(node, robot, monkeypatch):
    camera = CameraPose(node, moved(robot))
    with pytest.raises(TransformProblem, match="does not connect 'base_link' and 'camera_color_optical_frame'"):
        camera.at(Clock().now().to_msg())
    with pytest.raises(TransformProblem, match="does not connect"):
        camera.now(0.3)
    camera.close()
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(ConfigError, match="ros-jazzy-tf2-ros-py"):
        CameraPose(node, moved(robot))


def test_without_tf_the_yaml_says_it(node, robot):
    camera = CameraPose(node, robot)
    assert camera.at(Clock().now().to_msg()).position.tolist() == list(robot.camera.optical_in_base.xyz)
