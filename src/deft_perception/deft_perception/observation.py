"""One look: synchronised images in, object observation out. No ROS here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deft_core.descriptions import BoxConfig
from deft_core.errors import DeftError
from deft_core.types import Array, Intrinsics, Pose
from deft_perception import codes
from deft_perception.segmentation import LookConfig, Prompt, TabletopConfig, cloud, segment

LOW_DEPTH, MASK_AT_BORDER, SEVERAL_OBJECTS, TABLE_UNCERTAIN = 1, 2, 4, 8  # quality bits, as in ObjectObservation
CROP_MARGIN = 8  # pixels


@dataclass(frozen=True)
class Frame:
    """Colour (h, w, 3) rgb8, depth (h, w) uint16 millimetres aligned to it, and their intrinsics."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    intrinsics: Intrinsics


@dataclass(frozen=True)
class Observation:
    """What later steps know of the object; 3-D values in the base frame, metres."""

    mask: NDArray[np.bool_]
    roi: tuple[int, int, int, int]  # u, v, width, height
    centroid: Array
    box_centre: Array
    extent: Array
    table_height: float
    mask_score: float
    depth_valid_fraction: float
    quality: int


def observe(frame: Frame, camera: Pose, region: BoxConfig, prompt: Prompt, config: TabletopConfig,
            look: LookConfig | None = None) -> Observation:
    """Segment the object and measure it.

    Args:
        camera: colour optical frame in the base frame.
        region: only what stands inside its x and y range counts, base frame.
        look: which part of the object the task is about; None for all of it.

    Raises:
        DeftError: NO_TABLE, NO_OBJECT, NO_DEPTH or BAD_INPUT.
    """
    shape = (frame.intrinsics.height, frame.intrinsics.width)
    if frame.rgb.shape[:2] != shape or frame.depth.shape != shape:
        raise DeftError(codes.BAD_INPUT, f"colour {frame.rgb.shape[:2]}, depth {frame.depth.shape} and camera_info "
                        f"{shape} differ in size; enable align_depth on the camera")
    points = cloud(frame.depth, frame.intrinsics, camera)
    low, high = np.array(region.lower[:2]), np.array(region.upper[:2])
    inside = np.asarray(((points[..., :2] > low) & (points[..., :2] < high)).all(axis=-1))
    found = segment(points, inside, prompt, config, look)
    valid = found.mask & (frame.depth > 0)
    fraction = float(valid.sum() / found.mask.sum())
    if fraction < 0.05:
        raise DeftError(codes.NO_DEPTH, f"only {fraction:.0%} of the object's pixels carry depth")
    visible = points[valid]
    low3, high3 = np.percentile(visible, [1, 99], axis=0)
    centroid = np.median(visible, axis=0)
    rows, columns = np.nonzero(found.mask)
    at_border = (rows.min() == 0 or columns.min() == 0 or rows.max() == shape[0] - 1
                 or columns.max() == shape[1] - 1)
    quality = (LOW_DEPTH * (fraction < 0.5) | MASK_AT_BORDER * bool(at_border)
               | SEVERAL_OBJECTS * (found.candidates > 1 and prompt == Prompt())
               | TABLE_UNCERTAIN * (found.table.share < 0.4))
    return Observation(found.mask, _roi(rows, columns, shape), centroid, (low3 + high3) / 2, high3 - low3,
                       found.table.height_at(centroid[0], centroid[1]), found.score, fraction, int(quality))


def _roi(rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Bounding box of the mask with a margin, inside the image: u, v, width, height."""
    u0, v0 = max(int(columns.min()) - CROP_MARGIN, 0), max(int(rows.min()) - CROP_MARGIN, 0)
    u1, v1 = min(int(columns.max()) + 1 + CROP_MARGIN, shape[1]), min(int(rows.max()) + 1 + CROP_MARGIN, shape[0])
    return u0, v0, u1 - u0, v1 - v0
