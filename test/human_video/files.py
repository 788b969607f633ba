"""Small data sets in the published formats, written by the tests: what a reader finds on disk."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path

import cv2
import numpy as np

from deft_human_video.readers.hand_object_protobuf import message_type
from deft_human_video.video import write_video

SEQUENCE = "ZY20210800001/H1/C2/N19/S100/s02/T1"
FRAMES, WIDTH, HEIGHT = 12, 160, 120
EPIC_COLUMNS = ["narration_id", "participant_id", "video_id", "narration_timestamp", "start_timestamp", "stop_timestamp",
                "start_frame",
                "stop_frame", "narration", "verb", "verb_class", "noun", "noun_class", "all_nouns", "all_noun_classes"]
EPIC_ROW = ["P01_01_0", "P01", "P01_01", "00:00:01.000", "00:00:02.00", "00:00:04.00", "21", "41", "take cup", "take", "0",
            "cup", "13",
            "['cup']", "[13]"]
EPIC_FRAMES = 45
UID, ACTION = "0a1b2c3d-0000-4000-8000-000000000001", "act-1"


def picture(i: int) -> np.ndarray:
    """(h, w, 3) uint8 with something in it."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    cv2.circle(image, (30 + 3 * i, 60), 20, (200, 150, 120), -1)
    return image


def hand(side: str = "right") -> dict[str, np.ndarray]:
    """A HOI4D hand pose."""
    rng = np.random.default_rng(3 if side == "right" else 4)
    return {"poseCoeff": rng.normal(0, 0.3, 48).astype(np.float32), "beta": np.zeros(10, np.float32),
            "trans": np.array([0.05, 0.02, 0.6], np.float32), "kps2D": rng.uniform(20, 100, (21, 2)).astype(np.float32)}


def write_hoi4d(root: Path, old_layout: bool = False, side: str = "right", other_clock: bool = False) -> Path:
    """One sequence with everything; returns the root."""
    write_video(root / "HOI4D_release" / SEQUENCE / "align_rgb/image.mp4", [picture(i) for i in range(FRAMES)], 15)
    depth = [np.full((HEIGHT, WIDTH), 700 + i, np.uint16) for i in range(FRAMES)]
    write_video(root / "HOI4D_depth_video" / SEQUENCE / "align_depth/depth_video.avi", depth, 15)
    camera = root / "camera_params" / SEQUENCE.split("/")[0]
    camera.mkdir(parents=True)
    np.save(camera / "intrin.npy", np.array([[150.0, 0, 80], [0, 150.0, 60], [0, 0, 1]]))
    poses = root / (f"handpose/refinehandpose_{side}" if old_layout else f"Hand_pose/handpose_{side}_hand") / SEQUENCE
    poses.mkdir(parents=True)
    for i in (4, 5, 7):  # some frames are missing, as in the data set
        (poses / f"{i}.pickle").write_bytes(pickle.dumps(hand(side), protocol=2))
    annotations = root / "HOI4D_annotations" / SEQUENCE
    (annotations / "action").mkdir(parents=True)
    if other_clock:
        marks = [{"id": 0, "event": "Reachout", "hdTimeStart": 0.0, "hdTimeEnd": 10.0},
                 {"id": 1, "event": "Pickup", "hdTimeStart": 10.0, "hdTimeEnd": 20.0}]
        data = {"info": {"Duration": 20}, "markResult": {"marks": marks}}
    else:
        events = [{"id": 0, "event": "Reachout", "startTime": 0.0, "endTime": 10.0},
                  {"id": 1, "event": "Pickup", "startTime": 10.0, "endTime": 20.0}]
        data = {"info": {"duration": 20.0}, "events": events}
    (annotations / "action/color.json").write_text(json.dumps(data))
    masks = annotations / "2Dseg/shift_mask"
    masks.mkdir(parents=True)
    mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    mask[50:70, 20:60] = (0, 0, 128)  # BGR
    cv2.imwrite(str(masks / "00000.png"), mask)
    return root


def epic_message(number: int, **change: float) -> bytes:
    """The detections of one frame: a right hand that touches an object from frame 30 on."""
    found = message_type()(video_id="P01_01", frame_number=number)
    touches = number >= 30
    one = found.hands.add(score=0.9, state=3 if touches else 0, side=1)
    one.bbox.left, one.bbox.top, one.bbox.right, one.bbox.bottom = 0.2, 0.3, 0.45, 0.6
    if touches:
        one.object_offset.x, one.object_offset.y = 0.2, 0.05
    thing = found.objects.add(score=0.8)
    thing.bbox.left, thing.bbox.top, thing.bbox.right, thing.bbox.bottom = 0.4, 0.4, 0.6, 0.6
    for name, value in change.items():
        setattr(one.bbox if name in ("left", "right", "top", "bottom") else one, name, value)
    return bytes(found.SerializeToString())


def write_epic(root: Path, rows: list[list[str]] | None = None, messages: list[bytes] | None = None) -> Path:
    """One action with frames and detections."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "EPIC_100_train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([EPIC_COLUMNS, *([EPIC_ROW] if rows is None else rows)])
    frames = root / "P01/rgb_frames/P01_01"
    frames.mkdir(parents=True)
    for i in range(1, EPIC_FRAMES + 1):
        cv2.imwrite(str(frames / f"frame_{i:010d}.jpg"), picture(i // 3))
    found = root / "hand-objects/P01/P01_01.pkl"
    found.parent.mkdir(parents=True)
    found.write_bytes(pickle.dumps([epic_message(i) for i in range(1, EPIC_FRAMES + 1)] if messages is None else messages))
    return root


def ego4d_action() -> dict:
    """A valid action of the camera's wearer."""
    boxes = [{"object_type": "right_hand", "bbox": {"x": 40, "y": 40, "width": 30, "height": 30}},
             {"object_type": "object_of_change", "bbox": {"x": 60, "y": 50, "width": 30, "height": 30},
              "structured_noun": "cup"}]
    frames = [{"frame_type": "pre_15", "frame_number": 5, "boxes": boxes[1:]},
              {"frame_type": "contact_frame", "frame_number": 20, "boxes": boxes},
              {"frame_type": "pnr_frame", "frame_number": 25, "boxes": boxes}]
    return {"uid": ACTION, "narration_text": "#C C picks up the cup", "is_valid_action": True, "is_rejected": False,
            "is_invalid_annotation": False, "frames": frames}


def ego4d_list(actions: list, redacted: bool = False) -> dict:
    interval = {"clip_uid": "c", "redacted": redacted, "narrated_actions": actions}
    return {"videos": [{"video_uid": UID, "video_metadata": {"fps": 30.0, "width": WIDTH, "height": HEIGHT, "num_frames": 60},
                        "annotated_intervals": [interval]}]}


def write_ego4d(root: Path, data: dict | None = None) -> Path:
    """One video and its list."""
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/fho_main.json").write_text(json.dumps(ego4d_list([ego4d_action()]) if data is None else data))
    write_video(root / f"full_scale/{UID}.mp4", [picture(i // 2) for i in range(60)], 30)
    return root
