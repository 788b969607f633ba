"""kill -9 between episodes, and resumed: the same next sample, no reward lost or counted twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import numpy as np
import pytest
import yaml
from graph_support import domain, wait_for

from deft_cem.methods import SearchMethod
from deft_cem.search import make_search
from deft_cem.search.basis import make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.session import ScoredEpisode
from deft_core.config import default_config_dir
from deft_core.residual import TAU

pytestmark = pytest.mark.graph


def records(folder) -> list[dict]:
    """Whole journal lines so far."""
    path = folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def start(folder, episodes, number) -> subprocess.Popen:
    env = {**os.environ, "ROS_DOMAIN_ID": domain(number), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    return subprocess.Popen(["deft", "finetune", "pick_cup", "--sim", "--episodes", str(episodes), "--seed", "7",
                             "--session", str(folder), "--json"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, start_new_session=True)


def finished(folder) -> list[dict]:
    return [r["data"] for r in records(folder) if r["kind"] == "finished"]


def test_killed_between_episodes_it_resumes_with_the_same_next_sample(tmp_path):
    process = start(tmp_path, 4, 2)
    try:
        wait_for(lambda: len(finished(tmp_path)) >= 2, 120, "two finished episodes")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=20)
    before = finished(tmp_path)
    process = start(tmp_path, 4, 3)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err[-2000:]
    summary = json.loads(out)
    assert "resumed" in err and summary["totals"]["scored"] + summary["totals"]["infeasible"] == 4
    after = finished(tmp_path)
    assert after[:len(before)] == before and sorted(r["episode"] for r in after) == [0, 1, 2, 3]
    config = SearchConfig(**yaml.safe_load((tmp_path / "session.yaml").read_text())["search"])
    joints = tuple(name for name in summary["residual_names"][6:] if name not in TAU)
    basis = make_basis(config, joints, "allegro_right", default_config_dir())
    method = SearchMethod(make_search(config, basis, 7), basis, 7, config.max_draws, 0, 0)
    scored: list[ScoredEpisode] = []
    for e in summary["episodes"]:
        expected = method.sample(e["episode"], min(e["redraws"], config.max_draws - 1), scored).eps
        assert np.array_equal(e["eps"], expected), "what an uninterrupted session would have drawn"
        if e["status"] == "scored":
            scored.append(ScoredEpisode(e["episode"], np.array(e["eps"]), e["reward"]))


def test_ctrl_c_cancels_cleanly_and_leaves_a_session_to_go_on_with(tmp_path):
    process = start(tmp_path, 3, 4)
    wait_for(lambda: len(finished(tmp_path)) >= 1, 120, "a finished episode")
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "same session folder" in err
    assert (tmp_path / "summary.json").exists() and not json.loads((tmp_path / "summary.json").read_text())["finished"]
