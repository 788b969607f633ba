"""Which object the hand takes, and where it is in the first frame: by depth, or by a detector's boxes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from sklearn.linear_model import LinearRegression, RANSACRegressor

from deft_core.descriptions import BoxConfig
from deft_core.errors import DeftError
from deft_core.projection import CameraView, metres
from deft_core.types import Array, Intrinsics, Pose
from deft_human_video.clip import Box, ObjectBox
from deft_human_video.errors import Rejected
from deft_human_video.labels.registration import cloud
from deft_human_video.video import Depth, Rgb
from deft_perception.scene import TableScene
from deft_perception.table import TableConfig
from deft_perception.tabletop import TabletopConfig, TabletopSegmenter

STEP = "object"
SAMPLES = 1500        # of the depth image that the table is fitted to
NEAR = 0.03           # m, an object this near to the hand is what it takes
REGION = 1.5          # m round the middle of the picture, things further off are not on the table
CLOSEST = 15          # points of the hand whose distance to an object counts, so that one stray point does not
MARGIN = 0.15         # of the object's box on each side of the crop

Mask = NDArray[np.bool_]


def table_pose(depth: Depth, intrinsics: Intrinsics) -> Pose:
    """The optical frame in a frame that stands on the table: z up, x the way the camera looks along the table, m.

    Raises:
        Rejected: no plane holds most of what is seen.
    """
    z = metres(depth)
    v, u = np.nonzero(np.isfinite(z))
    if len(v) < SAMPLES:
        raise Rejected(STEP, "too little depth in the first frame")
    some = np.random.default_rng(0).choice(len(v), SAMPLES, replace=False)
    rays = intrinsics.normalized(np.stack([u[some], v[some]], axis=1).astype(float))
    near = 1.0 / z[v[some], u[some]].astype(float)
    # on a plane n . p = d, one over the depth is linear in the ray: 1 / z = (n_x x + n_y y + n_z) / d
    fit = RANSACRegressor(LinearRegression(), residual_threshold=0.015, max_trials=200, random_state=0)
    try:
        fit.fit(rays, near)
    except ValueError:
        raise Rejected(STEP, "no table in the first frame") from None
    normal = np.array([*fit.estimator_.coef_, fit.estimator_.intercept_])
    distance = 1.0 / np.linalg.norm(normal)
    up = -normal * distance  # towards the camera
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    if fit.inlier_mask_.mean() < 0.25 or np.linalg.norm(ahead) < 1e-3:
        raise Rejected(STEP, "no table in the first frame")
    ahead /= np.linalg.norm(ahead)
    axes = np.stack([ahead, np.cross(up, ahead), up])  # rows: the table's axes in the optical frame
    return Pose(np.array([0.0, 0.0, distance]), Rotation.from_matrix(axes))


def standing(rgb: Rgb, depth: Depth, intrinsics: Intrinsics) -> list[Mask]:
    """Everything that stands on the table in the first frame, (h, w) each. Raises Rejected."""
    camera = table_pose(depth, intrinsics)
    view = CameraView(intrinsics, camera)
    middle = camera.apply(np.array([0.0, 0.0, float(np.nanmedian(metres(depth)))]))
    x, y = middle[:2]
    region = BoxConfig(lower=(x - REGION, y - REGION, -0.1), upper=(x + REGION, y + REGION, 1.0))
    scene = TableScene(rgb, metres(depth), view, region, 0.0, TableConfig())
    segmenter = TabletopSegmenter(TabletopConfig())
    try:
        return [segmenter.refined(scene, thing) for thing in segmenter.things(scene)]
    except DeftError as error:
        raise Rejected(STEP, "no table in the first frame") from error


def taken(things: list[Mask], first: Depth, hand: Array, camera: Pose, intrinsics: Intrinsics) -> Mask:
    """The thing nearest to the hand.

    Args:
        hand: (n, 3) m, what is seen of the hand at contact, in its frame's optical frame.
        camera: the first frame's optical frame in that one.

    Raises:
        Rejected: the hand is near none.
    """
    hand_at_first = camera.inverse().apply(hand)
    best, least = None, NEAR
    for thing in things:
        points = cloud(first, thing, intrinsics)
        if not len(points):
            continue
        near = np.sort(cKDTree(points).query(hand_at_first)[0])[:CLOSEST]
        if len(near) == CLOSEST and near[-1] < least:
            best, least = thing, float(near[-1])
    if best is None:
        raise Rejected(STEP, "the hand comes to rest near no object")
    return best


def overlapped(objects: tuple[ObjectBox, ...], pixels: Array, score: float) -> Box:
    """The detected object with most of the pixels (n, 2) in its box; the smaller one of equals. Raises Rejected."""
    sure = [o for o in objects if o.score >= score]
    if not sure:
        raise Rejected(STEP, "no object is detected in the first frame")
    inside = [(sum(_in_box(p, o.box) for p in pixels), -_area(o.box), o.box) for o in sure]
    count, _, box = max(inside)
    if not count:
        raise Rejected(STEP, "the hand comes to rest on no detected object")
    return box


def mask_of(box: Box, shape: tuple[int, int]) -> Mask:
    """(h, w) of a box."""
    mask = np.zeros(shape, bool)
    left, top, right, bottom = (max(round(x), 0) for x in box)
    mask[top:bottom, left:right] = True
    return mask


def box_of(mask: Mask) -> Box:
    """Round what is set. Raises Rejected for an empty mask."""
    v, u = np.nonzero(mask)
    if not len(v):
        raise Rejected(STEP, "the object's mask is empty")
    return float(u.min()), float(v.min()), float(u.max() + 1), float(v.max() + 1)


def crop_box(box: Box, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """The object's box with MARGIN, within a picture (h, w): left, top, right, bottom, pixels."""
    left, top, right, bottom = box
    x, y = MARGIN * (right - left), MARGIN * (bottom - top)
    return (max(int(left - x), 0), max(int(top - y), 0), min(int(np.ceil(right + x)), shape[1]),
            min(int(np.ceil(bottom + y)), shape[0]))


def grown(mask: Mask, pixels: int) -> Mask:
    """The mask and what lies this near to it."""
    size = 2 * pixels + 1
    return cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0


def _in_box(pixel: Array, box: Box) -> bool:
    return bool(box[0] <= pixel[0] <= box[2] and box[1] <= pixel[1] <= box[3])


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
