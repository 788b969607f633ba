"""`deft sim`: one episode to look at, from the command line and as a film."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deft_bench.sim_robot import load_rig
from deft_bringup.rehearsal import LABEL, film_gif, rehearse, strip
from deft_core.errors import ConfigError


def deft_sim(*words: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(["deft", "sim", *words], env=os.environ | env, capture_output=True, text=True, check=False,
                          timeout=120)


def test_the_command_says_how_it_went():
    result = deft_sim("open_drawer", "--objects", "test")
    assert result.returncode == 0, result.stderr
    assert "open_drawer, episode 0: opened by" in result.stdout and "score" in result.stdout and ", success" in result.stdout


@pytest.mark.parametrize(("words", "said"), [
    (("open_drawr",), "did you mean 'open_drawer'"), (("pick_cup", "--hand", "alegro"), "unknown hand"),
    (("pick_cup", "--gif", "x.png"), "ends in .gif"), (("pick_cup", "--view", "--gif", "x.gif"), "not both")])
def test_wrong_words_are_refused_with_the_right_ones(words, said):
    result = deft_sim(*words)
    assert result.returncode == 2 and said in " ".join(result.stderr.split()) and "Traceback" not in result.stderr


def test_without_a_display_the_viewer_names_the_way_out():
    result = deft_sim("pick_cup", "--view", DISPLAY="", WAYLAND_DISPLAY="")
    assert result.returncode == 1 and "--gif" in result.stderr and "Traceback" not in result.stderr


def test_a_film_shows_the_episode(tmp_path):
    outcome = film_gif(load_rig("open_drawer", seed=1), "train", 0, "oracle", 1, tmp_path / "out.gif")
    assert outcome.verdict.success
    with Image.open(tmp_path / "out.gif") as film:
        assert 20 < film.n_frames < 200
        film.seek(0)
        first = np.asarray(film.convert("RGB"), float)
        film.seek(film.n_frames * 2 // 3)
        assert np.abs(np.asarray(film.convert("RGB"), float) - first).mean() > 2.0, "something moved"


def test_a_strip_has_six_pictures():
    _, picture = strip(load_rig("open_drawer", seed=1), "train", 0, "oracle", 1, "caption")
    parts = np.split(picture[LABEL:].astype(float), 6, axis=1)
    assert all(np.abs(a - b).mean() > 0.5 for a, b in itertools.pairwise(parts))


def test_the_prior_is_executed_once_through_the_camera():
    outcome = rehearse(load_rig("open_drawer", seed=1), "train", 0, "prior")
    assert outcome.tries == 1 and 0.0 < outcome.verdict.score <= 1.0 and outcome.robot_seconds > 5.0


def test_unknown_tasks_are_config_errors():
    with pytest.raises(ConfigError, match="unknown task"):
        load_rig("juggle")


def test_pictures_of_every_task_are_in_the_docs():
    folder = Path(__file__).resolve().parents[2] / "docs" / "images" / "tasks"
    tasks = {p.stem for p in (Path(__file__).resolve().parents[2] / "src/deft_bringup/config/tasks").glob("*.yaml")}
    assert tasks <= {p.stem for p in folder.glob("*.jpg")} and (folder / "objects.jpg").is_file()
