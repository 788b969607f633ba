"""From pixels to points in the base frame, robust to the holes and edges of real depth."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_core.types import Array, Intrinsics, Pose

FLYING_PIXEL_SPREAD = 0.02  # m, points further than this from the neighbourhood's median are edge artefacts
ENOUGH = 5                  # depths that a median is taken of
WHOLE = (slice(None), slice(None))
Image32 = NDArray[np.float32]


class NoDepthError(ValueError):
    """There is nothing to project; the message says what was looked at."""


def metres(depth: NDArray[Any]) -> Image32:
    """A depth image (h, w) as float32 m along the optical axis; NaN where there is none.

    Args:
        depth: uint16 millimetres with 0 for none, or floating-point m with 0, negative, NaN or Inf for none.

    Raises:
        ValueError: another type of number.
    """
    if depth.dtype == np.uint16:
        out: Image32 = np.multiply(depth, np.float32(0.001), dtype=np.float32)
        np.copyto(out, np.float32(np.nan), where=depth == 0)
        return out
    if depth.dtype.kind != "f":
        raise ValueError(f"a depth image of {depth.dtype} is neither uint16 millimetres nor floating-point metres")
    out = depth.astype(np.float32)
    with np.errstate(invalid="ignore"):
        np.copyto(out, np.float32(np.nan), where=~((out > 0) & (out < np.inf)))
    return out


@lru_cache(maxsize=4)
def _normalized_grid(intrinsics: Intrinsics) -> Image32:
    """(3, h, w): the optical-frame ray of every pixel, 1 m deep."""
    v, u = np.indices((intrinsics.height, intrinsics.width))
    flat = intrinsics.normalized(np.stack([u, v], axis=-1))
    return np.ascontiguousarray(np.stack([flat[..., 0], flat[..., 1], np.ones_like(flat[..., 0])]), np.float32)


class CameraView:
    """Where each pixel of a calibrated camera looks.

    Attributes:
        intrinsics: of the colour image that depth is aligned to.
        camera: optical frame in the base frame.
        directions: (3, h, w) float32, m in the base frame for each m of depth.
    """

    def __init__(self, intrinsics: Intrinsics, camera: Pose) -> None:
        self.intrinsics, self.camera = intrinsics, camera
        turned = np.tensordot(camera.rotation.as_matrix().astype(np.float32), _normalized_grid(intrinsics), axes=1)
        self.directions: Image32 = np.ascontiguousarray(turned)

    def cloud(self, depth: Image32, window: tuple[slice, slice] = WHOLE) -> Image32:
        """Points of the pixels in a window: (3, h, w) float32 m, base frame, NaN where `depth` (h, w) m is NaN.

        One plane for each of x, y and z, so that each is computed in one sweep.
        """
        directions = self.directions[:, *window]
        out = np.empty(directions.shape, np.float32)
        for axis in range(3):
            np.multiply(directions[axis], depth, out=out[axis])
            out[axis] += np.float32(self.camera.position[axis])
        return out


def turn_to(pixel: Array, intrinsics: Intrinsics) -> Rotation:
    """The shortest turn from straight ahead to the ray of a pixel (2,), optical frame.

    What is seen in a crop as if it lay straight ahead, as landmarkers with a weak-perspective camera see it, is turned by this.
    """
    ray = np.array([*intrinsics.normalized(np.asarray(pixel, float)), 1.0])
    axis = np.cross([0.0, 0.0, 1.0], ray)
    sine = float(np.linalg.norm(axis))
    return Rotation.from_rotvec(axis / max(sine, 1e-12) * np.arctan2(sine, ray[2]))


def snap_to_mask(uv: Array, mask: NDArray[np.bool_]) -> Array:
    """The mask pixel (2,) nearest to pixel (2,); the pixel itself when it lies on the mask.

    Raises:
        NoDepthError: the mask is empty.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        raise NoDepthError("the object's mask is empty")
    nearest = np.argmin((columns - uv[0]) ** 2 + (rows - uv[1]) ** 2)
    return np.array([columns[nearest], rows[nearest]], float)


def contact_point(uv: Array, mask: NDArray[np.bool_], depth: Image32, intrinsics: Intrinsics, camera: Pose,
                  radius: int = 4) -> Array:
    """The object's surface at a pixel.

    A pixel off the mask snaps to it. The depth is the median over mask pixels with depth within `radius` pixels,
    first as they are, then without flying pixels; the radius grows until there are at least five. Never (0, 0, 0).

    Args:
        uv: (2,) pixel.
        mask: (h, w) the object.
        depth: (h, w) m, see metres().
        camera: optical frame in the base frame.

    Returns:
        (3,) m, base frame.

    Raises:
        NoDepthError: the mask is empty, or there is no depth on it within a tenth of the image.
    """
    uv = snap_to_mask(np.asarray(uv, float), mask)
    column, row = int(uv[0]), int(uv[1])
    while radius <= depth.shape[1] / 10:
        top, left = max(row - radius, 0), max(column - radius, 0)
        window = slice(top, row + radius + 1), slice(left, column + radius + 1)
        v, u = np.ogrid[top:top + mask[window].shape[0], left:left + mask[window].shape[1]]
        near = depth[window][mask[window] & np.isfinite(depth[window]) & ((u - column) ** 2 + (v - row) ** 2 <= radius**2)]
        if len(near) >= ENOUGH:
            return camera.apply(intrinsics.deproject(uv, np.asarray(_surface(near))))
        radius *= 2
    raise NoDepthError(f"no valid depth on the object near pixel ({column}, {row}); shiny, transparent and very near "
                       "surfaces give none")


def _surface(near: Image32) -> float:
    """m, the depth of a surface in spite of flying pixels."""
    middle = np.median(near)
    steady = near[np.abs(near - middle) < FLYING_PIXEL_SPREAD]
    if not len(steady):  # two surfaces, half and half, and nothing between them: the nearer one is touched
        steady = near[near <= middle]
    return float(np.median(steady))
