"""How the camera moved since the first frame: a homography for pixels and, where there is depth, the camera's pose.

Corners of the first frame are tracked from frame to frame (pyramidal Lucas-Kanade); RANSAC leaves out those that a hand
covers or an object takes along. hoi-forecast registers frames by a homography too, from SURF matches with hands and objects
masked.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_core.projection import metres
from deft_core.types import Array, Intrinsics, Pose
from deft_human_video.errors import Rejected
from deft_human_video.video import Depth, Rgb, grey_of

CORNERS, QUALITY, APART = 400, 0.002, 7  # corners sought, their least quality beside the best, pixels between them
WINDOW = (17, 17)
PIXELS = 2.0   # a corner this far off its place is no inlier
LOST = 6.0     # pixels; a corner this far off has been taken along by something
ENOUGH = 12
NEARER = 0.010  # m before the first frame's scene: something new
NOISE = 0.025   # 1/m, times the square of the distance: a stereo camera's errors, and those of the camera's pose
STEP = "registration"


@dataclass(frozen=True)
class Registered:
    """One frame against the first.

    Attributes:
        homography: (3, 3), pixels of the first frame to pixels of this one.
        camera: the first frame's optical frame in this one's (points p of the first are camera.apply(p) here), None without
            depth.
    """

    homography: Array
    camera: Pose | None

    def to_first(self, pixels: Array) -> Array:
        """Pixels (n, 2) of this frame where the first frame shows them."""
        back = np.linalg.inv(self.homography)
        return np.asarray(cv2.perspectiveTransform(np.asarray(pixels, float).reshape(-1, 1, 2), back).reshape(-1, 2))


class Registration:
    """Registers the frames of a clip one after the other."""

    def __init__(self, rgb: Rgb, depth: Depth | None, intrinsics: Intrinsics) -> None:
        self._last = grey_of(rgb)
        found = cv2.goodFeaturesToTrack(self._last, CORNERS, QUALITY, APART)
        self._first = np.zeros((0, 2), np.float32) if found is None else np.asarray(found, np.float32).reshape(-1, 2)
        self._now, self._alive = self._first.copy(), np.ones(len(self._first), bool)
        self._intrinsics = intrinsics
        self._points: NDArray | None = None
        self._turn: Array = np.zeros((3, 1))
        self._shift: Array = np.zeros((3, 1))
        if depth is not None and len(self._first):
            column, row = np.round(self._first).astype(int).T
            self._points = intrinsics.deproject(self._first.astype(float), metres(depth)[row, column].astype(float))

    def next(self, rgb: Rgb) -> Registered:
        """The next frame. Raises Rejected where too little of the first frame is still seen."""
        grey = grey_of(rgb)
        if self._alive.sum() < ENOUGH:
            raise Rejected(STEP, "too few corners to follow the camera by")
        corners = np.ascontiguousarray(self._now[self._alive]).reshape(-1, 1, 2)
        moved, ok, _ = cv2.calcOpticalFlowPyrLK(self._last, grey, corners, corners.copy(), winSize=WINDOW, maxLevel=3)
        where = np.flatnonzero(self._alive)
        self._now[where] = np.asarray(moved).reshape(-1, 2)
        self._alive[where[np.asarray(ok).ravel() == 0]] = False
        self._last = grey
        alive = np.flatnonzero(self._alive)
        if len(alive) < ENOUGH:
            raise Rejected(STEP, "too few corners to follow the camera by")
        homography, inlier = cv2.findHomography(self._first[alive], self._now[alive], cv2.RANSAC, PIXELS)
        if homography is None or inlier.sum() < ENOUGH:
            raise Rejected(STEP, "too few corners agree on how the camera moved")
        agree = alive[inlier.ravel() > 0]
        placed = cv2.perspectiveTransform(self._first[alive].reshape(-1, 1, 2), homography).reshape(-1, 2)
        self._alive[alive[np.linalg.norm(placed - self._now[alive], axis=1) > LOST]] = False
        return Registered(np.asarray(homography, float), self._camera(agree))

    def _camera(self, alive: NDArray) -> Pose | None:
        if self._points is None:
            return None
        use = alive[np.isfinite(self._points[alive]).all(axis=1)]
        if len(use) < ENOUGH:
            raise Rejected(STEP, "too few corners have depth")
        points, pixels, lens = self._points[use], self._now[use].astype(float), self._intrinsics.matrix()
        ok, turn, shift, inlier = cv2.solvePnPRansac(points, pixels, lens, None, self._turn.copy(), self._shift.copy(), True,
                                                     100, 2 * PIXELS, 0.99, flags=cv2.SOLVEPNP_ITERATIVE)
        if not ok or inlier is None or len(inlier) < ENOUGH:
            raise Rejected(STEP, "too few corners agree on how the camera moved")
        self._turn, self._shift = np.asarray(turn, float), np.asarray(shift, float)
        return Pose(self._shift.ravel(), Rotation.from_rotvec(self._turn.ravel()))


def cloud(depth: Depth, mask: NDArray[np.bool_], intrinsics: Intrinsics) -> Array:
    """(n, 3) m, optical frame: the points of a mask (h, w) that have depth, row by row."""
    z = metres(depth)
    v, u = np.nonzero(mask & np.isfinite(z))
    return intrinsics.deproject(np.stack([u, v], axis=1).astype(float), z[v, u].astype(float))


def foreground(depth: Depth, first: Depth, registered: Registered, intrinsics: Intrinsics) -> NDArray[np.bool_]:
    """(h, w): what stands before the first frame's scene: the hand, its arm, moved objects."""
    assert registered.camera is not None
    expected = warped_depth(first, registered.camera, intrinsics)
    now = metres(depth)
    with np.errstate(invalid="ignore"):
        mask = (now < expected - np.maximum(NEARER, NOISE * expected**2)).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), bool)


def warped_depth(first: Depth, camera: Pose, intrinsics: Intrinsics) -> NDArray[np.float32]:
    """(h, w) m: the first frame's depth as this camera would see it; NaN where the first frame saw nothing."""
    height, width = first.shape
    points = camera.apply(cloud(first, np.ones(first.shape, bool), intrinsics))
    pixels = np.round(intrinsics.project(points))
    inside = (pixels >= 0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
    column, row = pixels[inside].astype(int).T
    order = np.argsort(-points[inside, 2])  # the nearest last, so that it stays
    out = np.zeros(first.shape, np.float32)
    out[row[order], column[order]] = points[inside, 2][order]
    filled = cv2.morphologyEx(out, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    out = np.where(out == 0, filled, out)
    return np.where(out > 0, out, np.float32(np.nan)).astype(np.float32)
