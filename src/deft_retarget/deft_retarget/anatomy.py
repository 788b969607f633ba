"""Anatomical angles of a MANO pose: twist, spread and bend of every finger joint, which axis mapping goes by."""

from __future__ import annotations

import numpy as np

from deft_core.types import Array
from deft_retarget.skeleton import FINGERS, HandSkeleton, rotation_matrices

AXES = ("twist", "spread", "bend")
BACK_OF_HAND = np.array([0.0, 1.0, 0.0])
BACK_OF_THUMB = np.array([1.0, 1.0, 1.0])  # halfway to its side
GIMBAL = 1.0 - 1e-9  # |sin(spread)| above it: twist and bend turn about one axis


def anatomical_axes(skeleton: HandSkeleton) -> Array:
    """Axes (15, 3, 3) of every finger joint: rows twist, spread, bend as unit vectors, wrist frame.

    Twist is along the bone towards the wrist, bend is across it and the back of the hand, spread is across both. The flat
    hand's finger frames are parallel to the wrist's, so these are also the local axes.
    """
    axes = np.zeros((15, 3, 3))
    for f, finger in enumerate(FINGERS):
        up = BACK_OF_THUMB if finger == "thumb" else BACK_OF_HAND
        chain = [*skeleton.joints[1 + 3 * f:4 + 3 * f], skeleton.tips[f]]
        for j in range(3):
            twist = chain[j] - chain[j + 1]
            twist /= np.linalg.norm(twist)
            bend = np.cross(twist, up)
            bend /= np.linalg.norm(bend)
            axes[3 * f + j] = twist, np.cross(bend, twist), bend
    return axes


def anatomical_angles(axes: Array, mano_pose: Array) -> Array:
    """Twist, spread and bend (..., 15, 3), rad, of MANO poses (..., 45), axis-angle, flat hand = 0.

    Each joint's rotation is expressed in its anatomical frame and split as intrinsic rotations about twist, spread, bend. Bend
    is positive towards the palm; spread turns about the joint's dorsal axis. Where spread is a right angle, twist and bend
    turn about one axis, and all of it counts as bend.

    Args:
        axes: (15, 3, 3) of anatomical_axes().
    """
    # Rotation vectors change frames like any vector: no product of matrices is needed.
    local = rotation_matrices((axes @ mano_pose.reshape(*mano_pose.shape[:-1], 15, 3, 1))[..., 0])
    locked = np.abs(local[..., 0, 2]) > GIMBAL
    twist = np.where(locked, 0.0, np.arctan2(-local[..., 1, 2], local[..., 2, 2]))
    spread = np.arcsin(np.clip(local[..., 0, 2], -1.0, 1.0))
    bend = np.where(locked, np.arctan2(local[..., 1, 0], local[..., 1, 1]), np.arctan2(-local[..., 0, 1], local[..., 0, 0]))
    return np.stack([twist, spread, bend], axis=-1)
