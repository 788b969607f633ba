"""The affordance interface f(object, text) -> (contact, wrist rotation, hand pose), paper section 1.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_affordance import codes
from deft_core.errors import DeftError
from deft_core.projection import Image32, NoDepthError, contact_point
from deft_core.types import Array, Intrinsics, Pose


@dataclass(frozen=True)
class ObjectView:
    """What a predictor sees: the crop, where it lies, and the task. Raises DeftError BAD_OBSERVATION where nothing is seen."""

    crop: NDArray[np.uint8]              # (h, w, 3) rgb
    roi: tuple[int, int, int, int]       # u, v, width, height in the full image, pixels
    mask: NDArray[np.bool_]              # (H, W) full image
    intrinsics: Intrinsics               # of the full image
    camera: Pose                         # optical frame in the base frame
    text: str

    def __post_init__(self) -> None:
        _, _, width, height = self.roi
        if width <= 0 or height <= 0 or not self.mask.any():
            raise DeftError(codes.BAD_OBSERVATION, "the observation has no object region; call observe first")
        if self.crop.shape != (height, width, 3):
            raise DeftError(codes.BAD_OBSERVATION, f"the crop is {self.crop.shape[1]}x{self.crop.shape[0]} pixels and its roi "
                            f"{width}x{height}; send both of one observation")

    @property
    def corner(self) -> Array:
        """(2,) pixels of the full image where the crop begins."""
        return np.array(self.roi[:2], float)


@dataclass(frozen=True)
class Prediction:
    """A grasp prior.

    Attributes:
        pixels: (k, 2) contact pixels in the full image, each as likely as the others.
        wrist_in_base: MANO wrist frame in the base frame. MANO's right hand lies flat with the fingers
            along -x, the thumb's side along +z and the back of the hand along +y.
        mano_pose: (45,) rad, axis-angle of MANO's 15 finger joints, flat hand = 0.
        confidence: 0..1.
        behind: pixels at the object's distance, how far behind the seen surface the hand touches on the mean.
        heatmap: (h, w) over the crop, sums to 1, or None.
        contact_deviation: pixels, standard deviation of the mean contact along each axis of the image; NaN: not known.
        wrist_deviation: rad, standard deviation of the wrist's rotation about each axis; NaN: not known.
    """

    pixels: Array
    wrist_in_base: Rotation
    mano_pose: Array
    confidence: float
    behind: float = 0.0
    heatmap: Array | None = None
    contact_deviation: float = float("nan")
    wrist_deviation: float = float("nan")


class AffordancePredictor(Protocol):
    """Anything that can be a prior."""

    name: str

    def predict(self, view: ObjectView, wrist: str, rng: np.random.Generator) -> Prediction:
        """Where and how to grasp what is in view. Raises DeftError for an unusable view."""
        ...


@dataclass(frozen=True)
class Contact:
    """A prediction's contact in space.

    Attributes:
        points: (k, 3) m, base frame, the object's surface at the contact pixels.
        mean: (3,) m, base frame, the middle of where the hand touches, hidden sides and all.
        deviation: m, standard deviation of the mean along each axis; NaN: not known.
    """

    points: Array
    mean: Array
    deviation: float


def contact_in_space(prediction: Prediction, view: ObjectView, depth: Image32) -> Contact:
    """Contact pixels and their deviation by depth (H, W), m, of the full image.

    A hand round a thing touches its hidden side, too: the mean lies `behind` the surface, along the ray that it is seen by.

    Raises:
        DeftError: NO_CONTACT_DEPTH.
    """
    try:
        points = np.array([contact_point(uv, view.mask, depth, view.intrinsics, view.camera) for uv in prediction.pixels])
    except NoDepthError as error:
        raise DeftError(codes.NO_CONTACT_DEPTH, str(error)) from None
    middle = view.camera.inverse().apply(points.mean(axis=0))
    pixel = middle[2] / ((view.intrinsics.fx + view.intrinsics.fy) / 2)  # m at the object's distance
    hidden = middle * (1 + prediction.behind * pixel / middle[2])
    return Contact(points, view.camera.apply(hidden), prediction.contact_deviation * float(pixel))
