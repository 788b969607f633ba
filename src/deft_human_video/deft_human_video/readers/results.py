"""Files of results from the paper's tools, in place of a step: 100DOH, Detic, FrankMocap, HaMeR, WiLoR.

None of these tools has one format that it saves; read here is what their code gives and what people commonly save of it, in one
folder a tool, with files named after the clip's key (its slashes are folders):

    detections/<key>.pkl   100DOH: {frame: {"hand_dets", "obj_dets"}}, keyed by number or image name, or a list of them; the
                           arrays are the demo's, (n, 10), or None
    objects/<key>.json     Detic, first frame: [{"category", "score", "x", "y", "w", "h"}]; or
    objects/<key>.pkl      {"pred_boxes" (n, 4), "scores" (n,), "pred_classes" (n,)}, a detectron2 Instances as plain arrays
    hands/<key>/*.pkl      one a frame, the last number in the name: FrankMocap's *_prediction_result.pkl; HaMeR's and WiLoR's
                           output (rotation matrices, left hands mirrored); WiLoR-mini's list (axis-angle, left hands as such)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.errors import DeftError
from deft_core.projection import turn_to
from deft_core.types import Array, Intrinsics
from deft_human_video.clip import (
    NO_CONTACT,
    STATIONARY,
    Box,
    Clip,
    Detections,
    HandBox,
    HandPose,
    ObjectBox,
    guessed_intrinsics,
)
from deft_human_video.errors import ClipError
from deft_human_video.mirror import FLIP
from deft_human_video.readers.reader import json_of, numbers, unpickled
from deft_retarget.skeleton import MIRROR, HandSkeleton, Side, mirrored

OFFSET_PIXELS = 10_000.0  # 100DOH's offsets are unit vectors and magnitudes in these
COLUMNS = 10              # of 100DOH's rows: box, score, state, magnitude, dx, dy, side
FRANKMOCAP_HANDS: tuple[tuple[str, Side], ...] = (("right_hand", "right"), ("left_hand", "left"))


@dataclass(frozen=True)
class Results:
    """Folders of results; None: the step goes by something else. Pixels are those of the pictures as they are read."""

    detections: Path | None = None
    objects: Path | None = None
    hands: Path | None = None

    def added(self, clip: Clip, skeleton: HandSkeleton) -> Clip:
        """The clip with these results in its annotation. Raises ClipError: a file is missing or malformed."""
        annotation = clip.annotation
        if self.detections is not None:
            annotation = replace(annotation, detections=read_100doh(self.detections / f"{clip.key}.pkl", len(clip.frames)))
        if self.objects is not None:
            found = dict(annotation.detections)
            base = self.objects / clip.key
            path = next((p for p in (Path(f"{base}.json"), Path(f"{base}.pkl")) if p.is_file()), Path(f"{base}.json"))
            found[0] = replace(found.get(0, Detections()), objects=read_detic(path))
            annotation = replace(annotation, detections=found)
        if self.hands is not None:
            intrinsics = clip.intrinsics or guessed_intrinsics(clip.frames.rgb(0))
            annotation = replace(annotation, hands=read_hands(self.hands / clip.key, intrinsics, skeleton))
        return clip.with_annotation(annotation)


def frame_of(name: str, path: Path) -> int:
    """The last number in a file's name."""
    found = re.findall(r"\d+", name)
    if not found:
        raise ClipError(path, f"there is no frame's number in '{name}'")
    return int(found[-1])


def read_100doh(path: Path, frames: int) -> dict[int, Detections]:
    """Detections by frame. Raises ClipError."""
    data = unpickled(path)
    if isinstance(data, dict):
        items = [(key if isinstance(key, int) else frame_of(str(key).rsplit(".", 1)[0], path), value) for key,
                 value in data.items()]
    elif isinstance(data, list):
        items = list(enumerate(data))
    else:
        raise ClipError(path, f"it holds a {type(data).__name__}, not detections by frame")
    if not items:
        raise ClipError(path, "it has no frames")
    return {i: _frame_100doh(value, path, i) for i, value in items if 0 <= i < frames}


def _frame_100doh(value: Any, path: Path, frame: int) -> Detections:
    if not isinstance(value, dict) or not {"hand_dets", "obj_dets"} <= value.keys():
        raise ClipError(path, f"frame {frame} has no hand_dets and obj_dets")
    hands = []
    for row in _rows(value["hand_dets"], path, frame):
        state, side = int(row[5]), int(row[9])
        if not (NO_CONTACT <= state <= STATIONARY and side in (0, 1)):
            raise ClipError(path, f"frame {frame} has a hand of state {row[5]:g} and side {row[9]:g}, which do not exist")
        box = _box(row[:4])
        at = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]) + OFFSET_PIXELS * row[6] * row[7:9]
        hands.append(HandBox(box, float(row[4]), "right" if side else "left", state,
                             (float(at[0]), float(at[1])) if state != NO_CONTACT else None))
    return Detections(tuple(hands), tuple(ObjectBox(_box(row[:4]), float(row[4])) for row in _rows(value["obj_dets"], path,
                                                                                                   frame)))


def _rows(value: Any, path: Path, frame: int) -> Array:
    """(n, 10); none for None, which the demo gives where nothing is found."""
    if value is None:
        return np.zeros((0, COLUMNS))
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.ndim != 2 or array.shape[1] != COLUMNS or not np.isfinite(array).all():
        raise ClipError(path,
                        f"frame {frame} has detections of shape {array.shape} and type {array.dtype}; finite (n, {COLUMNS}) "
                        "are needed")
    return array.astype(float)


def read_detic(path: Path) -> tuple[ObjectBox, ...]:
    """The first frame's objects. Raises ClipError."""
    if path.suffix == ".json":
        data = json_of(path)
        try:
            found = [ObjectBox(_box([o["x"], o["y"], o["x"] + o["w"], o["y"] + o["h"]]), float(o["score"]), str(o["category"]))
                     for o in data]
        except (KeyError, TypeError, ValueError) as error:
            raise ClipError(path, f"an object lacks category, score, x, y, w or h: {error!r}") from None
    else:
        data = unpickled(path)
        try:
            boxes = np.asarray(data["pred_boxes"], float).reshape(-1, 4)
            found = [ObjectBox(_box(box), float(score), str(label)) for box, score, label in
                     zip(boxes, np.asarray(data["scores"], float), data["pred_classes"], strict=True)]
        except (KeyError, TypeError, ValueError) as error:
            raise ClipError(path, f"it has no pred_boxes, scores and pred_classes of one length: {error!r}") from None
    if not all(np.isfinite([*o.box, o.score]).all() for o in found):
        raise ClipError(path, "it has boxes or scores that are not finite")
    return tuple(found)


def _box(corners: Any) -> Box:
    left, top, right, bottom = (float(x) for x in corners)
    return left, top, right, bottom


def read_hands(folder: Path, intrinsics: Intrinsics, skeleton: HandSkeleton) -> dict[int, tuple[HandPose, ...]]:
    """Hand poses by frame. Raises ClipError."""
    paths = sorted(folder.glob("*.pkl"))
    if not paths:
        raise ClipError(folder, "there are no hand poses (*.pkl) in it")
    return {frame_of(path.stem.removesuffix("_prediction_result"), path): _hands(path, intrinsics, skeleton) for path in paths}


def _hands(path: Path, intrinsics: Intrinsics, skeleton: HandSkeleton) -> tuple[HandPose, ...]:
    data = unpickled(path)
    try:
        if isinstance(data, dict) and "pred_output_list" in data:
            return tuple(_frankmocap(data, intrinsics, skeleton, path))
        if isinstance(data, list) and all(isinstance(hand, dict) and "wilor_preds" in hand for hand in data):
            return tuple(_wilor_mini(hand, intrinsics, path) for hand in data)
        if isinstance(data, dict) and ("pred_mano_params" in data or "hand_pose" in data):
            return tuple(_hamer(data, intrinsics, path))
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ClipError(path, f"it lacks what the tool saves: {error!r}") from None
    except DeftError as error:
        raise ClipError(path, error.message) from None
    raise ClipError(path, "it is neither FrankMocap's, HaMeR's, WiLoR's nor WiLoR-mini's output")


def _frankmocap(data: dict[str, Any], intrinsics: Intrinsics, skeleton: HandSkeleton, path: Path) -> list[HandPose]:
    """Fingers relative to MANO's mean hand; the wrist in the crop's weak-perspective view; left hands as such."""
    out = []
    for person, boxes in zip(data["pred_output_list"], data["hand_bbox_list"], strict=True):
        for name, side in FRANKMOCAP_HANDS:
            hand = (person or {}).get(name)
            if not hand:  # an empty dictionary stands for a hand that was not found
                continue
            pose = numbers(hand["pred_hand_pose"], 48, path, "pred_hand_pose")
            x, y, w, h = numbers(boxes[name], 4, path, "hand_bbox_list")
            pixels = np.asarray(hand["pred_joints_img"], float)[:, :2]
            if pixels.shape != (21, 2) or not np.isfinite(pixels).all():
                raise ClipError(path, f"pred_joints_img is of shape {pixels.shape}, or not finite")
            wrist = along_ray(pose[:3], np.array([x + w / 2, y + h / 2]), intrinsics)
            out.append(HandPose(side, skeleton.flat_pose(pose[3:], False, side), wrist, None, pixels))
    return out


def _hamer(data: dict[str, Any], intrinsics: Intrinsics, path: Path) -> list[HandPose]:
    """Rotation matrices relative to the flat hand; left hands as the right hand in the mirror."""
    params = data.get("pred_mano_params", data)
    right = np.atleast_1d(np.asarray(data["right"] if "right" in data else data["is_right"], float)).ravel()
    turn = np.asarray(params["global_orient"], float).reshape(len(right), 3, 3)
    fingers = np.asarray(params["hand_pose"], float).reshape(len(right), 15, 3, 3)
    if not (np.isfinite(turn).all() and np.isfinite(fingers).all()):
        raise ClipError(path, "its rotations are not finite")
    out = []
    for i, is_right in enumerate(right):
        pose, wrist = Rotation.from_matrix(fingers[i]).as_rotvec().ravel(), Rotation.from_matrix(turn[i]).as_rotvec()
        pixels = _full_pixels(data, i, bool(is_right), intrinsics)
        if pixels is not None and not np.isfinite(pixels).all():
            raise ClipError(path, "its keypoints are not finite, or behind the camera")
        if not is_right:
            pose, wrist = mirrored(pose), wrist * MIRROR
        if pixels is not None:
            wrist = along_ray(wrist, pixels.mean(axis=0), intrinsics)
        out.append(HandPose("right" if is_right else "left", pose, wrist, None, pixels))
    return out


def _full_pixels(data: dict[str, Any], i: int, right: bool, intrinsics: Intrinsics) -> Array | None:
    """(21, 2) pixels of the whole picture, where the keypoints and their place before the tool's camera were saved."""
    focal, shift = data.get("scaled_focal_length", data.get("focal_length")), data.get("pred_cam_t_full",
                                                                                       data.get("pred_cam_t"))
    if focal is None or shift is None or "pred_keypoints_3d" not in data:
        return None
    points = np.asarray(data["pred_keypoints_3d"], float).reshape(-1, 21, 3)[i] * (1.0 if right else FLIP)
    points = points + np.asarray(shift, float).reshape(-1, 3)[i]
    points[points[:, 2] <= 0] = np.nan
    centre = np.array([intrinsics.width / 2, intrinsics.height / 2])
    return np.asarray(float(np.ravel(focal)[0]) * points[:, :2] / points[:, 2:] + centre)


def _wilor_mini(hand: dict[str, Any], intrinsics: Intrinsics, path: Path) -> HandPose:
    """Axis-angle relative to the flat hand; left hands as such."""
    found = hand["wilor_preds"]
    pixels = numbers(found["pred_keypoints_2d"], 42, path, "pred_keypoints_2d").reshape(21, 2)
    pose, wrist = numbers(found["hand_pose"], 45, path, "hand_pose"), numbers(found["global_orient"], 3, path, "global_orient")
    return HandPose("right" if hand["is_right"] else "left", pose, along_ray(wrist, pixels.mean(axis=0), intrinsics), None,
                    pixels)


def along_ray(wrist: Array, pixel: Array, intrinsics: Intrinsics) -> Array:
    """A rotation vector (3,), rad, seen in a crop about `pixel` (2,) as if straight ahead, in the picture's optical frame."""
    return np.asarray((turn_to(pixel, intrinsics) * Rotation.from_rotvec(wrist)).as_rotvec())
