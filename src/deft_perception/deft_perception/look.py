"""`look:` of a task: which thing on the table, and which part of it, is to be grasped."""

from __future__ import annotations

import cv2
import numpy as np
from pydantic import Field, model_validator

from deft_core.config import Config
from deft_core.descriptions import NonNegative, Positive
from deft_core.errors import DeftError
from deft_perception import codes
from deft_perception.scene import Mask, Prompt, TableScene

NOISE_PIXELS = 40       # of a thing between the heights asked for, fewer are noise
NEAREST_QUANTILE = 0.5  # %, of the distances: the nearest point, but for noise


class LookConfig(Config):
    """`look:` of a task."""

    noun: str = Field(default="", description="name of the thing that the hand grasps, where several stand on the table")
    point: tuple[NonNegative, NonNegative] | None = Field(default=None, description="pixel (u, v) on it, for a camera and "
                                                          "an object that stay where they are")
    box: tuple[NonNegative, NonNegative, NonNegative, NonNegative] | None = Field(
        default=None, description="pixels (u0, v0, u1, v1) round it, likewise")
    heights: tuple[NonNegative, Positive] | None = Field(default=None, description="m above the table, from and to; "
                                                         "else all of it")
    nearest: Positive | None = Field(default=None, description="m, only what is at most this much further from the robot's "
                                     "base than the object's nearest point; else all of it")

    @model_validator(mode="after")
    def _ordered(self) -> LookConfig:
        if self.heights and self.heights[0] >= self.heights[1]:
            raise ValueError("heights must be from low to high")
        if self.box and (self.box[0] >= self.box[2] or self.box[1] >= self.box[3]):
            raise ValueError("box must be from the upper left to the lower right corner")
        return self

    def prompt(self) -> Prompt:
        """What the task itself says of which thing is meant."""
        return Prompt(self.point, self.box, self.noun)


def part(scene: TableScene, mask: Mask, look: LookConfig) -> Mask:
    """The part of a thing's mask (h, w) that the task is about, as far as it is in the object region.

    Raises:
        DeftError: NO_OBJECT.
    """
    mask = mask & ~scene.beyond_region()
    if look.heights:
        mask = _band(scene, mask, look.heights)
    return _near(scene, mask, look.nearest) if look.nearest else mask


def reaches(scene: TableScene, mask: Mask, heights: tuple[float, float]) -> bool:
    """True when a thing's mask (h, w) has something between two heights above the table, m; a few pixels are noise."""
    coarse = mask[::scene.step, ::scene.step]
    with np.errstate(invalid="ignore"):
        between = coarse & (scene.height > heights[0]) & (scene.height < heights[1])
    return int(between.sum()) * scene.step**2 >= NOISE_PIXELS


def nothing_between(heights: tuple[float, float]) -> DeftError:
    """What is raised where a task's look asks for heights at which there is nothing."""
    low, high = (round(h * 1000) for h in heights)
    return DeftError(codes.NO_OBJECT, f"nothing stands between {low} and {high} mm above the table; put the object as in the "
                     "demonstration, or correct look.heights in the task's YAML")


def _band(scene: TableScene, mask: Mask, heights: tuple[float, float]) -> Mask:
    """The largest connected part between two heights above the table, m."""
    height = scene.table.height_above(scene.whole_cloud)
    with np.errstate(invalid="ignore"):
        between = mask & (height > heights[0]) & (height < heights[1])
    closed = cv2.morphologyEx(between.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    if count == 1:
        raise nothing_between(heights)
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _near(scene: TableScene, mask: Mask, depth: float) -> Mask:
    """The pixels at most `depth` (m) further from the base than the nearest ones."""
    x, y, _ = scene.whole_cloud
    away = np.hypot(x, y)
    known = mask & np.isfinite(away)
    if not known.any():
        return mask
    with np.errstate(invalid="ignore"):
        return np.asarray(mask & (away < np.percentile(away[known], NEAREST_QUANTILE) + depth))
