"""Tabletop segmentation from depth: table plane, things standing on it, the one that is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from deft_core.config import Config
from deft_core.descriptions import NonNegative, Positive
from deft_core.errors import DeftError
from deft_core.types import Array, Intrinsics, Pose
from deft_perception import codes


class TabletopConfig(Config):
    """Parameters of the tabletop backend."""

    plane_tolerance: Positive = Field(0.008, description="m, points this near to the plane belong to the table")
    min_height: Positive = Field(0.012, description="m, lower things are part of the table")
    max_height: Positive = Field(0.40, description="m, higher things are not objects")
    min_pixels: int = Field(150, gt=0, description="smaller clusters are noise")
    max_table_tilt: Positive = Field(0.2, description="rad, between the plane's normal and the base frame's z")
    min_table_share: Positive = Field(0.15, description="share of valid points in the object region that the plane needs")
    plane_trials: int = Field(200, gt=0, description="random triples tried for the plane")


class LookConfig(Config):
    """`look:` of a task: which part of what stands there is to be grasped."""

    heights: tuple[NonNegative, Positive] | None = Field(default=None, description="m above the table, from and to; "
                                                             "else all of it")
    nearest: Positive | None = Field(default=None, description="m, only what is at most this much further from the robot's "
                                     "base than the object's nearest point; else all of it")

    @model_validator(mode="after")
    def _ordered(self) -> LookConfig:
        if self.heights and self.heights[0] >= self.heights[1]:
            raise ValueError("heights must be from low to high")
        return self


@dataclass(frozen=True)
class Plane:
    """The table: points p with normal . p = offset, base frame, metres; `share` of points support it."""

    normal: Array
    offset: float
    share: float

    def height_above(self, points: Array) -> Array:
        """Signed distance (...) of points (..., 3), m; NaN stays NaN."""
        return np.asarray(points @ self.normal - self.offset)

    def height_at(self, x: float, y: float) -> float:
        """z of the plane at (x, y), m."""
        return float((self.offset - self.normal[0] * x - self.normal[1] * y) / self.normal[2])


@dataclass(frozen=True)
class Segment:
    """The chosen object: mask (h, w) bool, its score 0..1, the table, and how many candidates there were."""

    mask: NDArray[np.bool_]
    score: float
    table: Plane
    candidates: int


@dataclass(frozen=True)
class Prompt:
    """What tells the object from others: a pixel (u, v), or a box (u0, v0, u1, v1), or neither."""

    point: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None


def cloud(depth: NDArray[np.uint16], intrinsics: Intrinsics, camera: Pose) -> Array:
    """Points (h, w, 3) in the base frame, m; NaN where the depth image (h, w, millimetres) has none."""
    metres = np.where(depth > 0, depth / 1000.0, np.nan)
    v, u = np.indices(depth.shape)
    return camera.apply(intrinsics.deproject(np.stack([u, v], axis=-1), metres))


def fit_table(points: Array, config: TabletopConfig) -> Plane:
    """The dominant near-horizontal plane of points (n, 3), base frame, by RANSAC and a least-squares finish.

    Raises:
        DeftError: NO_TABLE.
    """
    points = points[np.isfinite(points).all(axis=-1)]
    if len(points) < 3 * config.min_pixels:
        raise DeftError(codes.NO_TABLE, f"only {len(points)} depth points in the object region; "
                        "is the camera looking at the table, and is depth aligned to colour?")
    rng = np.random.default_rng(0)  # the same image gives the same plane
    sample = points[rng.integers(len(points), size=min(4000, len(points)))]
    triples = sample[rng.integers(len(sample), size=(config.plane_trials, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-8
    normals = normals[usable] / lengths[usable, None]
    normals *= np.sign(normals[:, 2:3]) + (normals[:, 2:3] == 0)
    level = normals[:, 2] > np.cos(config.max_table_tilt)
    normals, anchors = normals[level], triples[usable][level][:, 0]
    if not len(normals):
        raise DeftError(codes.NO_TABLE, "no level surface in view; check the camera's calibration in the robot's YAML")
    distance = np.abs(sample @ normals.T - np.einsum("ij,ij->i", normals, anchors))
    best = int(np.argmax((distance < config.plane_tolerance).sum(axis=0)))
    plane = Plane(normals[best], float(normals[best] @ anchors[best]), 0.0)
    for _ in range(3):
        inliers = points[np.abs(plane.height_above(points)) < config.plane_tolerance]
        centre = inliers.mean(axis=0)
        normal = np.linalg.eigh(np.cov((inliers - centre).T))[1][:, 0]
        normal *= np.sign(normal[2])
        plane = Plane(normal, float(normal @ centre), len(inliers) / len(points))
    if plane.share < config.min_table_share:
        raise DeftError(codes.NO_TABLE, f"only {plane.share:.0%} of the points lie on one plane; clear the table, "
                        "or correct object_region in the robot's YAML")
    return plane


def segment(points: Array, inside: NDArray[np.bool_], prompt: Prompt, config: TabletopConfig,
            look: LookConfig | None = None) -> Segment:
    """Find the object that stands on the table, or the part of it that the task is about.

    Args:
        points: (h, w, 3) base frame, m, NaN where there is no depth.
        inside: (h, w) which pixels lie in the object region.
        prompt: which of several things is meant.
        look: which part of it; None for all.

    Raises:
        DeftError: NO_TABLE, NO_OBJECT or BAD_INPUT.
    """
    table = fit_table(points[inside], config)
    height = table.height_above(points)
    look = look or LookConfig()
    low, high = look.heights or (config.min_height, config.max_height)
    low, high = max(low, config.min_height), min(high, config.max_height)
    standing = inside & (height > low) & (height < high)
    closed = cv2.morphologyEx(standing.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= config.min_pixels]
    if not large:
        raise DeftError(codes.NO_OBJECT, f"nothing between {low * 1000:.0f} and {high * 1000:.0f} mm above the table stands "
                        "inside the object region; put the object down, or correct object_region in the robot's YAML or "
                        "look.heights in the task's")
    chosen, score = _choose(labels, stats, large, prompt)
    mask = labels == chosen
    return Segment(_near_part(points, mask, look.nearest) if look.nearest else mask, score, table, len(large))


def _near_part(points: Array, mask: NDArray[np.bool_], depth: float) -> NDArray[np.bool_]:
    """The pixels of a mask at most `depth` (m) further from the base than its nearest ones."""
    away = np.linalg.norm(points[..., :2], axis=-1)
    nearest = np.nanpercentile(away[mask], 0.5) if np.isfinite(away[mask]).any() else np.nan
    part: NDArray[np.bool_] = mask & (away < nearest + depth)
    return part if part.any() else mask


def _choose(labels: NDArray[Any], stats: NDArray[Any], candidates: list[int],
            prompt: Prompt) -> tuple[int, float]:
    """The candidate at the prompt, or the largest one; its score is how clearly it won."""
    height, width = labels.shape
    if prompt.point is not None:
        u, v = prompt.point
        if not (0 <= u < width and 0 <= v < height):
            raise DeftError(codes.BAD_INPUT, f"the prompt pixel ({u:.0f}, {v:.0f}) lies outside the "
                            f"{width}x{height} image")
        label = int(labels[int(v), int(u)])
        if label in candidates:
            return label, 1.0
        raise DeftError(codes.NO_OBJECT, f"no object at the prompt pixel ({u:.0f}, {v:.0f}); "
                        f"{len(candidates)} candidate(s) stand elsewhere")
    if prompt.box is not None:
        u0, v0, u1, v1 = (int(x) for x in prompt.box)
        window = labels[max(v0, 0):v1, max(u0, 0):u1]
        shares = {i: float((window == i).sum()) / stats[i, cv2.CC_STAT_AREA] for i in candidates}
        best = max(candidates, key=lambda i: shares[i])
        if shares[best] > 0.3:
            return best, shares[best]
        raise DeftError(codes.NO_OBJECT, f"no object inside the prompt box ({u0}, {v0}, {u1}, {v1})")
    areas = sorted((int(stats[i, cv2.CC_STAT_AREA]) for i in candidates), reverse=True)
    best = max(candidates, key=lambda i: int(stats[i, cv2.CC_STAT_AREA]))
    return best, 1.0 if len(areas) == 1 else areas[0] / (areas[0] + areas[1])
