"""HOI4D's layouts, and files that are not as they should be."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from human_video.files import FRAMES, HEIGHT, SEQUENCE, WIDTH, hand, write_hoi4d

from deft_core.errors import ConfigError
from deft_human_video.errors import ClipError
from deft_human_video.readers.hoi4d import Hoi4dReader

VIDEO = f"HOI4D_release/{SEQUENCE}/align_rgb/image.mp4"
DEPTH = f"HOI4D_depth_video/{SEQUENCE}/align_depth/depth_video.avi"
LENS = "camera_params/ZY20210800001/intrin.npy"
POSE = f"Hand_pose/handpose_right_hand/{SEQUENCE}/5.pickle"
EVENTS = f"HOI4D_annotations/{SEQUENCE}/action/color.json"


def test_everything_is_read(tmp_path: Path) -> None:
    reader = Hoi4dReader(write_hoi4d(tmp_path))
    assert reader.keys() == ([SEQUENCE], [])
    clip = reader.open(SEQUENCE)
    assert (clip.text, clip.fps, len(clip.frames)) == ("pick up the mug", 15.0, FRAMES)
    assert clip.frames.rgb(3).shape == (HEIGHT, WIDTH, 3)
    depth = clip.frames.depth(3)
    assert depth is not None and depth.dtype == np.uint16 and (depth == 703).all()
    assert clip.intrinsics is not None and (clip.intrinsics.fx, clip.intrinsics.cx) == (150.0, 80.0)
    assert clip.annotation.contact_frame == FRAMES // 2  # by the annotation's clock of 20 s
    assert sorted(clip.annotation.hands) == [4, 5, 7]
    pose, = clip.annotation.hands[5]
    assert pose.side == "right" and np.allclose(pose.mano_pose, hand()["poseCoeff"][3:]) and pose.position is not None


@pytest.mark.parametrize("changes", [{"old_layout": True}, {"other_clock": True}, {"side": "left"}])
def test_other_layouts(tmp_path: Path, changes: dict) -> None:
    clip = Hoi4dReader(write_hoi4d(tmp_path, **changes)).open(SEQUENCE)
    assert clip.annotation.contact_frame == FRAMES // 2
    assert {pose.side for poses in clip.annotation.hands.values() for pose in poses} == {changes.get("side", "right")}


def test_two_people(tmp_path: Path) -> None:
    write_hoi4d(tmp_path)
    left = tmp_path / f"Hand_pose/handpose_left_hand/{SEQUENCE}"
    left.mkdir(parents=True)
    (left / "5.pickle").write_bytes(pickle.dumps(hand("left")))
    clip = Hoi4dReader(tmp_path).open(SEQUENCE)
    assert [pose.side for pose in clip.annotation.hands[5]] == ["right", "left"]


def test_what_may_be_missing(tmp_path: Path) -> None:
    """Depth, hand poses, masks and events are not there for every sequence."""
    write_hoi4d(tmp_path)
    for name in ("HOI4D_depth_video", "Hand_pose", "HOI4D_annotations"):
        shutil.rmtree(tmp_path / name)
    clip = Hoi4dReader(tmp_path).open(SEQUENCE)
    assert clip.frames.depth(0) is None and not clip.annotation.hands and clip.annotation.contact_frame is None
    assert clip.text == "take the mug"


def test_a_listed_sequence_that_is_none(tmp_path: Path) -> None:
    (write_hoi4d(tmp_path) / "release.txt").write_text(f"{SEQUENCE}\nnot a sequence\n\n{SEQUENCE}\n")
    keys, problems = Hoi4dReader(tmp_path).keys()
    assert keys == [SEQUENCE] and "not a sequence" in problems[0].problem and problems[0].file.endswith("release.txt")


def test_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no HOI4D sequence"):
        Hoi4dReader(tmp_path).keys()
    with pytest.raises(ConfigError, match="no folder"):
        Hoi4dReader(tmp_path / "absent")


def cut(name: str, share: float) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[:int(share * len(data))])
    return damage


def replaced(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(content) and None


def pose_with(**change: object) -> Callable[[Path], None]:
    return replaced(POSE, pickle.dumps(hand() | change))


def saved(matrix: np.ndarray) -> Callable[[Path], None]:
    return lambda root: np.save(root / LENS, matrix)


DAMAGE = {
    "video missing": (lambda root: (root / VIDEO).unlink(), VIDEO),
    "video truncated": (cut(VIDEO, 0.5), VIDEO),
    "video empty": (replaced(VIDEO, b""), VIDEO),
    "video is text": (replaced(VIDEO, b"404: not found"), VIDEO),
    "depth truncated": (cut(DEPTH, 0.4), DEPTH),
    "depth of 8 bits": (lambda root: shutil.copy(root / VIDEO, root / DEPTH), DEPTH),
    "intrinsics missing": (lambda root: (root / LENS).unlink(), LENS),
    "intrinsics truncated": (cut(LENS, 0.5), LENS),
    "intrinsics of wrong size": (saved(np.eye(2)), LENS),
    "intrinsics not finite": (saved(np.full((3, 3), np.nan)), LENS),
    "focal length zero": (saved(np.diag([0.0, 150.0, 1.0])), LENS),
    "pose truncated": (cut(POSE, 0.6), POSE),
    "pose empty": (replaced(POSE, b""), POSE),
    "pose of one number": (pose_with(poseCoeff=np.zeros(1)), POSE),
    "pose of text": (pose_with(poseCoeff=np.array(["a"] * 48)), POSE),
    "pose not finite": (pose_with(poseCoeff=np.full(48, np.nan)), POSE),
    "pose is a list": (replaced(POSE, pickle.dumps([1, 2])), POSE),
    "pose wants to run code": (replaced(POSE, b"cos\nsystem\n(S'true'\ntR."), POSE),
    "translation missing": (replaced(POSE, pickle.dumps({"poseCoeff": np.zeros(48)})), POSE),
    "keypoints of wrong shape": (pose_with(kps2D=np.zeros((20, 2))), POSE),
    "pose has no frame": (lambda root: (root / POSE).rename((root / POSE).with_name("x.pickle")), "x.pickle"),
    "events truncated": (cut(EVENTS, 0.7), EVENTS),
    "events are a list": (replaced(EVENTS, b"[]"), EVENTS),
    "events without times": (replaced(EVENTS, json.dumps({"events": [{"event": "Pickup"}]}).encode()), EVENTS),
    "events not finite": (replaced(EVENTS, b'{"events": [{"event": "Pickup", "startTime": NaN, "endTime": 1}]}'), EVENTS),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_names_the_file(tmp_path: Path, kind: str) -> None:
    damage, file = DAMAGE[kind]
    damage(write_hoi4d(tmp_path))
    with pytest.raises(ClipError) as error:
        clip = Hoi4dReader(tmp_path).open(SEQUENCE)
        clip.frames.depth(0)
    assert error.value.file.endswith(file) and error.value.problem
