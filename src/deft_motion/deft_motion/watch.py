"""What must go on while the robot moves: the other nodes, the camera, and a robot that says it is well."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String

from deft_core.descriptions import CameraConfig
from deft_core.ros import names, qos
from deft_core.ros.heartbeat import SILENCE, Alive, Pulses
from deft_motion import codes

Problem = tuple[int, str]  # error code, and what happened in words


class MotionWatch:
    """Asked at every joint state of a motion whether it may go on.

    Args:
        camera_timeout: s of wall time without an image; 0: the camera is not watched.
        on_fault: told when arm or hand report a fault (`deft/robot_fault`, `deft/hand_fault`), whether it moves or not.

    Attributes:
        faults: what arm and hand report, by the service that recovers them; "" while they are well.
    """

    def __init__(self, node: Node, camera: CameraConfig, camera_timeout: float, on_fault: Callable[[str], None]) -> None:
        self._camera_timeout, self._on_fault = camera_timeout, on_fault
        self._pulses = Pulses(node, SILENCE)
        self._watched: frozenset[Alive] = frozenset()
        self._image, self._sees = -math.inf, False
        self.faults = {names.RECOVER_ROBOT: "", names.RECOVER_HAND: ""}
        ear, space = self._pulses.ear.node, node.get_namespace().rstrip("/")
        self._subscriptions = [
            ear.create_subscription(CameraInfo, f"{camera.namespace}/color/camera_info", self._seen, qos.NEWEST),
            *(ear.create_subscription(String, f"{space}/{topic}", partial(self._reported, recovery), qos.LATCHED)
              for topic, recovery in ((names.ROBOT_FAULT, names.RECOVER_ROBOT), (names.HAND_FAULT, names.RECOVER_HAND)))]

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._pulses.ear.node.destroy_subscription(subscription)
        self._pulses.close()

    def _seen(self, _: CameraInfo) -> None:
        self._image = time.monotonic()

    def _reported(self, recovery: str, message: String) -> None:
        news = message.data != self.faults[recovery]  # drivers' nodes repeat what they say
        self.faults[recovery] = message.data
        if news and message.data:
            self._on_fault(message.data)

    @property
    def fault(self) -> str:
        """All that is reported, in words; "" while arm and hand are well."""
        return "; ".join(fault for fault in self.faults.values() if fault)

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
