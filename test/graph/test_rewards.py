"""Rewards through the service: bad ones change nothing, the right one counts once; nobody is hurried."""

from __future__ import annotations

import json
import math
import os
import subprocess
import time

import pytest
from deft_msgs.srv import SubmitReward
from graph_support import SUCCEEDED, wait_for

pytestmark = pytest.mark.graph
R = SubmitReward.Request


def answer_reset(tester) -> None:
    """The session starts by asking for the scene; say that it is ready."""
    wait_for(lambda: tester.pending() is not None, 30, "the request to make the scene ready")
    tester.put_object(0)
    assert tester.submit(voided=True).accepted


def next_reward_request(tester):
    wait_for(lambda: tester.pending() is not None and tester.pending().kind == 0, 90, "a reward request")
    return tester.pending()


def test_bad_rewards_change_nothing_and_a_good_one_counts_once(unattended, tmp_path):
    assert unattended.submit(reward=0.5).error_code == R.NOTHING_PENDING
    handle = unattended.send(tmp_path, episodes=2)
    answer_reset(unattended)
    request = next_reward_request(unattended)
    assert request.episode == 0 and request.next_episode == 1 and request.image_before.data and request.image_after.data
    assert [p.phase for p in request.phases][:2] == ["move", "approach"]
    journal = tmp_path / "journal.jsonl"
    before = journal.read_bytes()
    bad = [({"reward": math.nan}, R.BAD_REWARD), ({"reward": 1.2}, R.BAD_REWARD), ({"reward": -0.1}, R.BAD_REWARD),
           ({"reward": 7.0}, R.BAD_REWARD), ({"reward": math.inf}, R.BAD_REWARD),
           ({"reward": 0.5, "episode": 1}, R.WRONG_EPISODE), ({"reward": 0.5, "session": "other"}, R.WRONG_SESSION)]
    for fields, code in bad:
        answer = unattended.submit(**fields)
        assert not answer.accepted and answer.error_code == code and answer.message
    time.sleep(1.0)
    assert journal.read_bytes() == before and unattended.pending() is not None, "still asked, nothing written"
    good = {"reward": 0.25, "episode": 0, "session": request.session, "note": "from the test"}
    unattended.put_object(1)
    assert unattended.submit(**good).accepted
    twice = unattended.submit(**good)
    assert not twice.accepted and twice.error_code in (R.ALREADY_ANSWERED, R.NOTHING_PENDING)
    wait_for(lambda: unattended.pending() is not None and unattended.pending().episode == 1, 90)
    assert unattended.submit(reward=0.75, success=R.SUCCESS_YES).accepted
    status, result = unattended.result(handle)
    assert status == SUCCEEDED and result.best_reward == 0.75
    episodes = json.loads((tmp_path / "summary.json").read_text())["episodes"]
    assert [(e["reward"], e["success"], e["note"]) for e in episodes] == [(0.25, None, "from the test"), (0.75, True, "")]


def test_the_reward_command(unattended, tmp_path):
    def deft(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(["deft", "reward", *words], env=os.environ.copy(), capture_output=True, text=True, check=False)

    nothing = deft("0.5")
    assert nothing.returncode == 1 and "no reward is asked for" in nothing.stderr
    assert deft().returncode == 2
    handle = unattended.send(tmp_path, episodes=1)
    answer_reset(unattended)
    next_reward_request(unattended)
    refused = deft("1.2")
    assert refused.returncode == 1 and "from 0 to 1" in refused.stderr
    assert deft("0.8", "--success", "--note", "by hand").returncode == 0
    assert unattended.result(handle)[0] == SUCCEEDED
    episode = json.loads((tmp_path / "summary.json").read_text())["episodes"][0]
    assert (episode["reward"], episode["success"], episode["note"]) == (0.8, True, "by hand")


def test_a_voided_grasp_is_tried_again_with_the_same_sample(unattended, tmp_path):
    handle = unattended.send(tmp_path, episodes=1)
    answer_reset(unattended)
    next_reward_request(unattended)
    unattended.put_object(0)
    assert unattended.submit(voided=True, note="the cup fell while I reset").accepted
    wait_for(lambda: any(r.attempt == 1 for r in unattended.requests), 90, "the second attempt")
    assert unattended.submit(reward=0.4).accepted
    assert unattended.result(handle)[0] == SUCCEEDED
    records = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    sampled = [r["data"] for r in records if r["kind"] == "sampled"]
    assert [s["attempt"] for s in sampled] == [0, 1] and sampled[0]["eps"] == sampled[1]["eps"]
