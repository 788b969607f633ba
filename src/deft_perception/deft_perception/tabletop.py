"""The tabletop backend: what stands on the table by its depth, its border by its colour. No weights, milliseconds."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_core.errors import DeftError
from deft_perception import codes
from deft_perception.scene import Mask, Prompt, TableScene

BORDER = 6        # pixels about the border that colour decides on
SURE = 2          # pixels inside the border that are surely the object
AROUND = 21       # pixels, side of the window that colours are averaged over
GAP = 3           # pixels, a gap in depth this wide is closed
HANDLE, MOSTLY = 1.15, 0.85  # what reaches further than a ring does in most directions is a handle, and surrounds nothing
HOLLOW = 0.6      # share of what it surrounds that the cells of a hollow thing take up at most
DOUBT = 0.4       # share of min_height from which on depth leaves it to the colour
MOST = 250        # things, the largest
CLICK_REACH = 12  # pixels, a click this far off a thing still means it
IN_BOX = 0.3      # share of a thing inside the prompt's box that it needs
MARGIN = 0.08     # m, a thing may reach this far beyond the object region
CONTENT = 0.3     # share of a thing's cells inside another's, from which on it is that one's content
SECTORS, SURROUNDED = 48, 0.6  # directions seen from its middle, and the share of them in which a ring must be seen


class TabletopConfig(Config):
    """`tabletop.` parameters of the perception node."""

    min_height: Positive = Field(default=0.010, description="m, lower things are part of the table")
    max_height: Positive = Field(default=0.40, description="m, higher things are not objects")
    cell: Positive = Field(default=0.006, description="m, grid seen from above on which things are told apart")
    join: Positive = Field(default=0.03, description="m, parts of the same tint this near to each other are one thing")
    same_tint: Positive = Field(default=0.25, description="difference of two tints that is none, as a share of the stronger "
                                "one; a tint is CIELAB's a and b divided by lightness")
    min_pixels: int = Field(default=150, gt=0, description="smaller things are noise")

    @model_validator(mode="after")
    def _ordered(self) -> TabletopConfig:
        if self.min_height >= self.max_height:
            raise ValueError("min_height must be below max_height")
        return self


class TabletopSegmenter:
    """See Segmenter."""

    name = "tabletop"

    def __init__(self, config: TabletopConfig) -> None:
        self._config = config

    def things(self, scene: TableScene) -> list[Mask]:
        """Everything that stands on the table, largest first, as far as depth shows it.

        Points are told apart as seen from above, where what stands apart is apart, whatever hides what. What a ring
        of points surrounds belongs to it: the floor of a bowl is as low as the table.
        """
        config = self._config
        with np.errstate(invalid="ignore"):
            tall = scene.height > config.min_height
            standing = np.flatnonzero(tall & (scene.height < config.max_height))
            low = np.flatnonzero(~tall & (scene.height > -config.min_height))
        if not len(standing):
            return []
        grid = _Grid(scene, config.cell)
        cells = grid.cells(standing)
        parts, count = grid.parts(cells)
        thing_of, covers = self._grouped(scene, standing, parts, cells, count)
        things = thing_of[parts]
        flat = np.zeros(tall.size, np.int32)
        flat[standing] = things.ravel()[cells]
        surrounded = np.where(things == 0, covers, 0)
        flat[low] = surrounded.ravel()[grid.cells(low)]
        sizes = np.bincount(flat, minlength=count)
        inside = np.bincount(flat[scene.inside.ravel()], minlength=count)
        wanted = (inside >= config.min_pixels / scene.step**2) & (inside > sizes / 2)
        found = [thing for thing in np.argsort(-sizes) if thing and wanted[thing]][:MOST]
        rank = np.zeros(count, np.uint8)
        rank[found] = np.arange(1, len(found) + 1)
        image = scene.whole(rank[flat].reshape(tall.shape))
        return [image == k for k in range(1, len(found) + 1)]

    def prompted(self, scene: TableScene, prompt: Prompt) -> tuple[Mask, float]:
        """See Segmenter: the thing under the pixel or nearest to it, or the one that lies most in the box."""
        things = self.things(scene)
        if prompt.point is not None:
            u, v = prompt.point
            distance = [_distance(mask, u, v) for mask in things]
            best = int(np.argmin(distance)) if things else -1
            if best < 0 or distance[best] > CLICK_REACH:
                raise DeftError(codes.NO_OBJECT, f"no object at the prompt pixel ({u:.0f}, {v:.0f}); {len(things)} "
                                "candidate(s) stand elsewhere: point at one of them")
            return things[best], 1.0
        u0, v0, u1, v1 = (max(round(x), 0) for x in prompt.box or (0.0,) * 4)
        shares = [float(mask[v0:v1, u0:u1].sum() / mask.sum()) for mask in things]
        best = int(np.argmax(shares)) if things else -1
        if best < 0 or shares[best] < IN_BOX:
            raise DeftError(codes.NO_OBJECT, f"no object inside the prompt box ({u0}, {v0}, {u1}, {v1}); {len(things)} "
                            "candidate(s) stand elsewhere: draw it round one of them")
        return things[best], shares[best]

    def _grouped(self, scene: TableScene, pixels: NDArray[np.intp], parts: NDArray[np.int32], cells: NDArray[np.int32],
                 count: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The thing that each part belongs to, and the thing that covers each cell, 0 = none.

        Parts are one thing when they are near each other and of the same tint, like a drawer's front and its
        cabinet, or when one lies in the other, like a bagel in a pan.
        """
        part_of = parts.ravel()[cells]
        weight = np.bincount(part_of, minlength=count)
        large = [k for k in range(1, count) if weight[k] >= self._config.min_pixels / scene.step**2]
        tint = {k: _tint(scene, pixels[part_of == k]) for k in large}
        cover = {k: _filled(parts == k) for k in large}
        group = np.arange(count, dtype=np.int32)
        reach = _disc(int(np.ceil(self._config.join / self._config.cell)))
        for a in large:
            near = cv2.dilate((parts == a).astype(np.uint8), reach) > 0
            for b in np.flatnonzero(np.bincount(parts[near | cover[a]])).tolist():
                if b not in (0, a) and ((b in tint and self._alike(tint[a], tint[b])) or cover[a][parts == b].mean() > CONTENT):
                    group[group == group[b]] = group[a]
        covers = np.zeros_like(parts)
        for k in large:
            covers[cover[k]] = group[k]
        return group, covers

    def _alike(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
        """True for tints that are the same but for highlights, which make colours pale."""
        strength = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
        return float(np.linalg.norm(a - b)) < self._config.same_tint * (0.25 + strength)

    def refined(self, scene: TableScene, mask: Mask) -> Mask:
        """The mask with holes of the depth image filled and its border where the colour changes.

        Near the border depth is missing (shadows of the stereo pair) and low parts drown in the table's tolerance.
        There a pixel belongs to the object when its colour is nearer to the object's around it than to the rest's.
        """
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        margin = 2 * BORDER
        window = (slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin + 1),
                  slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin + 1))
        height = scene.height_in(window)
        closed = _bytes(cv2.morphologyEx(mask[window].astype(np.uint8), cv2.MORPH_CLOSE, _disc(GAP)))
        seen = _without_holes(closed, np.isnan(height))
        inner, outer = _bytes(cv2.erode(seen, _disc(SURE))), _bytes(cv2.dilate(seen, _disc(BORDER)))
        with np.errstate(invalid="ignore"):
            doubtful = np.isnan(height) | ((height < self._config.min_height) & (height > DOUBT * self._config.min_height))
            standing = (height >= self._config.min_height) & (cv2.dilate(seen, _disc(scene.step)) > 0)
        band = (outer > 0) & (inner == 0) & doubtful
        decided = standing | (inner > 0)
        decided[band] = _nearer(np.ascontiguousarray(scene.rgb[window]), inner, 1 - outer, band)
        out = np.zeros(mask.shape, bool)
        out[window] = _hanging_together(_bytes(cv2.morphologyEx(decided.astype(np.uint8), cv2.MORPH_OPEN, _disc(1))), seen)
        return out


class _Grid:
    """The object region and a margin about it, seen from above in cells."""

    def __init__(self, scene: TableScene, cell: float) -> None:
        self._scene, self._cell = scene, np.float32(cell)
        self._low = np.array(scene.region.lower[:2], np.float32) - MARGIN
        high = np.array(scene.region.upper[:2], np.float32) + MARGIN
        self._shape = tuple(np.ceil((high - self._low) / cell).astype(int) + 3)  # a rim of free cells

    def cells(self, pixels: NDArray[np.intp]) -> NDArray[np.int32]:
        """The cell of each coarse pixel; those outside share a cell of the rim."""
        x, y = (((self._scene.cloud[axis].ravel()[pixels] - self._low[axis]) / self._cell).astype(np.int32) + 1
                for axis in (0, 1))
        outside = (x < 1) | (y < 1) | (x > self._shape[0] - 2) | (y > self._shape[1] - 2)
        return np.where(outside, 0, x * self._shape[1] + y)

    def parts(self, cells: NDArray[np.int32]) -> tuple[NDArray[np.int32], int]:
        """What hangs together: a label for each cell, 0 = free, and the number of labels."""
        counts = np.bincount(cells, minlength=self._shape[0] * self._shape[1]).reshape(self._shape)
        counts[0, 0] = 0
        count, parts = cv2.connectedComponents(cv2.morphologyEx((counts > 0).astype(np.uint8), cv2.MORPH_CLOSE, _disc(1)),
                                               connectivity=8)
        return np.asarray(parts, np.int32), count


def _distance(mask: Mask, u: float, v: float) -> float:
    """Pixels from (u, v) to the mask, 0 on it."""
    rows, columns = np.nonzero(mask)
    return float(np.sqrt(((columns - u) ** 2 + (rows - v) ** 2).min()))


def _tint(scene: TableScene, pixels: NDArray[np.intp]) -> NDArray[np.float32]:
    """(2,): the usual colour of coarse pixels, whatever the light on them."""
    some = pixels[::max(1, len(pixels) // 500)]
    rows, columns = np.divmod(some, scene.height.shape[1])
    rgb = scene.rgb[rows * scene.step, columns * scene.step].astype(np.float32) / np.float32(255.0)
    lab = cv2.cvtColor(rgb[None], cv2.COLOR_RGB2LAB)[0]
    return np.median(lab[:, 1:] / np.maximum(lab[:, :1], 5.0), axis=0)


def _filled(cells: Mask) -> Mask:
    """The cells with what they surround. The ring of a hollow thing may have gaps, where the camera does not see it."""
    out = _outline_filled(cells.astype(np.uint8)) > 0
    rows, columns = np.nonzero(cells)
    middle = rows.mean(), columns.mean()
    window = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    v, u = np.ogrid[window]
    distance, direction = np.hypot(v - middle[0], u - middle[1]), np.arctan2(v - middle[0], u - middle[1])
    sector = ((direction / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
    reach = np.zeros(SECTORS)
    np.maximum.at(reach, sector[cells[window]], distance[cells[window]])
    seen = np.flatnonzero(reach)
    if not len(seen):  # a single cell surrounds nothing
        return np.asarray(out)
    reach = np.minimum(reach, HANDLE * np.quantile(reach[seen], MOSTLY))
    within = distance <= np.interp(np.arange(SECTORS), seen, reach[seen], period=SECTORS)[sector]
    if len(seen) >= SURROUNDED * SECTORS and len(rows) < HOLLOW * within.sum():
        out[window] |= within
    return np.asarray(out)


def _disc(radius: int) -> NDArray[np.uint8]:
    return _bytes(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))


def _bytes(image: Any) -> NDArray[np.uint8]:
    """What OpenCV returns of a byte image, typed."""
    return np.asarray(image, np.uint8)


def _without_holes(mask: NDArray[np.uint8], unknown: Mask) -> NDArray[np.uint8]:
    """Fill what the mask encloses where there is no depth; what is seen through a handle stays out."""
    return np.where(unknown, _outline_filled(mask), mask).astype(np.uint8)


def _outline_filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mask with all that its outer outlines enclose."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return _bytes(cv2.drawContours(np.zeros_like(mask), contours, -1, 1, cv2.FILLED))


def _nearer(rgb: NDArray[np.uint8], ours: NDArray[np.uint8], theirs: NDArray[np.uint8], band: Mask) -> Mask:
    """For each pixel of the band (n,): its colour is nearer to the mean of `ours` about it than to that of `theirs`."""
    lab = _bytes(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB))
    colour = lab[band].astype(np.float32)
    distance = [((colour - _mean_around(lab, mask, band)) ** 2).sum(axis=1) for mask in (ours, theirs)]
    return np.asarray(distance[0] < distance[1])


def _mean_around(lab: NDArray[np.uint8], mask: NDArray[np.uint8], band: Mask) -> NDArray[np.float32]:
    """(n, 3) mean colour of the mask's pixels about each pixel of the band; far from the mask that of all of it."""
    side = (AROUND, AROUND)
    count = cv2.boxFilter(mask, cv2.CV_32F, side, normalize=False)[band]
    total = cv2.boxFilter(cv2.bitwise_and(lab, lab, mask=mask), cv2.CV_32F, side, normalize=False)[band]
    overall = np.array(cv2.mean(lab, mask)[:3], np.float32)
    return np.where(count[:, None] > 0, total / np.maximum(count[:, None], 1.0), overall).astype(np.float32)


def _hanging_together(mask: NDArray[np.uint8], seen: NDArray[np.uint8]) -> Mask:
    """The parts of the mask that hang together with what depth has shown."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    kept = np.bincount(labels[seen > 0], minlength=count) > 0
    kept[0] = False
    return np.asarray(kept[labels])
