"""The square that the network sees: any part of a crop, scaled, turned and centred, with its place in the whole picture.

The network says how the wrist is turned as seen along the ray through the square's middle, so that the same thing looks and
is answered alike wherever in the picture it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_core.projection import turn_to
from deft_core.types import Array, Intrinsics

FILL = (128, 128, 128)  # what lies outside the crop


@dataclass(frozen=True)
class Square:
    """How a square of `size` pixels lies over a crop.

    Attributes:
        centre: (2,) pixels of the crop, what its middle shows.
        side: pixels of the crop that it is wide.
        roll: rad that its content is turned clockwise.
    """

    centre: Array
    side: float
    size: int
    roll: float = 0.0

    def matrix(self) -> Array:
        """(2, 3): crop pixels to pixels of the square."""
        scale, c, s = self.size / self.side, np.cos(self.roll), np.sin(self.roll)
        turn = scale * np.array([[c, -s], [s, c]])
        return np.hstack([turn, ((self.size - 1) / 2 - turn @ self.centre)[:, None]])

    def to_square(self, points: Array) -> Array:
        """Crop pixels (..., 2) as -1..1 across the square."""
        matrix = self.matrix()
        pixels = np.asarray(points, float) @ matrix[:, :2].T + matrix[:, 2]
        return np.asarray((2 * pixels + 1) / self.size - 1)

    def to_crop(self, places: Array) -> Array:
        """-1..1 across the square (..., 2) as crop pixels."""
        matrix = self.matrix()
        pixels = ((np.asarray(places, float) + 1) * self.size - 1) / 2
        return np.asarray((pixels - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T)

    def cut(self, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(size, size, 3): what the square shows of a crop (h, w, 3)."""
        shrink = self.side / self.size
        if shrink > 1.5:  # linear interpolation alone would skip pixels
            crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), 0.35 * shrink), np.uint8)
        return np.asarray(cv2.warpAffine(crop, self.matrix(), (self.size, self.size), flags=cv2.INTER_LINEAR,
                                         borderMode=cv2.BORDER_CONSTANT, borderValue=FILL))

    def metres(self, depth: float, intrinsics: Intrinsics) -> float:
        """m, half its side at this depth (m): what -1..1 measures there."""
        return self.side / 2 * depth / ((intrinsics.fx + intrinsics.fy) / 2)

    def view(self, corner: Array, intrinsics: Intrinsics) -> Rotation:
        """From the square's own frame (straight ahead = its middle) to the camera's optical frame.

        Args:
            corner: (2,) pixels of the whole picture where the crop begins.
        """
        return turn_to(corner + self.centre, intrinsics) * Rotation.from_euler("z", -self.roll)


def whole(crop: NDArray[np.uint8], size: int) -> Square:
    """The square round a crop (h, w, 3)."""
    height, width = crop.shape[:2]
    return Square(np.array([(width - 1) / 2, (height - 1) / 2]), float(max(width, height)), size)
