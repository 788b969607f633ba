"""Evaluation: the prior alone and a session's elite mean, on objects never trained on; nothing is learned."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest
from graph_support import ABORTED, SUCCEEDED, domain, graph_with

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def cell():
    with graph_with(5) as tester:
        yield tester


def test_the_tuned_residual_on_test_objects(cell, tmp_path):
    assert cell.result(cell.send(tmp_path / "tuned", episodes=3))[0] == SUCCEEDED
    tuned = json.loads((tmp_path / "tuned" / "summary.json").read_text())
    status, result = cell.result(cell.send_evaluation(tmp_path / "trials", method="tuned", trials=2,
                                                      source_session_dir=str(tmp_path / "tuned")))
    assert status == SUCCEEDED and result.trials + result.infeasible == 2
    assert 0 <= result.wilson_low <= result.success_rate <= result.wilson_high <= 1
    trials = json.loads((tmp_path / "trials" / "summary.json").read_text())
    assert trials["object_set"] == "test" and trials["method"] == "tuned"
    for episode in trials["episodes"]:
        assert np.allclose(episode["eps"], tuned["tuned"])


@pytest.mark.parametrize(("fields", "code"), [({"method": "tuned", "source_session_dir": "/nowhere"}, 701),
                                              ({"method": "tund"}, 701), ({"trials": 0}, 701),
                                              ({"task": "pick_cop"}, 701)])
def test_bad_goals(cell, tmp_path, fields, code):
    status, result = cell.result(cell.send_evaluation(tmp_path, **fields))
    assert status == ABORTED and result.error_code == code and len(result.error_msg) > 15


def test_a_session_with_too_few_scores_has_no_residual(cell, tmp_path):
    assert cell.result(cell.send(tmp_path / "one", episodes=1))[0] == SUCCEEDED
    status, result = cell.result(cell.send_evaluation(tmp_path / "trials", method="tuned",
                                                      source_session_dir=str(tmp_path / "one")))
    assert status == ABORTED and result.error_code == 706


def test_the_evaluate_command(tmp_path):
    env = {**os.environ, "ROS_DOMAIN_ID": domain(6), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    command = ["deft", "evaluate", "pick_cup", "--sim", "--trials", "2", "--json", "--session", str(tmp_path)]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr[-2000:]
    summary = json.loads(result.stdout)
    assert summary["method"] == "prior" and summary["totals"]["scored"] + summary["totals"]["infeasible"] == 2
    assert not np.any(summary["episodes"][0]["eps"]) and "95 % interval" in result.stderr


def test_unknown_names_end_with_the_valid_ones():
    env = {**os.environ, "ROS_DOMAIN_ID": domain(7), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    result = subprocess.run(["deft", "finetune", "pick_cop", "--sim"], env=env, capture_output=True, text=True, check=False,
                            timeout=60)
    assert result.returncode == 2 and "did you mean 'pick_cup'" in result.stderr
