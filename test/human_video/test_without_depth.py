"""EPIC-KITCHENS' and Ego4D's way through the chain, without depth or intrinsics: filmed frames in their formats."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from human_video.conftest import truth
from human_video.files import ACTION, EPIC_COLUMNS, UID, ego4d_list

from deft_human_video.errors import Rejected
from deft_human_video.labels.extractor import Extractor
from deft_human_video.labels.label import GraspLabel
from deft_human_video.labels.settings import HandSource, LabelSettings
from deft_human_video.readers.ego4d import Ego4dReader
from deft_human_video.readers.epic import EpicReader
from deft_human_video.readers.hand_object_protobuf import message_type
from deft_human_video.readers.hoi4d import Hoi4dReader
from deft_human_video.readers.reader import Reader
from deft_human_video.video import write_video
from deft_retarget.skeleton import shipped_skeleton

WIDTH, HEIGHT = 480, 360


@pytest.fixture(scope="module")
def filmed(clips: Path, reader: Hoi4dReader) -> tuple[list[np.ndarray], dict]:
    """The frames of the ladle's clip, and its truth."""
    key = next(key for key in reader.keys()[0] if "N000023" in key)
    frames = reader.open(key).frames
    return [frames.rgb(i) for i in range(len(frames))], truth(clips, key)


def hand_box(known: dict, i: int) -> tuple[float, ...] | None:
    points = known["keypoints"][i]
    if points is None:
        return None
    low, high = np.clip(np.min(points, axis=0), 0, [WIDTH, HEIGHT]), np.clip(np.max(points, axis=0), 0, [WIDTH, HEIGHT])
    return (*low, *high) if (high - low > 20).all() else None


def as_epic(root: Path, frames: list[np.ndarray], known: dict) -> Reader:
    folder, messages = root / "P01/rgb_frames/P01_01", []
    folder.mkdir(parents=True)
    for i, image in enumerate(frames):
        cv2.imwrite(str(folder / f"frame_{i + 1:010d}.jpg"), image[:, :, ::-1])
        found = message_type()(video_id="P01_01", frame_number=i + 1)
        box, thing = hand_box(known, i), [x / s for x, s in zip(known["box"], (WIDTH, HEIGHT) * 2, strict=True)]
        if box is not None:
            left, top, right, bottom = (x / s for x, s in zip(box, (WIDTH, HEIGHT) * 2, strict=True))
            hand = found.hands.add(score=0.9, side=int(known["side"] == "right"), state=3 * (i >= known["contact_frame"]))
            hand.bbox.left, hand.bbox.top, hand.bbox.right, hand.bbox.bottom = left, top, right, bottom
            hand.object_offset.x = (thing[0] + thing[2] - left - right) / 2
            hand.object_offset.y = (thing[1] + thing[3] - top - bottom) / 2
        seen = found.objects.add(score=0.8)
        seen.bbox.left, seen.bbox.top, seen.bbox.right, seen.bbox.bottom = thing
        messages.append(found.SerializeToString())
    (root / "hand-objects/P01").mkdir(parents=True)
    (root / "hand-objects/P01/P01_01.pkl").write_bytes(pickle.dumps(messages))
    row = ["P01_01_0", "P01", "P01_01", "", "00:00:01.00", f"00:00:{1 + (len(frames) - 16) / 15:05.2f}", "16", str(len(frames)),
           known["text"], "scoop", "0", "ladle", "0", "[]", "[]"]
    (root / "EPIC_100_train.csv").write_text("\n".join(",".join(f'"{x}"' for x in line) for line in (EPIC_COLUMNS, row)))
    return EpicReader(root)


def as_ego4d(root: Path, frames: list[np.ndarray], known: dict) -> Reader:
    write_video(root / f"full_scale/{UID}.mp4", frames, 15)
    left, top, right, bottom = known["box"]
    thing = {"object_type": "object_of_change", "bbox": {"x": left, "y": top, "width": right - left, "height": bottom - top}}
    x0, y0, x1, y1 = hand_box(known, known["contact_frame"]) or (0, 0, 1, 1)
    hand = {"object_type": f"{known['side']}_hand", "bbox": {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}}
    action = {"uid": ACTION, "narration_text": f"#C C {known['text']}", "frames": [
        {"frame_type": "pre_45", "frame_number": 0, "boxes": [thing]},
        {"frame_type": "contact_frame", "frame_number": known["contact_frame"], "boxes": [thing, hand]}]}
    data = ego4d_list([action])
    data["videos"][0]["video_metadata"] |= {"fps": 15.0, "width": WIDTH, "height": HEIGHT}
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/fho_main.json").write_text(json.dumps(data))
    return Ego4dReader(root)


@pytest.mark.parametrize("layout", [as_epic, as_ego4d])
@pytest.mark.parametrize("hand", ["mediapipe", "dataset"])
def test_clips_without_depth_become_labels(layout, hand: str, filmed: tuple[list[np.ndarray], dict], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    frames, known = filmed
    reader = layout(tmp_path, frames, known)
    key, = reader.keys()[0]
    settings = LabelSettings(hand=HandSource(hand))
    if hand == "dataset":
        with pytest.raises(Rejected, match="no hand"):
            Extractor(settings, shipped_skeleton()).label(reader.open(key))
        return
    label: GraspLabel = Extractor(settings, shipped_skeleton()).label(reader.open(key))
    assert label.text == known["text"] and label.contact_frame == known["contact_frame"]
    assert label.sources["depth"] == "no" and label.sources["intrinsics"] == "guessed"
    contact = np.mean(known["contacts"], axis=0) - label.box[:2]
    assert np.linalg.norm(label.contact - contact) < 0.15 * np.hypot(*label.crop.shape[:2])
    assert label.wrist is not None and label.mano_pose is not None and np.isfinite(label.mano_pose).all()
