"""The paper's Real-World-Only prior: box centre, a generic wrist rotation, a half-closed hand (section 3)."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from deft_affordance import codes
from deft_affordance.predictor import ObjectView, Prediction
from deft_core.config import nearest
from deft_core.errors import DeftError
from deft_core.types import Array

# Half closed: bend of each joint, rad, about MANO's z axis (fingers along -x, palm down: +z bends to the palm).
FINGER_BEND = (0.8, 0.8, 0.6)
# Thumb abducted by 0.95 and bent by 0.5, 0.2, 0.35, as rotation vectors
THUMB = np.array([[0.93, 0.26, 0.44], [0.09, -0.16, 0.07], [0.13, -0.29, 0.15]])
# About half of what a person can do between palm up and palm down, for `random`.
RANDOM_TILT = 0.9  # rad


def _wrist(fingers: Array, palm: Array) -> Rotation:
    """MANO wrist frame from the directions of fingers and palm normal (base frame): x = -fingers, y = -palm."""
    x, y = -fingers, -palm
    return Rotation.from_matrix(np.stack([x, y, np.cross(x, y)], axis=1))


FORWARD, LEFT, DOWN = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])
DIAGONAL_PALM = (LEFT + DOWN) / np.sqrt(2.0)
# Generic orientations of a right hand, seen from the robot: where the fingers and the palm point.
WRISTS = {
    "palm_down": _wrist(FORWARD, DOWN),
    "side": _wrist(FORWARD, LEFT),
    "across": _wrist(LEFT, DOWN),
    "tilted": _wrist(FORWARD, DIAGONAL_PALM),
    "fingers_down": _wrist(DOWN, FORWARD),
}


def half_closed_hand() -> Array:
    """(45,) rad, MANO axis-angle: index, middle, little, ring, thumb with three joints each."""
    pose = np.zeros((15, 3))
    for finger in range(4):
        pose[3 * finger:3 * finger + 3, 2] = FINGER_BEND
    pose[12:15] = THUMB
    return pose.ravel()


class HeuristicPredictor:
    """`prior: heuristic`."""

    name = "heuristic"

    def predict(self, view: ObjectView, wrist: str, rng: np.random.Generator) -> Prediction:
        """Contact at the box centre, the named (or a random) wrist orientation, half-closed hand.

        Args:
            wrist: a key of WRISTS, or `random`: the tilted hand turned by a random rotation of up to
                RANDOM_TILT about each axis.
        """
        u, v, width, height = view.roi
        if wrist == "random":
            rotation = WRISTS["tilted"] * Rotation.from_rotvec(rng.uniform(-RANDOM_TILT, RANDOM_TILT, 3))
        elif wrist in WRISTS:
            rotation = WRISTS[wrist]
        else:
            raise DeftError(codes.BAD_OBSERVATION, f"unknown wrist orientation '{wrist}' (heuristic_wrist in the "
                            f"task's YAML): {nearest(wrist, [*WRISTS, 'random'])}")
        centre = np.array([[u + (width - 1) / 2, v + (height - 1) / 2]])
        return Prediction(centre, rotation, half_closed_hand(), confidence=0.1)
