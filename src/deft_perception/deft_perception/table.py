"""The table: a plane through most of what the camera sees of the object region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_core.errors import DeftError
from deft_core.types import Array
from deft_perception import codes

SAMPLE = 1000        # points that a plane's support is counted on
FIT_ROUNDS = 2       # of the least-squares finish
ENOUGH = 200         # depth points in the object region, fewer are no picture of a table


class TableConfig(Config):
    """`table.` parameters of the perception node."""

    tolerance: Positive = Field(default=0.008, description="m, points this near to the plane belong to the table")
    max_tilt: Positive = Field(default=0.2, description="rad, between the plane's normal and the base frame's z")
    min_share: Positive = Field(default=0.15, description="share of valid points in the object region that the plane needs")
    search: Positive = Field(default=0.06, description="m, the plane may be this much higher or lower than the robot's YAML "
                             "says: the top of a box is not the table, however large")
    standing: Positive = Field(default=0.010, description="m, what is higher than this above the table stands in the arm's way")
    trials: int = Field(default=80, gt=0, description="random triples tried for the plane")


@dataclass(frozen=True)
class Plane:
    """The table: points p with normal . p = offset, base frame, metres; `share` of points support it."""

    normal: Array
    offset: float
    share: float

    def height_above(self, cloud: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signed distance (...), m, of points (3, ...), base frame; NaN stays NaN."""
        a, b, c = self.normal.astype(np.float32)
        return cloud[0] * a + cloud[1] * b + (cloud[2] * c - np.float32(self.offset))

    def height_at(self, x: float, y: float) -> float:
        """z of the plane at (x, y), m."""
        return float((self.offset - self.normal[0] * x - self.normal[1] * y) / self.normal[2])


def fit_table(points: NDArray[np.float32], expected: float, config: TableConfig) -> Plane:
    """The plane that most points support, by RANSAC and a least-squares finish.

    Args:
        points: (3, n), base frame, m; NaN where there is no depth.
        expected: z of the table as the robot's YAML has it, m.

    Raises:
        DeftError: NO_TABLE.
    """
    points = points[:, np.isfinite(points[2])]
    count = points.shape[1]
    if count < ENOUGH:
        raise DeftError(codes.NO_TABLE, f"only {count} depth points in the object region; is the camera looking at the table, "
                        "and is depth aligned to colour?")
    rng = np.random.default_rng(0)  # the same image gives the same plane
    finish = np.ascontiguousarray(points.T, np.float64)
    plane = _best_of_triples(finish[rng.integers(count, size=SAMPLE)], expected, config, rng)
    for _ in range(FIT_ROUNDS):
        near = np.abs(finish @ plane.normal - plane.offset) < config.tolerance
        inliers = finish[near]
        centre = inliers.mean(axis=0)
        normal = np.linalg.eigh((inliers - centre).T @ (inliers - centre))[1][:, 0]
        normal *= np.sign(normal[2])
        plane = Plane(normal, float(normal @ centre), float(near.mean()))
    if plane.share < config.min_share:
        raise DeftError(codes.NO_TABLE, f"only {plane.share:.0%} of the points lie on one plane; clear the table, "
                        "or correct object_region in the robot's YAML")
    return plane


def _best_of_triples(sample: Array, expected: float, config: TableConfig, rng: np.random.Generator) -> Plane:
    """The plane through three of the points (n, 3) that most others lie on."""
    triples = sample[rng.integers(len(sample), size=(config.trials, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-8
    normals, anchors = normals[usable] / lengths[usable, None], triples[usable, 0]
    normals *= np.where(normals[:, 2:3] < 0, -1.0, 1.0)
    level = normals[:, 2] > np.cos(config.max_tilt)
    if not level.any():
        raise DeftError(codes.NO_TABLE, "no level surface in view; check the camera's calibration in the robot's YAML")
    normals, offsets = normals[level], np.einsum("ij,ij->i", normals[level], anchors[level])
    middle = np.median(sample[:, :2], axis=0)
    heights = (offsets - normals[:, :2] @ middle) / normals[:, 2]
    near = np.abs(heights - expected) < config.search
    if not near.any():
        raise DeftError(codes.NO_TABLE, f"the surfaces in view lie {np.median(heights) * 1000:.0f} mm above the base frame, "
                        f"the robot's YAML says {expected * 1000:.0f} mm; correct its table_height or the camera's "
                        "calibration")
    normals, offsets = normals[near], offsets[near]
    support = (np.abs(sample @ normals.T - offsets) < config.tolerance).sum(axis=0)
    best = int(np.argmax(support))
    return Plane(normals[best], float(offsets[best]), 0.0)
