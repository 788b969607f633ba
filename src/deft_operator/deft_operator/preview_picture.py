"""The planned grasp drawn into the picture that it was made from."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from deft_core.types import Array, Intrinsics, Pose

YELLOW, RED = (255, 230, 0), (255, 60, 60)
COLOURS = {"open_hand": (150, 200, 255), "closed_hand": (40, 130, 255), "way": (170, 170, 170)}  # rgb, in the order drawn
WIDTHS = {"open_hand": 1, "closed_hand": 3, "way": 2}  # pixels


def preview_picture(rgb: NDArray[np.uint8], intrinsics: Intrinsics, camera: Pose, segments: Mapping[str, Array],
                    contact: Array | None, contact_pixels: Array) -> NDArray[np.uint8]:
    """(h, w, 3) rgb: the open hand before the grasp, the closed hand, the palm's way, and where it would touch.

    Args:
        rgb: (h, w, 3) the picture.
        camera: optical frame in the base frame.
        segments: by name of COLOURS (k, 2, 3) lines, m, base frame.
        contact: (3,) the grasp's contact point, m, base frame: red.
        contact_pixels: (n, 2) those of the prior: yellow.
    """
    picture, to_camera = rgb.copy(), camera.inverse()

    def at(points: Array) -> Array:
        """(k, 2) pixels; NaN behind the camera."""
        return intrinsics.project(to_camera.apply(points))

    for name, colour in COLOURS.items():
        lines = segments.get(name)
        if lines is None or not len(lines):
            continue
        for start, end in at(lines.reshape(-1, 3)).reshape(-1, 2, 2):
            if np.isfinite([start, end]).all() and max(np.abs(start).max(), np.abs(end).max()) < 1e4:
                cv2.line(picture, _pixel(start), _pixel(end), colour, WIDTHS[name], cv2.LINE_AA)
    for u, v in contact_pixels:
        cv2.circle(picture, _pixel(np.array([u, v])), 4, YELLOW, -1, cv2.LINE_AA)
    if contact is not None:
        point = at(contact[None])[0]
        if np.isfinite(point).all():
            cv2.drawMarker(picture, _pixel(point), RED, cv2.MARKER_CROSS, 16, 2, cv2.LINE_AA)
    return picture


def _pixel(point: Array) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
