"""Rows of the axis mapping for a robot thumb: the linear map that best imitates the optimiser.

A robot's thumb is not built like a human's, and so one human angle does not drive one robot joint. Fingers are alike enough for
the paper's one-to-one rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deft_core.descriptions import HandConfig
from deft_core.types import Array
from deft_retarget.anatomy import anatomical_angles, anatomical_axes
from deft_retarget.axis_mapping import ANGLES, OFFSET
from deft_retarget.motions import gesture_angles, natural_poses, poses_of
from deft_retarget.retargeter import Retargeter
from deft_retarget.skeleton import HandSkeleton, shipped_skeleton

# rad, how far a human thumb moves in each; the fit sees all of it, not only what goes together in natural motions
RANGES = {"thumb.cmc.spread": (-0.2, 0.9), "thumb.cmc.bend": (-0.2, 0.9), "thumb.mcp.bend": (-0.1, 0.9),
          "thumb.ip.bend": (-0.1, 1.0)}
SOURCES = tuple(RANGES)
SEED, SEQUENCES, FRAMES = 77, 20, 100  # not the benchmark's
ROUNDS = 3  # the optimiser begins at the mapping, and so a better mapping finds a better optimum


@dataclass(frozen=True)
class ThumbFit:
    """Rows for the hand's YAML, and what they change.

    Attributes:
        rows: `retarget.joints` of the thumb's motors.
        before, after, optimiser: m, median error of the thumb's tip on natural poses.
    """

    rows: dict[str, dict[str, float]]
    before: float
    after: float
    optimiser: float


def fit_thumb(hand: HandConfig, skeleton: HandSkeleton | None = None) -> ThumbFit:
    """Least squares from the thumb's anatomical angles to the `vector` optimiser's thumb.

    Args:
        hand: `retarget.joints` may lack the thumb's rows.
        skeleton: whose hand; None takes the one that comes with DEFT.

    Raises:
        ConfigError: the hand's YAML or its URDF does not fit.
    """
    skeleton = skeleton or shipped_skeleton()
    table = {name: {} for name in hand.motors} | hand.retarget.get("joints", {})
    hand = hand.model_copy(update={"retarget": {**hand.retarget, "joints": table}})
    natural = natural_poses(skeleton, SEQUENCES, FRAMES, SEED).reshape(-1, 45)
    poses = np.concatenate([natural, _free_thumbs(skeleton)])
    angles = _thumb_angles(skeleton, poses)
    before = _thumb_error(hand, "axis", natural, skeleton)
    rows: dict[str, dict[str, float]] = {}
    for _ in range(ROUNDS):
        retargeter = Retargeter(hand, "vector", skeleton)
        motors = [m for m in hand.motors if m in retargeter.kinematics.moved_by(retargeter.fingers.index("thumb") + 1)]
        found = retargeter.batch(poses)
        good = found.converged
        goals = found.joints[good][:, [hand.joint_names.index(m) for m in motors]]
        with_offset = np.column_stack([np.ones(good.sum()), angles[good]])
        fit = np.linalg.lstsq(with_offset, goals, rcond=None)[0].round(2)
        rows = {motor: {name: float(x) for name, x in zip((OFFSET, *SOURCES), column, strict=True) if abs(x) >= 0.01}
                for motor, column in zip(motors, fit.T, strict=True)}
        hand = hand.model_copy(update={"retarget": {**hand.retarget, "joints": {**hand.retarget["joints"], **rows}}})
    after, optimiser = (_thumb_error(hand, method, natural, skeleton) for method in ("axis", "vector"))
    return ThumbFit(rows, before, after, optimiser)


def _free_thumbs(skeleton: HandSkeleton) -> Array:
    """Poses (SEQUENCES * FRAMES, 45), rad, of a half-closed hand whose thumb is anywhere."""
    rng = np.random.default_rng(SEED)
    angles = np.tile(gesture_angles("half_closed"), (SEQUENCES * FRAMES, 1))
    for name, (low, high) in RANGES.items():
        angles[:, ANGLES.index(name)] = rng.uniform(low, high, len(angles))
    return poses_of(skeleton, angles.reshape(-1, 15, 3))


def _thumb_angles(skeleton: HandSkeleton, poses: Array) -> Array:
    angles = anatomical_angles(anatomical_axes(skeleton), poses).reshape(len(poses), 45)
    return angles[:, [ANGLES.index(name) for name in SOURCES]]


def _thumb_error(hand: HandConfig, method: str, poses: Array, skeleton: HandSkeleton) -> float:
    return float(np.nanmedian(Retargeter(hand, method, skeleton).batch(poses).fingertip_errors[:, 0]))
