"""The affordance interface f(object, text) -> (contact, wrist rotation, hand pose), paper section 1.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_core.types import Array, Pose


@dataclass(frozen=True)
class ObjectView:
    """What a predictor sees: the crop, where it lies, and the task."""

    crop: NDArray[np.uint8]              # (h, w, 3) rgb
    roi: tuple[int, int, int, int]       # u, v, width, height in the full image, pixels
    mask: NDArray[np.bool_]              # (H, W) full image
    camera: Pose                         # optical frame in the base frame
    text: str


@dataclass(frozen=True)
class Prediction:
    """A grasp prior.

    Attributes:
        pixels: (k, 2) contact pixels in the full image.
        wrist_in_base: MANO wrist frame in the base frame. MANO's right hand lies flat with the fingers
            along -x, the thumb's side along +z and the back of the hand along +y.
        mano_pose: (45,) rad, axis-angle of MANO's 15 finger joints, flat hand = 0.
        confidence: 0..1.
    """

    pixels: Array
    wrist_in_base: Rotation
    mano_pose: Array
    confidence: float


class AffordancePredictor(Protocol):
    """Anything that can be a prior."""

    name: str

    def predict(self, view: ObjectView, wrist: str, rng: np.random.Generator) -> Prediction:
        """Where and how to grasp what is in view. Raises DeftError for an unusable view."""
        ...
