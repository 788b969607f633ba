"""Where on the object the hand touches it: points in the overlap of the two, and a Gaussian mixture over them.

With a fitted hand the points are those of its fingers that lie on the object. With boxes alone they are, as in
hoi-forecast, the skin's outline inside the overlap of the two boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from deft_core.types import Array
from deft_human_video.clip import Box
from deft_human_video.errors import Rejected
from deft_human_video.video import Rgb

STEP = "contact points"
SAMPLES = 20       # points kept, as in hoi-forecast
SLACK = 4          # pixels round the object that still count as on it
FEW = 3
SHARPEST = 2.0     # pixels, least standard deviation of a component
# Skin by colour, in HSV or in YCrCb
SKIN_HSV = (np.array([0, 40, 0]), np.array([25, 255, 255]))
SKIN_YCRCB = (np.array([0, 138, 67]), np.array([255, 173, 133]))


@dataclass(frozen=True)
class Contacts:
    """Contact points in the first frame.

    Attributes:
        points: (n, 2) pixels.
        weights, means, deviations: (k,), (k, 2) and (k, 2) pixels, a Gaussian mixture with axis-parallel components.
    """

    points: Array
    weights: Array
    means: Array
    deviations: Array

    @property
    def centre(self) -> Array:
        """(2,) pixels, the mixture's mean."""
        return np.asarray(self.weights @ self.means)


def on_object(fingers: list[Array], on: NDArray[np.bool_]) -> Array:
    """Points (n, 2 or more) of each finger that lie on the object, SAMPLES in all, as many of each finger.

    Args:
        fingers: (n, 2) pixels of the first frame, one array a finger; more columns are kept with them.
        on: (h, w) the object, with SLACK.

    Raises:
        Rejected: too few do.
    """
    height, width = on.shape
    kept = []
    for pixels in fingers:
        column, row = np.round(pixels[:, :2]).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        inside[inside] = on[row[inside], column[inside]]
        if inside.sum() >= FEW:
            kept.append(pixels[inside])
    if not kept:
        raise Rejected(STEP, "no finger lies on the object")
    share = max(SAMPLES // len(kept), FEW)
    return np.concatenate([farthest(points, share) for points in kept])


def skin_in_overlap(rgb: Rgb, hand: Box, thing: Box) -> Array:
    """Points (n, 2), pixels: the skin's outline where the boxes of hand and object overlap. Raises Rejected."""
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = (int(np.clip(round(v), 0, limit)) for v, limit in zip(hand, (width, height) * 2, strict=True))
    left, top, right, bottom = max(x0, int(thing[0])), max(y0, int(thing[1])), min(x1, int(thing[2])), min(y1, int(thing[3]))
    if right - left < FEW or bottom - top < FEW:
        raise Rejected(STEP, "the boxes of hand and object do not overlap")
    left, top, right, bottom = max(left - 2, 0), max(top - 2, 0), min(right + 3, width), min(bottom + 3, height)
    patch = rgb[y0:y1, x0:x1]
    skin = np.zeros(rgb.shape[:2], np.uint8)
    skin[y0:y1, x0:x1] = cv2.bitwise_or(cv2.inRange(cv2.cvtColor(patch, cv2.COLOR_RGB2HSV), *SKIN_HSV),
                                        cv2.inRange(cv2.cvtColor(patch, cv2.COLOR_RGB2YCrCb), *SKIN_YCRCB))
    opened = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = max(outlines, key=len).reshape(-1, 2).astype(float) if outlines else np.zeros((0, 2))
    inside = (points >= [left, top]).all(axis=1) & (points < [right, bottom]).all(axis=1)
    if inside.sum() < FEW:  # no skin that can be told from the rest: the overlap itself
        v, u = np.mgrid[top:bottom, left:right]
        return farthest(np.stack([u.ravel(), v.ravel()], axis=1).astype(float), SAMPLES)
    return farthest(points[inside], SAMPLES)


def farthest(points: Array, count: int) -> Array:
    """At most `count` of the points (n, 2 or more), each as far in the picture from those before it as can be."""
    pixels = points[:, :2]
    chosen = [int(np.argmin(np.linalg.norm(pixels - pixels.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(pixels - pixels[chosen[0]], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(pixels - pixels[chosen[-1]], axis=1))
    return points[chosen]


def behind_surface(points: Array, depth: NDArray[np.uint16], thing: NDArray[np.bool_]) -> tuple[float, float] | None:
    """How far behind what is seen of the object the hand touches it: fingers on its far side are hidden by it.

    Args:
        points: (n, 3) pixels of the first frame and m along the camera's axis, of the touching skin.
        depth: (h, w) mm of the first frame, 0 = none.
        thing: (h, w) the object.

    Returns:
        m, the mean depth of the surface at the points' pixels and the points' mean distance behind it; None: there is no depth.
    """
    surface, behind = [], []
    for u, v, z in points:
        left, top = max(round(u) - SLACK, 0), max(round(v) - SLACK, 0)
        window = slice(top, round(v) + SLACK + 1), slice(left, round(u) + SLACK + 1)
        near = depth[window][thing[window] & (depth[window] > 0)]
        if len(near):
            surface.append(float(np.median(near)) / 1000)
            behind.append(z - surface[-1])
    return (float(np.mean(surface)), float(np.mean(behind))) if behind and np.isfinite(behind).all() else None


def mixture(points: Array, components: int) -> Contacts:
    """A Gaussian mixture over points (n, 2), with fewer components where there are fewer different points."""
    k = min(components, len(np.unique(points, axis=0)))
    fitted = GaussianMixture(k, covariance_type="diag", reg_covar=SHARPEST**2, random_state=0, n_init=1).fit(points)
    return Contacts(points, fitted.weights_, fitted.means_, np.sqrt(fitted.covariances_))
