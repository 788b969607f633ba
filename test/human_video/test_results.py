"""Files of results from the paper's tools, in the forms that their code gives and people save."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from human_video.files import SEQUENCE, write_hoi4d
from scipy.spatial.transform import Rotation

from deft_core.types import Intrinsics
from deft_human_video.clip import PORTABLE, Clip
from deft_human_video.errors import ClipError
from deft_human_video.readers.hoi4d import Hoi4dReader
from deft_human_video.readers.results import Results, along_ray, read_100doh, read_detic, read_hands
from deft_retarget.skeleton import MIRROR, HandSkeleton, mirrored, shipped_skeleton

LENS = Intrinsics(160, 120, 150.0, 150.0, 79.5, 59.5)
HAND_ROW = [10.0, 20, 50, 60, 0.9, 3, 0.002, 1.0, 0.0, 1]  # box, score, state, offset of 20 pixels to the right, right hand
OBJECT_ROW = [40.0, 30, 70, 60, 0.8, 0, 0, 0, 0, 0]
SKELETON = HandSkeleton(shipped_skeleton().joints, shipped_skeleton().tips, np.full(45, 0.1), "test")


def saved(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(data))
    return path


@pytest.mark.parametrize("keys", ["numbers", "names", "list"])
def test_100doh(tmp_path: Path, keys: str) -> None:
    frames: list[Any] = [{"hand_dets": None, "obj_dets": None}, {"hand_dets": np.array([HAND_ROW]),
                                                                 "obj_dets": np.array([OBJECT_ROW])}]
    data = {"numbers": dict(enumerate(frames)), "names": {f"frame_{i:05d}.png": f for i, f in enumerate(frames)},
            "list": frames}[keys]
    found = read_100doh(saved(tmp_path / "a.pkl", data), 2)
    assert not found[0].hands and not found[0].objects
    hand, = found[1].hands
    assert (hand.side, hand.state, hand.object_at) == ("right", PORTABLE, (50.0, 40.0))
    assert found[1].objects[0].box == (40.0, 30.0, 70.0, 60.0)


BAD_100DOH: dict[str, Any] = {
    "number": 3, "empty": {}, "no arrays": [{"hands": 1}], "wrong columns": [{"hand_dets": np.zeros((1, 6)), "obj_dets": None}],
    "text": [{"hand_dets": np.array([["a"] * 10]), "obj_dets": None}], "name without number": {"x.png": {}},
    "not finite": [{"hand_dets": np.full((1, 10), np.nan), "obj_dets": None}],
    "state unknown": [{"hand_dets": np.array([[*HAND_ROW[:5], 7, *HAND_ROW[6:]]]), "obj_dets": None}],
}


@pytest.mark.parametrize("kind", BAD_100DOH)
def test_damaged_100doh(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ClipError, match=r"a\.pkl"):
        read_100doh(saved(tmp_path / "a.pkl", BAD_100DOH[kind]), 5)


def test_detic(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"category": "cup", "score": 0.7, "x": 1, "y": 2, "w": 3, "h": 4}]))
    arrays = {"pred_boxes": np.array([[1, 2, 4, 6]]), "scores": np.array([0.7]), "pred_classes": ["cup"]}
    for path in (tmp_path / "a.json", saved(tmp_path / "b.pkl", arrays)):
        found, = read_detic(path)
        assert (found.box, found.label, found.score) == ((1.0, 2.0, 4.0, 6.0), "cup", 0.7)


@pytest.mark.parametrize("content", ["", "{}x", '[{"category": "cup"}]',
                                     '[{"category": "c", "score": NaN, "x": 1, "y": 2, "w": 3, "h": 4}]'])
def test_damaged_detic(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ClipError, match=r"a\.json"):
        read_detic(tmp_path / "a.json")
    with pytest.raises(ClipError, match="one length"):
        read_detic(saved(tmp_path / "b.pkl", {"pred_boxes": np.zeros((2, 4)), "scores": [1.0], "pred_classes": ["a"]}))


def frankmocap(side: str) -> dict[str, Any]:
    pose = np.random.default_rng(0).normal(0, 0.3, (1, 48))
    hand = {"pred_hand_pose": pose, "pred_hand_betas": np.zeros((1, 10)), "pred_joints_img": np.full((21, 3), 40.0)}
    other = "left_hand" if side == "right" else "right_hand"
    return {"hand_bbox_list": [{f"{side}_hand": np.array([60.0, 40, 40, 40]), other: None}],
            "pred_output_list": [{f"{side}_hand": hand, other: {}}]}


@pytest.mark.parametrize("side", ["right", "left"])
def test_frankmocap_is_relative_to_the_mean_hand(tmp_path: Path, side: str) -> None:
    data = frankmocap(side)
    saved(tmp_path / "00012_prediction_result.pkl", data)
    hand, = read_hands(tmp_path, LENS, SKELETON)[12]
    pose = data["pred_output_list"][0][f"{side}_hand"]["pred_hand_pose"][0]
    mean = np.full(45, 0.1) if side == "right" else mirrored(np.full(45, 0.1))
    assert hand.side == side and np.allclose(hand.mano_pose, pose[3:] + mean) and hand.position is None
    assert hand.wrist == pytest.approx(along_ray(pose[:3], np.array([80.0, 60.0]), LENS))


def test_frankmocap_needs_the_mano_file(tmp_path: Path) -> None:
    saved(tmp_path / "1_prediction_result.pkl", frankmocap("right"))
    with pytest.raises(ClipError, match=r"MANO_RIGHT\.pkl"):
        read_hands(tmp_path, LENS, shipped_skeleton())


def hamer(right: float) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    turn, fingers = rng.normal(0, 0.4, 3), rng.normal(0, 0.3, (15, 3))
    params = {"global_orient": Rotation.from_rotvec(turn).as_matrix()[None, None], "betas": np.zeros((1, 10)),
              "hand_pose": Rotation.from_rotvec(fingers).as_matrix()[None]}
    return {"pred_mano_params": params, "right": np.array([right])}, turn, fingers.ravel()


def test_hamer_mirrors_left_hands(tmp_path: Path) -> None:
    """HaMeR and WiLoR give a left hand as the right hand that a mirror shows; WiLoR-mini gives it as it is."""
    for right in (1.0, 0.0):
        data, turn, fingers = hamer(right)
        saved(tmp_path / f"{int(right)}/7.pkl", data)
        hand, = read_hands(tmp_path / str(int(right)), LENS, SKELETON)[7]
        assert hand.side == ("right" if right else "left")
        assert np.allclose(hand.mano_pose, fingers if right else mirrored(fingers))
        assert np.allclose(hand.wrist, turn if right else turn * MIRROR)
    mini = {"hand_bbox": [0, 0, 9, 9], "is_right": 0.0, "wilor_preds": {"global_orient": turn[None, None],
                                                                        "hand_pose": fingers.reshape(
        1, 15, 3), "pred_keypoints_2d": np.full((1, 21, 2), 60.0)}}
    saved(tmp_path / "mini/7.pkl", [mini])
    hand, = read_hands(tmp_path / "mini", LENS, SKELETON)[7]
    assert hand.side == "left" and np.allclose(hand.mano_pose, fingers)


BAD_HANDS: dict[str, Any] = {
    "other tool": {"vertices": 1}, "one number": {"pred_output_list": [{"right_hand": {"pred_hand_pose": [1]}}],
                                                   "hand_bbox_list": [{"right_hand": [0, 0, 1, 1]}]},
    "boxes missing": {"pred_output_list": [{}]}, "rotations missing": {"pred_mano_params": {}, "right": [1]},
    "rotations not finite": {"pred_mano_params": {"global_orient": np.full((1, 1, 3, 3), np.nan), "hand_pose": np.zeros((1,
                                                                                                                         15,
                                                                                                                         3,
                                                                                                                         3))},
                             "right": [1]},
    "wilor-mini without keypoints": [{"wilor_preds": {"hand_pose": np.zeros(45), "global_orient": np.zeros(3)}, "is_right": 1}],
}


@pytest.mark.parametrize("kind", BAD_HANDS)
def test_damaged_hands(tmp_path: Path, kind: str) -> None:
    saved(tmp_path / "3.pkl", BAD_HANDS[kind])
    with pytest.raises(ClipError, match=r"3\.pkl"):
        read_hands(tmp_path, LENS, SKELETON)
    with pytest.raises(ClipError, match="no hand poses"):
        read_hands(tmp_path / "absent", LENS, SKELETON)


def test_a_crop_off_the_middle_turns_the_wrist() -> None:
    """What lies straight ahead in a crop at the picture's right edge is seen from its left in the whole picture."""
    turned = Rotation.from_rotvec(along_ray(np.zeros(3), np.array([229.5, 59.5]), LENS))
    assert turned.apply([0.0, 0.0, 1.0]) == pytest.approx([np.sqrt(0.5), 0.0, np.sqrt(0.5)])


def test_results_replace_the_annotation(tmp_path: Path) -> None:
    clip: Clip = Hoi4dReader(write_hoi4d(tmp_path / "data")).open(SEQUENCE)
    saved(tmp_path / f"detections/{SEQUENCE}.pkl", [{"hand_dets": np.array([HAND_ROW]), "obj_dets": None}])
    (tmp_path / f"objects/{SEQUENCE}.json").parent.mkdir(parents=True)
    (tmp_path / f"objects/{SEQUENCE}.json").write_text(json.dumps([{"category": "mug", "score": 1, "x": 1, "y": 2, "w": 3,
                                                                    "h": 4}]))
    saved(tmp_path / f"hands/{SEQUENCE}/5.pkl", hamer(1.0)[0])
    added = Results(tmp_path / "detections", tmp_path / "objects", tmp_path / "hands").added(clip, SKELETON)
    assert added.annotation.detections[0].objects[0].label == "mug" and added.annotation.detections[0].hands[0].side == "right"
    assert list(added.annotation.hands) == [5]
    with pytest.raises(ClipError, match="cannot be read"):
        Results(detections=tmp_path / "absent").added(clip, SKELETON)
