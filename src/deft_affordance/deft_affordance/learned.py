"""The learned prior: a network trained on grasps of people (paper section 3.1) that answers for the robot's camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi

from deft_affordance import codes
from deft_affordance.network.encoders import text_encoder
from deft_affordance.network.inference import Estimate, estimate
from deft_affordance.network.weights import SHIPPED, load
from deft_affordance.predictor import ObjectView, Prediction
from deft_core.errors import DeftError
from deft_core.types import Array

# m, base frame: the right shoulder of a person who stood where the robot does
SHOULDER = np.array([0.0, -0.22, 0.35])
POINTS = 16                 # contact pixels of a prediction
NEAR_SHARE, NEAR_ANGLE = 0.15, 0.5  # of the crop's longer side, and rad: what a confident prediction is within
ON_OBJECT = 0.05            # least share of the heat on the object's mask for the mask to be believed


class LearnedPredictor:
    """`prior: learned`.

    Args:
        weights: a file of `deft train-affordance`; those of the package by default.

    Raises:
        ConfigError: there are no such weights, or they are damaged.
    """

    name = "learned"

    def __init__(self, weights: Path = SHIPPED) -> None:
        self._net, self._about = load(weights)
        self._encoder = text_encoder(self._about.network)
        self._texts: dict[str, Array] = {}

    def predict(self, view: ObjectView, wrist: str, rng: np.random.Generator) -> Prediction:
        """See AffordancePredictor; `wrist` and `rng` are not used. Raises DeftError BAD_OBSERVATION: no task text."""
        if not view.text.strip():
            raise DeftError(codes.BAD_OBSERVATION, "the learned prior needs the task in words; give phrasings in the task's "
                            "YAML")
        found = estimate(self._net, self._about.calibration, view.crop, view.corner, view.intrinsics, self._text(view.text),
                         to_arm(view))
        u, v, width, height = view.roi
        heat = _on_object(found.heat, view.mask[v:v + height, u:u + width])
        return Prediction(drawn(heat, POINTS) + view.corner, view.camera.rotation * found.wrist, found.hand,
                          _confidence(found, max(width, height)), found.behind, heat, found.contact_deviation,
                          found.wrist_deviation)

    def _text(self, text: str) -> Array:
        if text not in self._texts:
            self._texts[text] = self._encoder.encode([text])[0]
        return self._texts[text]


def to_arm(view: ObjectView) -> Array:
    """(3,) unit vector in the optical frame, from the object to where a person's arm would come from."""
    arm = view.camera.inverse().apply(SHOULDER)
    u, v, width, height = view.roi
    ray = np.array([*view.intrinsics.normalized(np.array([u + width / 2, v + height / 2])), 1.0])
    # how far along the ray the object stands is not known here: about where the ray meets the plane that the robot stands on
    ahead = view.camera.rotation.apply(ray)
    distance = view.camera.position[2] / -ahead[2] if ahead[2] < -0.05 else 1.0
    away = arm - ray * distance
    return np.asarray(away / np.linalg.norm(away))


def drawn(heat: Array, count: int) -> Array:
    """(count, 2) pixels, each standing for an equal share of the heat (h, w). The same heat gives the same pixels."""
    shares = np.cumsum(heat.ravel())
    places = np.searchsorted(shares, (np.arange(count) + 0.5) / count * shares[-1])
    row, column = np.unravel_index(np.minimum(places, heat.size - 1), heat.shape)
    return np.stack([column, row], axis=1).astype(float)


def _on_object(heat: Array, mask: NDArray[np.bool_]) -> Array:
    """Heat on the object alone, where a fair part of it lies there."""
    on = heat * mask
    return np.asarray(on / on.sum() if on.sum() > ON_OBJECT else heat)


def _confidence(found: Estimate, side: int) -> float:
    """The chance that contact and wrist are within NEAR_SHARE and NEAR_ANGLE of right."""
    contact = chi.cdf(NEAR_SHARE * side / found.contact_deviation, 2)
    return float(contact * chi.cdf(NEAR_ANGLE / found.wrist_deviation, 3))
