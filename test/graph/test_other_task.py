"""A task other than pick_cup through the whole graph."""

from __future__ import annotations

import json

import pytest
from graph_support import SUCCEEDED, graph_with

pytestmark = pytest.mark.graph


def test_another_task_runs_through_the_graph_with_its_own_look_and_trajectory(tmp_path):
    """The drawer: perception is asked for the part nearest to the robot, motion for another demonstration."""
    with graph_with(13, task="open_drawer") as tester:
        status, result = tester.result(tester.send_evaluation(tmp_path, task="open_drawer", trials=2))
    assert status == SUCCEEDED and result.trials + result.infeasible == 2
    summary = json.loads((tmp_path / "summary.json").read_text())
    scored = [e for e in summary["episodes"] if e["status"] == "scored"]
    assert summary["task"] == "open_drawer" and scored
    assert all("opened" in e["note"] or "closed" in e["note"] for e in scored)
