"""What a segmentation backend is given, what it is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deft_core.descriptions import BoxConfig
from deft_core.projection import CameraView
from deft_perception.table import Plane, TableConfig, fit_table

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Prompt:
    """What tells the object from others: a pixel (u, v), a box (u0, v0, u1, v1), a noun, or nothing. The first given counts."""

    point: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None
    noun: str = ""


Window = tuple[slice, slice]  # rows and columns of the full image
TABLE_POINTS = 3000           # that the table's plane is fitted to, about
COARSE_WIDTH = 320            # pixels; what stands where is found at about this width, borders at full size


class TableScene:
    """One picture of a table, whole and coarse (every `step`-th pixel).

    Attributes:
        rgb: (h, w, 3) uint8.
        depth: (h, w) float32 m, NaN = none.
        step: pixels between those of the coarse arrays, which are (ceil(h / step), ceil(w / step)).
        cloud: coarse, (3, ., .) float32 m, base frame, NaN = none.
        inside: coarse, depth lies within the x and y range of the object region.
    """

    def __init__(self, rgb: NDArray[np.uint8], depth: NDArray[np.float32], view: CameraView, region: BoxConfig,
                 table_height: float, config: TableConfig) -> None:
        self.rgb, self.depth, self.view, self.region = rgb, depth, view, region
        self._table_height, self._config = table_height, config
        self.step = max(1, round(depth.shape[1] / COARSE_WIDTH))
        every = slice(None, None, self.step)
        self.cloud = view.cloud(depth[every, every], (every, every))
        (x0, y0, _), (x1, y1, _) = region.lower, region.upper
        x, y = self.cloud[0], self.cloud[1]
        self.inside: Mask = (x > x0) & (x < x1) & (y > y0) & (y < y1)

    @cached_property
    def table(self) -> Plane:
        """The table's plane. Raises DeftError NO_TABLE."""
        pixels = np.flatnonzero(self.inside)
        some = pixels[::max(1, len(pixels) // TABLE_POINTS)]
        return fit_table(self.cloud.reshape(3, -1)[:, some], self._table_height, self._config)

    @cached_property
    def height(self) -> NDArray[np.float32]:
        """Coarse: m above the table, NaN where there is no depth."""
        return self.table.height_above(self.cloud)

    @cached_property
    def standing(self) -> Mask:
        """Coarse: something stands there on the table, inside the object region."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.inside & (self.height > self._config.standing) & (self.cloud[2] < self.region.upper[2]))

    def height_in(self, window: Window) -> NDArray[np.float32]:
        """m above the table in a window of the full image, NaN where there is no depth."""
        return self.table.height_above(self.view.cloud(self.depth[window], window))

    @cached_property
    def whole_cloud(self) -> NDArray[np.float32]:
        """(3, h, w) m, base frame, NaN = none; made when somebody asks, because it takes longer than the coarse one."""
        return self.view.cloud(self.depth)

    def beyond_region(self) -> Mask:
        """(h, w): there is depth, and it lies outside the x and y range of the object region."""
        (x0, y0, _), (x1, y1, _) = self.region.lower, self.region.upper
        x, y, _ = self.whole_cloud
        with np.errstate(invalid="ignore"):
            return np.asarray((x < x0) | (x > x1) | (y < y0) | (y > y1))

    def whole(self, coarse: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A coarse image of labels at full size."""
        height, width = self.depth.shape
        rows, columns = coarse.shape
        large = cv2.resize(coarse, (columns * self.step, rows * self.step), interpolation=cv2.INTER_NEAREST)
        return np.asarray(large[:height, :width], np.uint8)


class Segmenter(Protocol):
    """A segmentation backend. Masks are (h, w) bool of the full image."""

    name: str

    def things(self, scene: TableScene) -> list[Mask]:
        """Everything on the table, as well as is needed to choose."""
        ...

    def prompted(self, scene: TableScene, prompt: Prompt) -> tuple[Mask, float]:
        """What stands at the prompt's pixel or in its box, and a score 0..1. Raises DeftError NO_OBJECT."""
        ...

    def refined(self, scene: TableScene, mask: Mask) -> Mask:
        """One of `things` as exactly as the backend can."""
        ...


class Matcher(Protocol):
    """Finds things by their name."""

    name: str

    def scores(self, scene: TableScene, masks: list[Mask], noun: str) -> NDArray[np.float64]:
        """For each mask how surely (0..1) it is what the noun names. Raises DeftError BAD_INPUT for a noun it cannot know."""
        ...
