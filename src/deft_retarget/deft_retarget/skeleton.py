"""A right hand at rest in MANO's convention, from published segment lengths; no MANO data inside.

Frame: the wrist's. The hand lies flat, fingers along -x, the thumb's side along +z, the back of the
hand along +y. Joint order as in MANO: wrist, then index, middle, little, ring, thumb with three
joints each.

Segment lengths (m) are means of adults: A. Buryanov, V. Kotiuk, "Proportions of hand segments",
Int. J. Morphol. 28(3), 2010.
"""

from __future__ import annotations

import numpy as np

from deft_core.types import Array

FINGERS = ("index", "middle", "little", "ring", "thumb")  # MANO's order
JOINTS = {finger: ("mcp", "pip", "dip") for finger in FINGERS} | {"thumb": ("cmc", "mcp", "ip")}
AXES = ("twist", "spread", "bend")

# metacarpal, proximal, middle, distal; the thumb has no middle phalanx
SEGMENTS = {
    "index": (0.0681, 0.0398, 0.0224, 0.0158),
    "middle": (0.0646, 0.0446, 0.0263, 0.0174),
    "little": (0.0537, 0.0327, 0.0181, 0.0160),
    "ring": (0.0580, 0.0414, 0.0257, 0.0173),
}
THUMB_SEGMENTS = (0.0462, 0.0316, 0.0217)
CARPUS = 0.025  # m, wrist centre to the bases of the metacarpals
# directions of the rays in the palm's plane, rad from -x towards +z
RAY_ANGLE = {"index": 0.25, "middle": 0.02, "ring": -0.20, "little": -0.42}
THUMB_BASE = np.array([-0.022, -0.008, 0.025])       # m, its carpometacarpal joint
THUMB_DIRECTION = np.array([-0.75, -0.25, 0.61])


def _direction(angle: float) -> Array:
    return np.array([-np.cos(angle), 0.0, np.sin(angle)])


def rest_joints() -> tuple[Array, Array]:
    """Joint positions (16, 3) and fingertips (5, 3) of the flat hand, m, wrist frame, MANO order."""
    joints, tips = [np.zeros(3)], []
    for finger in FINGERS[:4]:
        metacarpal, *phalanges = SEGMENTS[finger]
        direction = _direction(RAY_ANGLE[finger])
        point = direction * (CARPUS + metacarpal)
        along = _direction(0.4 * RAY_ANGLE[finger])  # fingers are more parallel than the palm's rays
        for length in phalanges:
            joints.append(point)
            point = point + along * length
        tips.append(point)
    along = THUMB_DIRECTION / np.linalg.norm(THUMB_DIRECTION)
    point = THUMB_BASE
    for length in THUMB_SEGMENTS:
        joints.append(point)
        point = point + along * length
    tips.append(point)
    return np.array(joints), np.array(tips)


def anatomical_axes() -> Array:
    """Axes (15, 3, 3) of every finger joint: rows twist, spread, bend as unit vectors, wrist frame.

    Twist is along the bone (from the joint back to its parent), bend is across it and the `up`
    direction, spread is across both; `up` is the back of the hand, for the thumb halfway to its side.
    The flat hand's finger frames are parallel to the wrist's, so these are also the local axes.
    """
    joints, tips = rest_joints()
    axes = np.zeros((15, 3, 3))
    for f, finger in enumerate(FINGERS):
        up = np.array([1.0, 1.0, 1.0]) if finger == "thumb" else np.array([0.0, 1.0, 0.0])
        chain = [*joints[1 + 3 * f:4 + 3 * f], tips[f]]
        for j in range(3):
            twist = chain[j] - chain[j + 1]
            twist /= np.linalg.norm(twist)
            bend = np.cross(twist, up)
            bend /= np.linalg.norm(bend)
            axes[3 * f + j] = twist, np.cross(bend, twist), bend
    return axes


def anatomical_angles(mano_pose: Array) -> Array:
    """Twist, spread and bend (15, 3), rad, of a MANO pose (45,), axis-angle, flat hand = 0.

    Each joint's rotation is expressed in its anatomical frame and split as intrinsic rotations about
    twist, spread, bend. Bend is positive towards the palm; spread turns about the joint's dorsal axis.
    """
    from scipy.spatial.transform import Rotation

    axes = anatomical_axes()
    local = Rotation.from_rotvec(np.asarray(mano_pose, float).reshape(15, 3))
    frames = Rotation.from_matrix(np.swapaxes(axes, 1, 2))  # columns are the axes
    return (frames.inv() * local * frames).as_euler("XYZ")
