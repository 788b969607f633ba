"""Clicks on an object in RViz or Foxglove (`/clicked_point`), as pixels."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from deft_core.descriptions import RobotConfig
from deft_core.errors import DeftError
from deft_core.types import Array, Intrinsics, Pose
from deft_perception import codes

LIFETIME = 60.0  # s, an older click is no longer about what stands there


class Clicks:
    """The latest click, until a look has used it.

    Args:
        clock: s, monotonic.
    """

    def __init__(self, robot: RobotConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._robot, self._clock = robot, clock
        self._lock = threading.Lock()
        self._latest: tuple[float, tuple[float, float]] | None = None

    def add(self, point: Array, frame: str, intrinsics: Intrinsics, camera_pose: Pose | None = None) -> tuple[float, float]:
        """A point (3,), m, was clicked in a frame; its pixel (u, v) in the colour image.

        Args:
            camera_pose: where the camera is in the base frame; None: where the robot's YAML has it.

        Raises:
            DeftError: BAD_INPUT for a frame other than the base's and the camera's, or a point out of view.
        """
        camera = self._robot.camera
        if frame not in (self._robot.base_frame, camera.frame):
            raise DeftError(codes.BAD_INPUT, f"the click is in frame '{frame}'; set the viewer's fixed frame to "
                            f"'{self._robot.base_frame}' or '{camera.frame}'")
        placed = camera_pose or camera.optical_in_base.pose()
        in_camera = point if frame == camera.frame else placed.inverse().apply(point)
        u, v = intrinsics.project(in_camera)
        if not (np.isfinite([u, v]).all() and 0 <= u < intrinsics.width and 0 <= v < intrinsics.height):
            raise DeftError(codes.BAD_INPUT, f"the clicked point {np.round(point, 3).tolist()} m is not in the camera's view")
        with self._lock:
            self._latest = self._clock(), (float(u), float(v))
        return float(u), float(v)

    def pixel(self) -> tuple[float, float] | None:
        """The pixel (u, v) that waits to be used."""
        with self._lock:
            if self._latest is None or self._clock() - self._latest[0] > LIFETIME:
                return None
            return self._latest[1]

    def used(self, pixel: tuple[float, float]) -> None:
        """A look has succeeded with this click; one that came meanwhile is for the next."""
        with self._lock:
            if self._latest and self._latest[1] == pixel:
                self._latest = None
