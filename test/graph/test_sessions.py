"""What an operator may do to a running session, through the real graph: amend, pause, skip, repeat, finish."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from deft_msgs.msg import Episode, RewardRequest
from deft_msgs.srv import AmendReward, ControlSession, SubmitReward
from graph_support import SUCCEEDED, wait_for

from deft_core.ros import names
from deft_core.ros.qos import EPISODES

pytestmark = pytest.mark.graph
C, A, R = ControlSession.Request, AmendReward.Request, SubmitReward.Request


def control(tester, command: int) -> ControlSession.Response:
    return tester.call(ControlSession, names.CONTROL_SESSION, C(command=command, note="from the test"))


def amend(tester, **fields) -> AmendReward.Response:
    return tester.call(AmendReward, names.AMEND_REWARD, A(**fields))


def asked(tester, episode: int, kind: int = RewardRequest.REWARD, attempt: int = 0) -> RewardRequest:
    def there() -> bool:
        request = tester.pending()
        return request is not None and (request.episode, request.kind, request.attempt) == (episode, kind, attempt)

    wait_for(there, 90, f"request {kind} for episode {episode}, attempt {attempt}")
    return tester.pending()


def start(tester, folder, episodes: int):
    handle = tester.send(folder, episodes=episodes)
    wait_for(lambda: tester.pending() is not None, 30, "the request to make the scene ready")
    tester.put_object(0)
    assert tester.submit(voided=True).accepted
    return handle


def summary_of(folder) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_scores_are_amended_episodes_skipped_and_repeated_and_the_session_is_finished(unattended, tmp_path):
    assert control(unattended, C.PAUSE).error_code == C.NO_SESSION
    assert amend(unattended, episode=0, reward=0.5).error_code == A.NO_SUCH_EPISODE
    heard: list[Episode] = []
    subscription = unattended.node.create_subscription(Episode, names.EPISODE, heard.append, EPISODES)
    handle = start(unattended, tmp_path, 6)
    asked(unattended, 0)
    for episode in (0, 9):
        assert amend(unattended, episode=episode, reward=0.5).error_code == A.NO_SUCH_EPISODE
    assert control(unattended, 77).error_code == C.BAD_COMMAND and control(unattended, C.GO_ON).error_code == C.NOT_NOW
    unattended.put_object(1)
    assert unattended.submit(reward=0.25).accepted
    asked(unattended, 1)
    journal = (tmp_path / "journal.jsonl").read_bytes()
    assert amend(unattended, episode=0, reward=7.0).error_code == A.BAD_REWARD
    assert amend(unattended, episode=0, reward=0.5, session="other").error_code == A.NO_SUCH_EPISODE
    assert (tmp_path / "journal.jsonl").read_bytes() == journal
    answer = amend(unattended, episode=0, reward=0.75, success=A().success, note="misread")
    assert answer.accepted, answer.message
    wait_for(lambda: any(e.episode == 0 and e.revision == 1 and e.reward == 0.75 for e in heard), 10, "the amended record")
    assert summary_of(tmp_path)["episodes"][0]["history"][0]["reward"] == 0.25
    unattended.put_object(1)
    assert control(unattended, C.REPEAT).accepted
    asked(unattended, 1, attempt=1)
    unattended.put_object(2)
    assert control(unattended, C.SKIP).accepted
    asked(unattended, 2)
    assert control(unattended, C.PAUSE).accepted
    unattended.put_object(3)
    assert unattended.submit(reward=0.5).accepted
    wait_for(lambda: unattended.state() == "paused", 20, "the pause")
    assert control(unattended, C.GO_ON).accepted
    asked(unattended, 3)
    assert control(unattended, C.FINISH).accepted
    status, result = unattended.result(handle)
    unattended.node.destroy_subscription(subscription)
    assert status == SUCCEEDED and result.scored == 2
    summary = summary_of(tmp_path)
    assert summary["ended_early"] and [e["status"] for e in summary["episodes"]] == ["scored", "void", "scored", "void"]
    records = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    sampled = [r["data"] for r in records if r["kind"] == "sampled"]
    assert [(s["episode"], s["attempt"]) for s in sampled] == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0)]
    assert sampled[1]["eps"] == sampled[2]["eps"]


def test_the_commands_say_what_happened(unattended, tmp_path):
    def deft(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(["deft", *words], env=os.environ.copy(), capture_output=True, text=True, check=False)

    nothing = deft("session", "pause")
    assert nothing.returncode == 1 and "no session runs" in nothing.stderr
    assert deft("amend", "0").returncode == 2
    handle = start(unattended, tmp_path, 1)
    asked(unattended, 0)
    assert "pauses when" in deft("session", "pause").stdout and "goes on" in deft("session", "go-on").stdout
    assert deft("reward", "0.5").returncode == 0
    assert unattended.result(handle)[0] == SUCCEEDED
    out = tmp_path / "residual.yaml"
    few = deft("export", str(tmp_path), "--out", str(out))
    assert few.returncode == 1 and "too few scored" in few.stderr and not out.exists()
    assert deft("amend", "0", "0.9", "--session", str(tmp_path)).returncode == 0
    refused = deft("amend", "4", "0.9", "--session", str(tmp_path))
    assert refused.returncode == 1 and "can be amended: [0]" in refused.stderr
    stale = deft("export", str(tmp_path), "--out", str(out))
    assert stale.returncode == 1 and "amended since" in stale.stderr
