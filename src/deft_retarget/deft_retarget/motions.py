"""Natural motions and gestures of a human hand as MANO poses: to look at, to calibrate and to test with. Made, not recorded."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from deft_core.types import Array
from deft_retarget.anatomy import AXES, anatomical_axes
from deft_retarget.axis_mapping import ANGLES
from deft_retarget.skeleton import FINGERS, HandSkeleton, rotation_matrices

SMOOTHING = 9.0  # frames (0.3 s at 30 Hz)
MARGIN = 30      # frames cut off at either end, where smoothing has no neighbours
# (mean, range) in rad of each joint of a finger; the range is two standard deviations
BEND = ((0.55, 0.9), (0.65, 1.0), (0.35, 0.6))
SPREAD = (0.0, 0.16)
THUMB_BEND = ((0.15, 0.45), (0.25, 0.5), (0.3, 0.7))
THUMB_SPREAD = (0.25, 0.55)
LEAST_BEND = -0.1
TOGETHER = 0.7   # share of a finger's bend that all fingers have in common
# Touching the thumb, tips 8 mm apart: rad of bend of the thumb's cmc, mcp, ip, its spread, and bend of the finger's mcp, pip,
# dip
PINCHES = {
    "index": ((0.47, 0.29, 0.23), 0.32, (0.78, 0.82, 0.48)),
    "middle": ((0.63, 0.41, 0.26), 0.45, (0.80, 1.00, 0.61)),
    "ring": ((0.71, 0.60, 0.32), 0.45, (0.67, 1.11, 0.76)),
}
CURL = {f"{finger}.{joint}.bend": bend for finger in FINGERS[:4] for joint, bend in (("mcp", 1.0), ("pip", 1.0), ("dip", 0.7))}
HALF = {name: 0.6 * bend for name, bend in CURL.items()}
# Anatomical angles that are not zero, rad
GESTURES = {
    "flat": {},
    "half_closed": {**HALF, "thumb.cmc.spread": 0.9, "thumb.cmc.bend": 0.4, "thumb.mcp.bend": 0.2, "thumb.ip.bend": 0.4},
    "fist": {**{name: 1.35 * bend for name, bend in CURL.items()}, "thumb.cmc.bend": 0.6, "thumb.mcp.bend": 0.6,
             "thumb.ip.bend": 0.7},
    "point": {**{name: (0.05 if name.startswith("index") else 1.3 * bend) for name, bend in CURL.items()},
              "thumb.cmc.bend": 0.5, "thumb.mcp.bend": 0.5, "thumb.ip.bend": 0.6},
    "pinch": {**dict(zip(("index.mcp.bend", "index.pip.bend", "index.dip.bend"), PINCHES["index"][2], strict=True)),
              **dict(zip(("thumb.cmc.bend", "thumb.mcp.bend", "thumb.ip.bend"), PINCHES["index"][0], strict=True)),
              "thumb.cmc.spread": PINCHES["index"][1]},
    "spread": {"index.mcp.spread": 0.25, "ring.mcp.spread": -0.2, "little.mcp.spread": -0.35, "thumb.cmc.spread": 0.7},
}


def poses_of(skeleton: HandSkeleton, angles: Array) -> Array:
    """MANO poses (..., 45), rad, flat hand = 0, of anatomical angles (..., 15, 3): twist, spread, bend."""
    axes = anatomical_axes(skeleton)
    twist, spread, bend = (rotation_matrices(axes[:, k] * angles[..., k, None]) for k in range(len(AXES)))
    vectors = Rotation.from_matrix((twist @ spread @ bend).reshape(-1, 3, 3)).as_rotvec()
    return np.asarray(vectors.reshape(*angles.shape[:-2], 45))


def gesture_angles(name: str) -> Array:
    """The angles (45,), rad, of one of GESTURES, in the order of ANGLES."""
    return np.array([GESTURES[name].get(angle, 0.0) for angle in ANGLES])


def gesture(skeleton: HandSkeleton, name: str) -> Array:
    """The MANO pose (45,), rad, of one of GESTURES."""
    return poses_of(skeleton, gesture_angles(name).reshape(15, 3))


def natural_poses(skeleton: HandSkeleton, sequences: int, frames: int, seed: int) -> Array:
    """MANO poses (sequences, frames, 45), rad, of smooth motions at about 30 Hz with two pinches each."""
    return np.stack([poses_of(skeleton, _natural_angles(frames, np.random.default_rng((seed, i)))) for i in range(sequences)])


def _natural_angles(frames: int, rng: np.random.Generator) -> Array:
    angles = np.zeros((frames, 15, 3))
    common = _wander(frames, 1, rng)[:, 0]
    for f in range(4):
        own = _wander(frames, 4, rng)
        for j, (mean, reach) in enumerate(BEND):
            bend = mean + reach * (TOGETHER * common + (1 - TOGETHER) * own[:, j])
            angles[:, 3 * f + j, 2] = np.maximum(bend, LEAST_BEND)
        angles[:, 3 * f, 1] = SPREAD[0] + SPREAD[1] * own[:, 3]
    own = _wander(frames, 4, rng)
    for j, (mean, reach) in enumerate(THUMB_BEND):
        angles[:, 12 + j, 2] = mean + reach * own[:, j]
    angles[:, 12, 1] = THUMB_SPREAD[0] + THUMB_SPREAD[1] * own[:, 3]
    for start in (frames // 5, 3 * frames // 5):
        _pinch(angles, start, min(frames // 4, 40), str(rng.choice(list(PINCHES))))
    return angles


def _wander(frames: int, size: int, rng: np.random.Generator) -> Array:
    """(frames, size) smooth noise within -1 and 1, standard deviation about one half."""
    noise = gaussian_filter1d(rng.normal(size=(frames + 2 * MARGIN, size)), SMOOTHING, axis=0)[MARGIN:-MARGIN]
    return np.asarray(np.clip(noise / noise.std(axis=0), -2.0, 2.0) / 2.0)


def _pinch(angles: Array, start: int, length: int, finger: str) -> None:
    """Blends a pinch of thumb and finger in and out again."""
    thumb, spread, bends = PINCHES[finger]
    part = angles[start:start + length]
    blend = (np.sin(np.linspace(0.0, np.pi, length)) ** 2)[:len(part)]
    f = 3 * FINGERS.index(finger)
    goals = [(12, 1, spread), (f, 1, 0.0), *((12 + j, 2, bend) for j, bend in enumerate(thumb)),
             *((f + j, 2, bend) for j, bend in enumerate(bends))]
    for joint, axis, goal in goals:
        part[:, joint, axis] += blend * (goal - part[:, joint, axis])


# Orientations of a right hand in the robot's base frame (x forward, y left, z up): where its fingers and its palm point
WRIST_CASES = {
    "palm_down": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "palm_left": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "thumb_up_fingers_left": ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)),
    "fingers_down": ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0)),
}


def wrist_of(case: str) -> Rotation:
    """MANO's right wrist in the base frame for one of WRIST_CASES."""
    fingers, palm = (np.array(v) for v in WRIST_CASES[case])
    return wrist_facing(fingers, palm)


def wrist_facing(fingers: Array, palm: Array) -> Rotation:
    """MANO's right wrist from where the palm faces and, as far as that leaves it open, the fingers point; any one frame."""
    palm = palm / np.linalg.norm(palm)
    fingers = fingers - (fingers @ palm) * palm
    fingers = fingers / np.linalg.norm(fingers)
    return Rotation.from_matrix(np.column_stack([-fingers, -palm, np.cross(fingers, palm)]))
