"""A grasp label: what the affordance model learns from one clip."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deft_core.types import Array, Intrinsics

VERSION = 2


@dataclass(frozen=True)
class GraspLabel:
    """Everything is of a right hand: clips of left hands are mirrored first, pictures and all.

    Attributes:
        thing: what tells the object from the data set's others; empty where it does not say.
        mirrored: the clip showed a left hand.
        first_frame, contact_frame: numbers of the clip's frames: without a hand, and of the first contact.
        box: of the crop in the first frame: left, top, right, bottom, pixels.
        crop: (h, w, 3) uint8 RGB, the object in the first frame.
        lens: fx, fy, cx, cy, pixels of the whole picture, of the first frame (in the mirror where mirrored).
        contact: (2,) pixels of the crop, the mean contact.
        points: (n, 2) pixels of the crop, contact points.
        surface, behind: m along the camera's axis in the first frame: the mean depth of the object's seen surface at the
            contact points, and how far behind it the touching skin lies on the mean; None: no depth, or no fitted hand.
        weights, means, deviations: (k,), (k, 2), (k, 2) pixels of the crop, the Gaussian mixture of the contact points.
        body: (3,) unit vector in the optical frame of the first frame, from the object to the person's right shoulder, or None.
        wrist: (3,) rotation vector, rad, MANO's wrist frame in the optical frame of the contact frame; None: no hand pose.
        position: (3,) m, the wrist joint there, or None.
        mano_pose: (45,) rad, relative to the flat hand, or None.
        size: of the hand, times the skeleton's, or None.
        fit_error: root mean square distance of fitted from tracked keypoints as a share of the hand's extent, or None.
        sources: what each step went by.
        picture: (h, w, 3) uint8, the contact frame with the hand drawn in, to look at.
    """

    key: str
    dataset: str
    text: str
    thing: str
    mirrored: bool
    first_frame: int
    contact_frame: int
    box: tuple[int, int, int, int]
    crop: NDArray[np.uint8]
    lens: tuple[float, float, float, float]
    contact: Array
    points: Array
    weights: Array
    means: Array
    deviations: Array
    surface: float | None
    behind: float | None
    body: Array | None
    wrist: Array | None
    position: Array | None
    mano_pose: Array | None
    size: float | None
    fit_error: float | None
    sources: dict[str, str]
    picture: NDArray[np.uint8]

    def record(self) -> dict[str, Any]:
        """What goes into the label's JSON: everything but the pictures."""
        out: dict[str, Any] = {"version": VERSION}
        for name, value in asdict(self).items():
            if name not in ("crop", "picture"):
                out[name] = value.round(5).tolist() if isinstance(value, np.ndarray) else value
        return out


def lens_of(intrinsics: Intrinsics) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy, pixels."""
    return intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy


def hand_drawn(rgb: NDArray[np.uint8], pixels: Array | None) -> NDArray[np.uint8]:
    """The picture with a hand's bones drawn in, of its (21, 2) pixels in the order of OPENPOSE_21."""
    image = rgb.copy()
    if pixels is not None:
        for finger in range(5):
            line = np.round(pixels[[0, *range(1 + 4 * finger, 5 + 4 * finger)]]).astype(np.int32)
            cv2.polylines(image, [line], False, (255, 255, 255), 2, cv2.LINE_AA)
    return image
