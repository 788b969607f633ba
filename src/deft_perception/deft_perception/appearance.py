"""How a thing on the table looks, in a few numbers: its shape from depth, its colours from the picture."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from deft_core.types import Array
from deft_perception.scene import Mask, TableScene

HEIGHTS = np.array([0.01, 0.03, 0.05, 0.07, 0.10, 0.15, 0.20, 0.30])  # m, bounds of the bands that are described one by one
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
HUES = 8
GREY = 0.12        # saturation below which a pixel has no hue
MAX_POINTS = 1000  # that a thing is described by
FEW = 10           # points with depth, of fewer nothing can be said
SIZE = 2 + len(QUANTILES) + 4 * (len(HEIGHTS) - 1) + 4 + HUES + 1 + 3


def describe(scene: TableScene, mask: Mask) -> NDArray[np.float32]:
    """(SIZE,): extent, heights, what each band of heights looks like from above, roundness, hues, lightness.

    Lengths are in decimetres, so that all numbers are about as large as one.
    """
    coarse = mask[::scene.step, ::scene.step]
    rows, columns = np.nonzero(coarse & np.isfinite(scene.height))
    if len(rows) < FEW:
        return np.zeros(SIZE, np.float32)
    some = slice(None, None, -(-len(rows) // MAX_POINTS))
    rows, columns = rows[some], columns[some]
    height, points = scene.height[rows, columns].astype(float), scene.cloud[:2, rows, columns].T.astype(float)
    flat = points - np.median(points, axis=0)
    return np.concatenate([_extent(flat), _quantiles(height, QUANTILES) * 10, _bands(flat, height), _outline(coarse),
                           _colours(scene.rgb[rows * scene.step, columns * scene.step])]).astype(np.float32)


def _quantiles(values: Array, shares: tuple[float, ...]) -> Array:
    """The values (n,) below which these shares lie; without numpy's interpolation, which takes longer than all the rest."""
    return np.sort(values)[(np.array(shares) * (len(values) - 1)).astype(int)]


def _extent(flat: Array) -> Array:
    """Length and breadth of points (n, 2) as seen from above, dm."""
    axes = np.linalg.eigh(flat.T @ flat)[1]
    return np.sort(np.ptp(flat @ axes, axis=0))[::-1] * 10


def _bands(flat: Array, height: Array) -> Array:
    """For each band of heights: its share of the points, their spread along two directions, and how hollow they lie."""
    out = []
    for low, high in itertools.pairwise(HEIGHTS):
        here = flat[(height >= low) & (height < high)]
        if len(here) < 5:
            out += [len(here) / len(flat), 0.0, 0.0, 0.0]
            continue
        centred = here - here.mean(axis=0)
        minor, major = np.sqrt(np.linalg.eigvalsh(centred.T @ centred / len(here)).clip(0.0))
        inner, outer = _quantiles(np.linalg.norm(centred, axis=1), (0.2, 0.9))
        out += [len(here) / len(flat), major * 20, minor * 20, inner / max(outer, 1e-4)]
    return np.array(out)


def _outline(mask: Mask) -> Array:
    """In the picture: fullness of the convex hull and of the rotated box, circularity, slenderness."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = max(contours, key=cv2.contourArea)
    area, hull = float(mask.sum()), cv2.contourArea(cv2.convexHull(outline))
    _, (a, b), _ = cv2.minAreaRect(outline)
    perimeter = cv2.arcLength(outline, closed=True)
    circularity = 4 * np.pi * cv2.contourArea(outline) / max(perimeter**2, 1.0)
    return np.array([area / max(hull, 1.0), area / max(a * b, 1.0), circularity, min(a, b) / max(a, b, 1.0)])


def _colours(rgb: NDArray[np.uint8]) -> Array:
    """Shares of hues and of greys among pixels (n, 3), then lightness: middle and spread, and middle saturation."""
    hsv = cv2.cvtColor(rgb[None].astype(np.float32) / np.float32(255), cv2.COLOR_RGB2HSV)[0]
    coloured = hsv[:, 1] > GREY
    hues = np.bincount((hsv[coloured, 0] / 360 * HUES).astype(int) % HUES, minlength=HUES) / len(rgb)
    return np.array([*hues, 1.0 - coloured.mean(), np.median(hsv[:, 2]), hsv[:, 2].std(), np.median(hsv[:, 1])])
