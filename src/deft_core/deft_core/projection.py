"""From a pixel to a point in the base frame, robust to the holes and edges of real depth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deft_core.types import Array, Intrinsics, Pose


class NoDepthError(ValueError):
    """There is nothing to project; the message says what was looked at."""


FLYING_PIXEL_SPREAD = 0.02  # m, points further than this from the neighbourhood's median are edge artefacts


def snap_to_mask(uv: Array, mask: NDArray[np.bool_]) -> Array:
    """The mask pixel (2,) nearest to pixel (2,); the pixel itself when it lies on the mask."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        raise NoDepthError("the object's mask is empty")
    nearest = np.argmin((columns - uv[0]) ** 2 + (rows - uv[1]) ** 2)
    return np.array([columns[nearest], rows[nearest]], float)


def contact_point(uv: Array, mask: NDArray[np.bool_], depth: NDArray[np.uint16], intrinsics: Intrinsics,
                  camera: Pose, radius: int = 4) -> Array:
    """The object's surface at a pixel.

    The depth is the median over valid mask pixels within `radius` pixels, first as they are, then
    without flying pixels; the radius grows until there are at least five. Never (0, 0, 0).

    Args:
        uv: (2,) pixel.
        mask: (h, w) the object.
        depth: (h, w) millimetres, 0 = none.

    Returns:
        (3,) m, base frame.

    Raises:
        NoDepthError: the mask is empty, or no valid depth lies on the mask within a tenth of the image.
    """
    uv = snap_to_mask(np.asarray(uv, float), mask)
    height, width = depth.shape
    v, u = np.ogrid[:height, :width]
    distance = np.hypot(u - uv[0], v - uv[1])
    valid = mask & (depth > 0)
    while radius <= width / 10:
        near = depth[valid & (distance <= radius)] / 1000.0
        if len(near) >= 5:
            middle = np.median(near)
            steady = near[np.abs(near - middle) < FLYING_PIXEL_SPREAD]
            if not len(steady):  # two surfaces, half and half, and nothing between them: the nearer one is touched
                steady = near[near <= middle]
            return camera.apply(intrinsics.deproject(uv, np.asarray(np.median(steady))))
        radius *= 2
    raise NoDepthError(f"no valid depth on the object near pixel ({uv[0]:.0f}, {uv[1]:.0f}); shiny, "
                    "transparent and very near surfaces give none")
