"""One look: synchronised images in, object observation out. No ROS here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deft_core.descriptions import RobotConfig
from deft_core.errors import DeftError
from deft_core.projection import CameraView
from deft_core.types import SURROUNDINGS_CELL, Array, Intrinsics, Pose
from deft_perception import codes
from deft_perception.choice import LEAST_SCORE, find
from deft_perception.look import LookConfig, part
from deft_perception.scene import Mask, Matcher, Prompt, Segmenter, TableScene
from deft_perception.table import TableConfig

# Quality bits, as in ObjectObservation.
LOW_DEPTH, MASK_AT_BORDER, SEVERAL_OBJECTS, TABLE_UNCERTAIN, UNLIKELY = 1, 2, 4, 8, 16
CROP_MARGIN = 8         # pixels
LITTLE_DEPTH = 0.5      # share of mask pixels with depth, less is flagged
NO_DEPTH_SHARE = 0.1    # less is refused
UNCERTAIN_TABLE = 0.4   # share of the region's points on the table's plane, less is flagged
CLOUD_POINTS = 4096     # the object's cloud is thinned to this
CELL_POINTS = 3         # of the coarse cloud in a cell of the surroundings; fewer are noise at borders


@dataclass(frozen=True)
class Frame:
    """Colour (h, w, 3) rgb8, depth (h, w) float32 m aligned to it with NaN for none, and their intrinsics."""

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32]
    intrinsics: Intrinsics


@dataclass(frozen=True)
class Observation:
    """What later steps know of the object; 3-D values in the base frame, metres.

    Attributes:
        mask: (h, w).
        roi: u, v, width, height of the mask with a margin.
        cloud: (n, 3) visible points of the object, at most CLOUD_POINTS.
        centroid, box_centre, extent: of the visible points; the box lies along the base frame's axes.
        surroundings: (m, 3), see standing_on.
        quality: bits.
        warnings: for each bit a sentence that says what to do.
    """

    mask: Mask
    roi: tuple[int, int, int, int]
    cloud: NDArray[np.float32]
    centroid: Array
    box_centre: Array
    extent: Array
    surroundings: NDArray[np.float32]
    table_height: float
    mask_score: float
    depth_valid_fraction: float
    quality: int
    warnings: tuple[str, ...]


class Observer:
    """Looks at the table with one camera and one backend.

    Args:
        matcher: tells things apart by name; None where nobody asks by name.
    """

    def __init__(self, robot: RobotConfig, segmenter: Segmenter, matcher: Matcher | None = None,
                 table: TableConfig | None = None) -> None:
        self._robot, self._segmenter, self._matcher = robot, segmenter, matcher
        self._table = table or TableConfig()
        self._camera_pose = robot.camera.optical_in_base.pose()
        self._view: CameraView | None = None

    @property
    def camera_pose(self) -> Pose:
        """The colour optical frame in the base frame."""
        return self._camera_pose

    def place_camera(self, pose: Pose) -> None:
        """Look from another place than the robot's YAML says: from where tf2 has the camera."""
        if pose is not self._camera_pose:
            self._camera_pose, self._view = pose, None

    def scene(self, frame: Frame) -> TableScene:
        """The picture in the base frame. Raises DeftError BAD_INPUT for images that do not fit together."""
        shape = (frame.intrinsics.height, frame.intrinsics.width)
        if frame.rgb.shape[:2] != shape or frame.depth.shape != shape:
            raise DeftError(codes.BAD_INPUT, f"colour {frame.rgb.shape[:2]}, depth {frame.depth.shape} and camera_info "
                            f"{shape} differ in size; enable align_depth on the camera")
        if self._view is None or self._view.intrinsics != frame.intrinsics:
            self._view = CameraView(frame.intrinsics, self._camera_pose)
        return TableScene(frame.rgb, frame.depth, self._view, self._robot.object_region, self._robot.table_height, self._table)

    def observe(self, frame: Frame, prompt: Prompt, look: LookConfig) -> Observation:
        """Segment the object and measure it.

        Args:
            prompt: which thing is meant.
            look: which part of it the task is about.

        Raises:
            DeftError: NO_TABLE, NO_OBJECT, AMBIGUOUS, NO_DEPTH or BAD_INPUT.
        """
        scene = self.scene(frame)
        found = find(scene, prompt, self._segmenter, self._matcher, look.heights)
        mask = part(scene, found.mask, look)
        rows, columns = np.nonzero(mask)
        visible, fraction = _visible(scene, rows, columns)
        low, high = np.percentile(visible, [1, 99], axis=0)
        centroid = np.median(visible, axis=0).astype(float)
        flags = _flags(scene, rows, columns, fraction, by_size=found.candidates > 1 and prompt == Prompt())
        if found.candidates == 1 and found.score < LEAST_SCORE:
            flags[UNLIKELY] = f"the only thing on the table does not look like '{prompt.noun}'; is it the right one?"
        return Observation(mask, _roi(rows, columns, mask.shape), visible[::max(1, -(-len(visible) // CLOUD_POINTS))], centroid,
                           (low + high) / 2, high - low, standing_on(scene), scene.table.height_at(centroid[0], centroid[1]),
                           found.score, fraction, sum(flags), tuple(flags.values()))


def standing_on(scene: TableScene) -> NDArray[np.float32]:
    """Points (m, 3), m, base frame: the centres of the cells in which something is seen to stand on the table,
    inside the object region, this object too."""
    cells, counts = np.unique(np.floor(scene.cloud[:, scene.standing].T / SURROUNDINGS_CELL), axis=0, return_counts=True)
    return np.asarray((cells[counts >= CELL_POINTS] + 0.5) * SURROUNDINGS_CELL, np.float32)


def _visible(scene: TableScene, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[NDArray[np.float32], float]:
    """Points (n, 3) of mask pixels with depth, and the share of pixels that have it. Raises DeftError."""
    depth = scene.depth[rows, columns]
    known = np.isfinite(depth)
    if not len(known):
        raise DeftError(codes.NO_OBJECT, "the object's mask is empty; point at the object, or correct look in the task's YAML")
    fraction = float(known.mean())
    if fraction < NO_DEPTH_SHARE:
        raise DeftError(codes.NO_DEPTH, f"only {fraction:.0%} of the object's pixels carry depth (needed "
                        f"{NO_DEPTH_SHARE:.0%}); shiny and transparent things give none: put a sticker on it, dim the light, "
                        "or move the camera")
    return scene.whole_cloud[:, rows[known], columns[known]].T, fraction


def _flags(scene: TableScene, rows: NDArray[np.intp], columns: NDArray[np.intp], fraction: float,
           by_size: bool) -> dict[int, str]:
    """What makes an observation poor: a sentence for each quality bit."""
    height, width = scene.depth.shape
    sides = [side for side, cut in (("top", rows.min() == 0), ("bottom", rows.max() == height - 1),
                                    ("left", columns.min() == 0), ("right", columns.max() == width - 1)) if cut]
    sentences = {
        LOW_DEPTH: f"only {fraction:.0%} of the object's pixels carry depth, its box may be too small; dim the light, or move "
                   "the camera",
        MASK_AT_BORDER: f"the object is cut off at the {' and '.join(sides)} of the picture; move it or the camera",
        SEVERAL_OBJECTS: "several things stand on the table and the largest was taken; name one (look.noun in the task's YAML) "
                         "or click it",
        TABLE_UNCERTAIN: f"only {scene.table.share:.0%} of what is seen of the object region lies on the table; clear it, or "
                         "correct object_region in the robot's YAML"}
    poor = {LOW_DEPTH: fraction < LITTLE_DEPTH, MASK_AT_BORDER: bool(sides), SEVERAL_OBJECTS: by_size,
            TABLE_UNCERTAIN: scene.table.share < UNCERTAIN_TABLE}
    return {bit: sentence for bit, sentence in sentences.items() if poor[bit]}


def _roi(rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Bounding box of the mask with a margin, inside the image: u, v, width, height."""
    u0, v0 = max(int(columns.min()) - CROP_MARGIN, 0), max(int(rows.min()) - CROP_MARGIN, 0)
    u1, v1 = min(int(columns.max()) + 1 + CROP_MARGIN, shape[1]), min(int(rows.max()) + 1 + CROP_MARGIN, shape[0])
    return u0, v0, u1 - u0, v1 - v0
