"""A study's session, without ROS, is the graph's: the same samples, the same scores."""

from __future__ import annotations

import os

import numpy as np
import pytest
from graph_support import SUCCEEDED, graph_with

from deft_cem.search.deft_plus import DeftPlusConfig
from deft_cem.summary import read

pytestmark = pytest.mark.graph
SEED, EPISODES, WARMUP = 3, 6, 3


def test_a_study_and_the_graph_run_the_same_session(tmp_path):
    os.environ.setdefault("MUJOCO_GL", "egl")
    from deft_bench.sessions import Training, fine_tune
    from deft_bench.studies import trainings

    short = {"deft_cem": {"search.deft_plus.warmup": WARMUP}}
    with graph_with(29, seed=SEED, overrides=short) as cell:
        handle = cell.send(tmp_path / "graph", episodes=EPISODES, seed=SEED)
        assert cell.result(handle)[0] == SUCCEEDED
    search = trainings({})["defaults"].search.model_copy(update={"deft_plus": DeftPlusConfig(warmup=WARMUP)})
    study = fine_tune("pick_cup", Training(search=search), SEED, EPISODES, tmp_path / "study")
    graph = read(tmp_path / "graph")
    assert [e["reward"] for e in study["episodes"]] == [e["reward"] for e in graph["episodes"]]
    assert len({e["reward"] for e in study["episodes"]}) > 1
    for ours, theirs in zip(study["episodes"], graph["episodes"], strict=True):
        assert np.array_equal(ours["eps"], theirs["eps"]) and ours["redraws"] == theirs["redraws"]
        for name in ("contact", "wrist_rotation", "joints"):
            assert np.allclose(ours["xi"][name], theirs["xi"][name], atol=1e-5), (ours["episode"], name)
