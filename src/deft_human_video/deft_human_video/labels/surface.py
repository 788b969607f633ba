"""What a depth camera sees of a hand, and how far a hand's skin is from it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from deft_core.projection import metres
from deft_core.types import Array, Intrinsics
from deft_human_video.hand_mesh import HandMesh, skinned
from deft_human_video.labels.registration import cloud
from deft_human_video.video import Depth

POINTS = 160   # of the depth image that are fitted
CHECKED = 90   # of the skin's vertices that are checked for standing where nothing is seen
REACH = 0.04   # m, points of the image further from the skin pull no harder


@dataclass(frozen=True)
class Sight:
    """What depth shows of a hand.

    Attributes:
        points: (n, 3) m, optical frame, on the hand's skin.
        depth: (h, w) m, of everything; 0 = none.
        outside: (h, w) pixels from the nearest place where the hand may be: itself, its arm, or behind something.
    """

    points: Array
    depth: NDArray[np.float32]
    outside: NDArray[np.float32]


def sight_of(hand: NDArray[np.bool_], may_hide: NDArray[np.bool_], depth: Depth, intrinsics: Intrinsics) -> Sight:
    """The sight of a frame.

    Args:
        hand: (h, w) pixels of the hand.
        may_hide: (h, w) other pixels behind which parts of the hand can be.
    """
    points = cloud(depth, hand, intrinsics)
    points = points[np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int)]
    outside = cv2.distanceTransform((~(hand | may_hide)).astype(np.uint8), cv2.DIST_L2, 3)
    return Sight(points, np.nan_to_num(metres(depth)), outside.astype(np.float32))


@dataclass(frozen=True)
class Match:
    """Which vertex of the skin each point belongs to.

    Attributes:
        vertices: (m,) indices.
        points: (m, 3) m, optical frame.
        normals: (m, 3) of the skin there.
    """

    vertices: NDArray[np.intp]
    points: Array
    normals: Array


class Skin:
    """A hand's skin that follows its joints."""

    def __init__(self, mesh: HandMesh) -> None:
        self._vertices, self._weights, self._faces = mesh.vertices, mesh.weights, mesh.faces
        edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
        pairs, count = np.unique(edges, axis=0, return_counts=True)
        self._border = np.zeros(len(mesh.vertices), bool)  # the open end at the wrist: what lies beyond is the arm
        self._border[pairs[count == 1].ravel()] = True
        self.checked = np.linspace(0, len(mesh.vertices) - 1, CHECKED).astype(int)

    def at(self, transforms: Array, vertices: NDArray[np.intp] | slice = slice(None)) -> Array:
        """(..., m, 3) m: some vertices where joints (..., 16, 3, 4) take them."""
        return skinned(self._weights[vertices], self._vertices[vertices], transforms)

    def matched(self, transforms: Array, sight: Sight) -> Match:
        """The nearest vertex that faces the camera, for each point of a sight that is not the arm's."""
        skin = self.at(transforms)
        a, b, c = (skin[self._faces[:, k]] for k in range(3))
        facets = np.cross(b - a, c - a)
        normals = np.zeros_like(skin)
        for k in range(3):
            np.add.at(normals, self._faces[:, k], facets)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        facing = np.flatnonzero((normals * skin).sum(axis=1) < 0.0)
        distance, nearest = cKDTree(skin[facing]).query(sight.points)
        vertices = facing[nearest]
        use = ~self._border[vertices] & (distance < REACH)
        return Match(vertices[use], sight.points[use], normals[vertices[use]])
