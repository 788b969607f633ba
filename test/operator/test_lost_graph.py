"""Two panels at once, and a graph that is killed and started again: both show the truth within 2 s, one reward counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
from graph_support import domain, wait_for
from operator_desks import display, qt_panel, web_panel

from deft_cem.journal import peek

pytestmark = pytest.mark.graph
TRUTH_SECONDS = 2.0


@contextmanager
def graph_process(number: int, folder):
    """`deft finetune --sim` where nobody answers but the panels."""
    environment = {**os.environ, "ROS_DOMAIN_ID": domain(number), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    process = subprocess.Popen(["deft", "finetune", "pick_cup", "--sim", "--operator", "none", "--episodes", "3", "--session",
                                str(folder)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                               start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def seconds_until(condition, most: float = 10.0) -> float:
    """How long it takes until something is true."""
    started = time.monotonic()
    wait_for(condition, most)
    return time.monotonic() - started


def test_the_graph_is_lost_and_comes_back_and_one_of_two_rewards_counts(tmp_path):
    number = 8
    with display() as screen, qt_panel(screen, domain(number)) as desk, web_panel(domain(number)) as tablet:
        assert not tablet.view()["alive"] and "lost" in desk.state()["status"]
        with graph_process(number, tmp_path) as graph:
            wait_for(lambda: "Make the scene ready" in desk.state()["question"], 90)
            desk.say("key", "Return")
            wait_for(lambda: "grasp of episode 1," in desk.state()["question"], 90)
            desk.say("key", "4")  # the slider is set on the desk, and not yet submitted
            assert tablet.view()["request"]["episode"] == 0
            os.killpg(graph.pid, signal.SIGKILL)
            graph.wait()
            lost = seconds_until(lambda: not tablet.view()["alive"] and "lost" in desk.state()["status"])
            assert lost < TRUTH_SECONDS
            assert not desk.state()["asks"], "nothing can be said to a graph that is not there"
            status, said = tablet.request("/api/answer", {"kind": "reward", "session": "s", "episode": 0, "attempt": 0,
                                                         "reward": 0.9})
            assert status == 409 and not json.loads(said)["accepted"]
        with graph_process(number, tmp_path) as graph:
            wait_for(lambda: tablet.view()["alive"], 90)
            back = seconds_until(lambda: "lost" not in desk.state()["status"])
            assert back < TRUTH_SECONDS, "both panels see it"
            wait_for(lambda: "grasp of episode 1," in desk.state()["question"], 60, "the reward to be asked for again")
            desk.say("key", "4")
            request = tablet.view()["request"]
            answer = {"kind": "reward", "session": request["session"], "episode": 0, "attempt": request["attempt"],
                      "reward": 0.9}
            assert tablet.request("/api/answer", answer)[0] == 200
            gone = seconds_until(lambda: "grasp of episode 1," not in desk.state()["question"])
            assert gone < TRUTH_SECONDS
            desk.say("key", "Return")  # too late: it must not count for the next episode either
            status, said = tablet.request("/api/answer", answer)
            assert status == 409, "neither does the same answer again"
            wait_for(lambda: len(tablet.view()["session"]["rows"]) == 1, 10)
            assert seconds_until(lambda: desk.state()["rows"][:1] and desk.state()["rows"][-1][2] == "0.90") < TRUTH_SECONDS
    finished = [r.data for r in peek(tmp_path / "journal.jsonl") if r.kind == "finished"]
    assert [(d["episode"], d["reward"]) for d in finished] == [(0, 0.9)]
    print(f"lost after {lost:.2f} s, the answer of the other panel after {gone:.2f} s")
