"""Ego4D's FHO list and videos, and files that are not as they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from human_video.files import ACTION, UID, ego4d_action, ego4d_list, write_ego4d

from deft_core.errors import ConfigError
from deft_human_video.clip import PORTABLE
from deft_human_video.errors import ClipError
from deft_human_video.readers.ego4d import Ego4dReader

KEY = f"{UID}/{ACTION}"
LIST = "annotations/fho_main.json"


def test_everything_is_read(tmp_path: Path) -> None:
    reader = Ego4dReader(write_ego4d(tmp_path))
    assert reader.keys() == ([KEY], [])
    clip = reader.open(KEY)
    assert (clip.text, clip.fps, len(clip.frames)) == ("picks up the cup", 30.0, 50 - 5 + 1)
    assert clip.annotation.contact_frame == 15
    hand, = clip.annotation.detections[15].hands
    assert (hand.side, hand.state, hand.box, hand.object_at) == ("right", PORTABLE, (40.0, 40.0, 70.0, 70.0), (75.0, 65.0))
    assert clip.annotation.detections[0].objects[0].label == "cup" and not clip.annotation.detections[0].hands


def test_the_first_version_keys_videos_by_uid(tmp_path: Path) -> None:
    write_ego4d(tmp_path)
    video, = ego4d_list([ego4d_action()])["videos"]
    (tmp_path / LIST).unlink()
    (tmp_path / "annotations/fho.json").write_text(json.dumps({"video_data": {UID: video}}))
    assert Ego4dReader(tmp_path).keys() == ([KEY], [])


def test_small_videos_scale_the_boxes(tmp_path: Path) -> None:
    data = ego4d_list([ego4d_action()])
    data["videos"][0]["video_metadata"]["width"] = 320
    clip = Ego4dReader(write_ego4d(tmp_path, data)).open(KEY)
    assert clip.annotation.detections[15].hands[0].box == (20.0, 20.0, 35.0, 35.0)


LEFT_OUT = {"redacted": ([ego4d_action()], True), "rejected": ([ego4d_action() | {"is_rejected": True}], False),
            "invalid": ([ego4d_action() | {"is_valid_action": False}], False),
            "another person": ([ego4d_action() | {"narration_text": "#O man X picks up"}], False), "no actions": ([], False)}


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_what_is_left_out_is_no_problem(tmp_path: Path, kind: str) -> None:
    actions, redacted = LEFT_OUT[kind]
    assert Ego4dReader(write_ego4d(tmp_path, ego4d_list(actions, redacted))).keys() == ([], [])


LISTED: dict[str, Any] = {
    "action without uid": ego4d_list([{"narration_text": "#C C"}]), "action is text": ego4d_list(["x"]),
    "interval is text": {"videos": [{"video_uid": UID, "annotated_intervals": ["x"]}]},
    "actions are text": {"videos": [{"video_uid": UID, "annotated_intervals": [{"narrated_actions": "x"}]}]},
    "intervals are text": {"videos": [{"video_uid": UID, "annotated_intervals": "x"}]},
}


@pytest.mark.parametrize("kind", LISTED)
def test_malformed_entries_are_listed(tmp_path: Path, kind: str) -> None:
    keys, problems = Ego4dReader(write_ego4d(tmp_path, LISTED[kind])).keys()
    assert not keys and len(problems) == 1 and problems[0].key == UID and problems[0].file.endswith(LIST)


@pytest.mark.parametrize("content", ["", '{"videos": [', "[]", '{"clips": []}'])
def test_no_list(tmp_path: Path, content: str) -> None:
    (write_ego4d(tmp_path) / LIST).write_text(content)
    with pytest.raises(ConfigError, match="fho_main"):
        Ego4dReader(tmp_path)


def frames(*changed: Any) -> dict:
    return ego4d_list([ego4d_action() | {"frames": list(changed)}])


def box(**change: Any) -> dict:
    entry = {"object_type": "right_hand", "bbox": {"x": 1, "y": 1, "width": 5, "height": 5}} | change
    return frames({"frame_type": "contact_frame", "frame_number": 20, "boxes": [entry]})


def meta(value: Any) -> dict:
    data = ego4d_list([ego4d_action()])
    data["videos"][0]["video_metadata"] = value
    return data


BAD: dict[str, Any] = {
    "frames null": ego4d_list([ego4d_action() | {"frames": None}]), "frames empty": frames(),
    "no contact": frames({"frame_type": "pnr_frame", "frame_number": 3}),
    "number missing": frames({"frame_type": "contact_frame"}),
    "number is text": frames({"frame_type": "contact_frame", "frame_number": "x"}),
    "number negative": frames({"frame_type": "contact_frame", "frame_number": -4}),
    "box is a list": box(bbox=[1, 2, 3, 4]), "box not finite": box(bbox={"x": float("nan"), "y": 1, "width": 5, "height": 5}),
    "box negative": box(bbox={"x": 1, "y": 1, "width": -5, "height": 5}), "box without type": frames(
        {"frame_type": "contact_frame", "frame_number": 20, "boxes": [{"bbox": {"x": 1, "y": 1, "width": 5, "height": 5}}]}),
    "metadata missing": meta(None), "fps zero": meta({"fps": 0, "width": 160}), "width is text": meta({"fps": 30,
                                                                                                       "width": "wide"}),
}


@pytest.mark.parametrize("kind", BAD)
def test_damage_names_the_list(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ClipError) as error:
        Ego4dReader(write_ego4d(tmp_path, BAD[kind])).open(KEY)
    assert error.value.file.endswith(LIST) and error.value.problem


@pytest.mark.parametrize("kind", ["missing", "truncated", "too short"])
def test_damaged_videos(tmp_path: Path, kind: str) -> None:
    write_ego4d(tmp_path, frames({"frame_type": "contact_frame", "frame_number": 200}) if kind == "too short" else None)
    video = tmp_path / f"full_scale/{UID}.mp4"
    if kind == "missing":
        video.unlink()
    elif kind == "truncated":
        video.write_bytes(video.read_bytes()[:300])
    with pytest.raises(ClipError, match=f"{UID}.mp4"):
        len(Ego4dReader(tmp_path).open(KEY).frames)
