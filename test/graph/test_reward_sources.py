"""Rewards from comparisons and from pictures through the real graph, trials against the prior, and a forced resume."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from deft_msgs.msg import RewardRequest
from graph_support import ABORTED, SUCCEEDED, graph_with
from PIL import Image

pytestmark = pytest.mark.graph


def summary_of(folder) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_an_operator_compares_and_a_picture_suggests_and_the_tuned_residual_meets_the_prior(tmp_path):
    """Comparisons with a scripted operator, then trials of the result and the prior in turns, then the export."""
    # Draws as wide as Algorithm 1 has them, so that not all come out alike
    overrides = {"deft_cem": {"rewards.source": "comparison", "search.algorithm": "deft", "search.deft.elites": 2}}
    with graph_with(17, overrides=overrides) as tester:
        assert tester.result(tester.send(tmp_path / "compared", episodes=4), 200)[0] == SUCCEEDED
        compared = [r for r in tester.requests if r.kind == RewardRequest.COMPARE]
        assert compared and all(1 <= r.question <= r.questions <= 2 for r in compared)
        assert all(r.other_image.data and r.image_end.data for r in compared)
        session = summary_of(tmp_path / "compared")
        rewards = [e["reward"] for e in session["episodes"] if e["status"] == "scored"]
        assert rewards and (len(rewards) < 2 or (min(rewards), max(rewards)) == (0.0, 1.0)) and session["tuned"]
        status, result = tester.result(tester.send_evaluation(tmp_path / "versus", method="versus", trials=2,
                                                              source_session_dir=str(tmp_path / "compared")), 200)
        assert status == SUCCEEDED and "prior" in result.gate and result.trials + result.infeasible == 2
    trials = summary_of(tmp_path / "versus")
    assert [e["control"] for e in trials["episodes"]] == [True, False, True, False]
    assert not np.any(trials["episodes"][0]["eps"]) and np.allclose(trials["episodes"][1]["eps"], session["tuned"])
    out = tmp_path / "residual.yaml"
    exported = subprocess.run(["deft", "export", str(tmp_path / "compared"), "--out", str(out), "--evaluation",
                               str(tmp_path / "versus")], capture_output=True, text=True, check=False)
    assert exported.returncode == 0 and out.exists()
    assert "NOT SHOWN TO BE BETTER THAN THE PRIOR" in exported.stdout, "two trials of each can show nothing"


def test_pictures_score_and_another_configuration_is_refused_until_forced(tmp_path):
    folder = tmp_path / "session"
    with graph_with(18, overrides={"deft_cem": {"rewards.source": "automatic"}}) as tester:
        status, _ = tester.result(tester.send(folder, episodes=3), 200)
        assert status == SUCCEEDED
        summary = summary_of(folder)
        scored = [e for e in summary["episodes"] if e["status"] == "scored"]
        assert scored and all(e["reward_source"] == "automatic" for e in scored)
        assert all(e["measured"] < 0 and 0 <= e["reward"] <= 1 for e in scored)
    with graph_with(19, overrides={"deft_cem": {"rewards.source": "suggested", "search.deft.elites": 3}}) as tester:
        status, result = tester.result(tester.send(folder, episodes=4))
        assert status == ABORTED and result.error_code == 602 and "search.deft.elites: 5 -> 3" in result.error_msg
        status, _ = tester.result(tester.send(folder, episodes=4, force=True))
        assert status == SUCCEEDED
        suggested = [r.suggested_reward for r in tester.requests if r.kind == RewardRequest.REWARD]
        assert all(0 <= s <= 1 for s in suggested)
    stem = folder / "pictures" / "episode_003_0"
    end, after = (np.asarray(Image.open(f"{stem}_{which}.jpg"), float) for which in ("end", "after"))
    assert np.abs(end - after).mean() > 5.0, "the hand is in the picture of the end, and parked in the other"
