"""What must go on while the robot moves: the other nodes, the camera, and a robot that says it is well."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String

from deft_core.descriptions import CameraConfig
from deft_core.ros import names, qos
from deft_core.ros.heartbeat import Pulses
from deft_motion import codes

Problem = tuple[int, str]  # error code, and what happened in words


class MotionWatch:
    """Asked at every joint state of a motion whether it may go on.

    Args:
        camera_timeout: s of wall time without an image; 0: the camera is not watched.
        on_fault: told when the robot reports a fault on `deft/robot_fault`, whether it moves or not.

    Attributes:
        fault: what the robot reports, "" while it is well.
    """

    def __init__(self, node: Node, camera: CameraConfig, camera_timeout: float, on_fault: Callable[[str], None]) -> None:
        self._camera_timeout, self._on_fault = camera_timeout, on_fault
        self._pulses = Pulses(node)
        self._watched: frozenset[str] = frozenset()
        self._image, self._sees = -math.inf, False
        self.fault = ""
        ear, faults = self._pulses.ear.node, f"{node.get_namespace().rstrip('/')}/{names.ROBOT_FAULT}"
        self._subscriptions = [
            ear.create_subscription(CameraInfo, f"{camera.namespace}/color/camera_info", self._seen, qos.NEWEST),
            ear.create_subscription(String, faults, self._reported, qos.LATCHED)]

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._pulses.ear.node.destroy_subscription(subscription)
        self._pulses.close()

    def _seen(self, _: CameraInfo) -> None:
        self._image = time.monotonic()

    def _reported(self, message: String) -> None:
        self.fault = message.data
        if self.fault:
            self._on_fault(self.fault)

    def _blind_for(self) -> float:
        """s without an image, by when this process last heard of itself."""
        return self._pulses.now() - self._image

    def begin(self) -> None:
        """A motion begins: whoever is alive now must stay so until its end."""
        self._watched = self._pulses.alive()
        self._sees = self._camera_timeout > 0 and self._blind_for() < self._camera_timeout

    def problem(self) -> Problem | None:
        """Why the motion must not go on; None while it may."""
        if self.fault:
            return codes.ROBOT_FAULT, f"robot fault: {self.fault}; clear it, then call rearm"
        if lost := self._pulses.lost(self._watched):
            return codes.NODE_LOST, lost
        if self._sees and self._blind_for() > self._camera_timeout:
            return codes.CAMERA_LOST, f"no image for {self._blind_for():.1f} s; is the camera's driver running?"
        return None
