"""`deft hand`: check, picture, fit-thumb from the command line."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest
from PIL import Image


def deft_hand(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["deft", "hand", *words], env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True,
                          check=False, timeout=120)


def test_check_tells_each_methods_errors():
    result = deft_hand("check", "dash_right")
    assert result.returncode == 0, result.stderr
    assert "16 joints, 12 motors" in result.stdout and "the table in its YAML" in result.stdout
    for method in ("axis", "vector", "dexpilot"):
        line = next(x for x in result.stdout.splitlines() if x.split()[:1] == [method])
        assert "thumb" in line and "0 of 1000" in line


@pytest.mark.parametrize("words", [("leap_right", "--gestures", "pinch,fist", "--method", "dexpilot"),
                                   ("allegro_left", "--left"), ("shadow_right",)])
def test_picture_draws_a_row_for_each_pose(words, tmp_path):
    result = deft_hand("picture", *words, "--out", str(tmp_path / "p.png"))
    assert result.returncode == 0, result.stderr
    picture = np.array(Image.open(tmp_path / "p.png").convert("RGB"))
    left, right = np.hsplit(picture, [picture.shape[1] // 2])
    for half in (left, right):
        coloured = np.ptp(half, axis=2) > 60
        rows = 2 if "--gestures" in words else 4
        assert all(part.sum() > 300 for part in np.array_split(coloured, rows)), "something is drawn in every cell"


def test_a_left_human_hand_is_drawn_as_the_mirror_image_and_imitated_alike(tmp_path):
    pictures = []
    for words in ((), ("--left",)):
        result = deft_hand("picture", "allegro_left", "--gestures", "half_closed", *words, "--out", str(tmp_path / "p.png"))
        assert result.returncode == 0, result.stderr
        pictures.append(np.array(Image.open(tmp_path / "p.png").convert("RGB")))
    middle = pictures[0].shape[1] // 2
    assert not np.array_equal(pictures[0][:, :middle], pictures[1][:, :middle])
    assert np.array_equal(pictures[0][:, middle:], pictures[1][:, middle:])


def test_picture_of_ones_own_poses(tmp_path):
    np.save(tmp_path / "poses.npy", np.zeros((2, 45)))
    assert deft_hand("picture", "leap_right", "--pose", str(tmp_path / "poses.npy"), "--out",
                     str(tmp_path / "p.png")).returncode == 0
    for name, poses in (("empty", np.zeros((0, 45))), ("words", np.array(["a"] * 45))):
        np.save(tmp_path / f"{name}.npy", poses)
        result = deft_hand("picture", "leap_right", "--pose", str(tmp_path / f"{name}.npy"), "--out", str(tmp_path / "q.png"))
        assert result.returncode in (1, 2) and "Traceback" not in result.stderr
    np.save(tmp_path / "bad.npy", np.full(45, np.nan))
    result = deft_hand("picture", "leap_right", "--pose", str(tmp_path / "bad.npy"), "--out", str(tmp_path / "q.png"))
    assert result.returncode == 1 and "non-finite" in result.stderr and not (tmp_path / "q.png").exists()


def test_fit_thumb_prints_rows_for_the_yaml():
    result = deft_hand("fit-thumb", "dash_right")
    assert result.returncode == 0, result.stderr
    assert [line.split('"')[1] for line in result.stdout.splitlines()] == ["thumb_side", "thumb_mcp", "thumb_pip"]
    assert "thumb.cmc.spread" in result.stdout and "by the optimiser" in result.stderr


@pytest.mark.parametrize(("words", "said"), [
    (("check", "leap_rihgt"), "did you mean 'leap_right'"), (("picture", "leap_right", "--out", "x.jpg"), "ends in .png"),
    (("picture", "leap_right", "--gestures", "fits", "--out", "x.png"), "did you mean 'fist'"),
    (("picture", "leap_right", "--out", "/none/x.png"), "no folder"),
    (("picture", "leap_right", "--out", "x.png", "--method", "vektor"), "did you mean 'vector'"),
    (("check", "leap_right", "--mano-file", "/none.pkl"), "cannot be read")])
def test_wrong_words_are_refused_with_the_right_ones(words, said):
    result = deft_hand(*words)
    assert result.returncode == 2 and said in " ".join(result.stderr.split()) and "Traceback" not in result.stderr
