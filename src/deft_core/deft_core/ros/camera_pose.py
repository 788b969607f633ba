"""Where the camera is: from the robot's YAML, or looked up in tf2 for the very time of a picture."""

from __future__ import annotations

import time
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from deft_core.descriptions import RobotConfig
from deft_core.errors import ConfigError
from deft_core.ros import conversions as conv
from deft_core.ros.spun_node import SpunNode
from deft_core.types import Pose

ARRIVAL_SECONDS = 0.5  # for the transforms of a picture's time to arrive, after the picture has
POLL_SECONDS = 0.02


class TransformProblem(LookupError):
    """There is no transform for the time that is asked about; the message says which, and what to do."""


class CameraPose:
    """The colour optical frame in the base frame.

    Raises:
        ConfigError: the YAML says `tf: true`, and tf2_ros is not installed.
    """

    def __init__(self, node: Node, robot: RobotConfig) -> None:
        self._camera, self._base = robot.camera, robot.base_frame
        self._spun: SpunNode | None = None
        if not self._camera.tf:
            return
        try:
            import tf2_ros
        except ImportError as error:
            raise ConfigError(f"robot '{robot.name}': camera.tf needs tf2_ros ({error}): `sudo apt install "
                              "ros-jazzy-tf2-ros-py`, or set it to false") from None
        self._failures: tuple[type[Exception], ...] = (tf2_ros.TransformException,)
        # Transforms come often: a node and a thread of their own keep them from waking the others.
        self._spun = SpunNode(f"{node.get_name()}_tf", node.context, namespace=node.get_namespace(),
                              start_parameter_services=False, enable_rosout=False)
        self._buffer = tf2_ros.Buffer(node=self._spun.node)
        self._listener = tf2_ros.TransformListener(self._buffer, self._spun.node)

    def close(self) -> None:
        """Stop listening."""
        if self._spun is not None:
            self._spun.close()

    def at(self, stamp: Any) -> Pose:
        """The pose at a picture's stamp (builtin_interfaces/Time).

        Transforms that are a little older than the picture count, up to `tf_tolerance`; older ones never do.

        Raises:
            TransformProblem: none connects the frames, or the newest is too old.
        """
        if self._spun is None:
            return self._camera.optical_in_base.pose()
        wanted, deadline = Time.from_msg(stamp), time.monotonic() + ARRIVAL_SECONDS
        while True:
            try:
                return self._looked_up(wanted)
            except self._failures as error:
                why = error
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        try:
            latest = self._buffer.lookup_transform(self._base, self._camera.frame, Time())
        except self._failures as error:
            raise TransformProblem(f"tf2 does not connect '{self._base}' and '{self._camera.frame}': {error}; is the "
                                   "calibration published, and the camera's driver running?") from None
        behind = (wanted - Time.from_msg(latest.header.stamp, clock_type=wanted.clock_type)).nanoseconds * 1e-9
        if 0 <= behind <= self._camera.tf_tolerance:
            return conv.pose_of_transform(latest.transform)
        raise TransformProblem(f"the newest transform from '{self._camera.frame}' to '{self._base}' is {behind:.2f} s older "
                               f"than the picture (camera.tf_tolerance {self._camera.tf_tolerance:g} s): {why}")

    def now(self, timeout: float) -> Pose:
        """The pose as last heard of, for what does not belong to a picture. Raises TransformProblem after `timeout` s."""
        if self._spun is None:
            return self._camera.optical_in_base.pose()
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self._looked_up(Time())
            except self._failures as error:
                if time.monotonic() > deadline:
                    raise TransformProblem(f"tf2 does not connect '{self._base}' and '{self._camera.frame}': {error}") from None
            time.sleep(POLL_SECONDS)

    def _looked_up(self, when: Time) -> Pose:
        return conv.pose_of_transform(self._buffer.lookup_transform(self._base, self._camera.frame, when, Duration()).transform)
