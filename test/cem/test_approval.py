"""Planned grasps that wait for a person: approved, rejected, skipped, and what the journal keeps of it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from cem.stand_in import CONFIG, SPACE, StandInGraph, method, spec

from deft_cem import codes
from deft_cem.approval import Approval, ApprovalDesk, Decision
from deft_cem.asking import Asking
from deft_cem.control import SessionControl
from deft_cem.journal import peek
from deft_cem.loop import FineTuningLoop
from deft_cem.methods import FixedMethod
from deft_cem.rewards.config import RewardConfig
from deft_cem.rewards.desk import RewardDesk
from deft_cem.session import Session
from deft_cem.summary import summarise
from deft_core.errors import DeftError, Interrupted


def run(folder, decide, episodes=3, made=None, cancelled=lambda: False, **changes):
    """A session where `decide(proposal, control)` answers every proposal; None leaves it open."""
    session, desk, approvals = Session(folder, spec(episodes, **changes)), RewardDesk(), ApprovalDesk()
    graph, control = StandInGraph(desk), SessionControl(session, desk)
    graph.session = session

    def on_proposal(proposal):
        decision = decide(proposal, control)
        if decision is not None:  # a person answers after the proposal was shown
            threading.Thread(target=answer, args=(proposal, decision)).start()

    def answer(proposal, decision):
        for _ in range(500):
            try:
                approvals.submit(proposal.session, proposal.episode, proposal.attempt, proposal.draw,
                                 Approval(decision, "said"))
                return
            except DeftError as error:
                assert error.code == codes.NOTHING_PROPOSED  # not open yet
                threading.Event().wait(0.01)

    graph.on_proposal = on_proposal
    made = made or method(CONFIG)
    asking = Asking(session, desk, graph, control, RewardConfig(), None, cancelled, approvals)
    loop = FineTuningLoop(session, made, SPACE, graph, asking, control, lambda p: None, lambda s: None, lambda s: None,
                          cancelled, reset_first=False)
    try:
        loop.run()
    finally:
        session.close()
    return session, graph, made


def test_a_rejected_sample_is_a_constraint_and_not_a_score(tmp_path):
    """Another is drawn for the same episode; the rejected one is kept, and never reaches the search."""
    session, graph, made = run(tmp_path, lambda p, _: Decision.reject if (p.episode, p.draw) in ((1, 0), (1, 1))
                               else Decision.approve)
    summary = summarise(session, made)
    second = summary["episodes"][1]
    assert [e["status"] for e in summary["episodes"]] == ["scored"] * 3
    assert [r["draw"] for r in second["rejected"]] == [0, 1] and second["redraws"] == 0
    assert summary["totals"]["rejected_samples"] == 2 and summary["totals"]["infeasible_samples"] == 0
    expected = [method(CONFIG).sample(1, draw, session.scored()[:1]).eps for draw in range(3)]
    np.testing.assert_array_equal([*[r["eps"] for r in second["rejected"]], second["eps"]], expected)
    assert len(graph.executed) == 3, "what was rejected was not executed"
    tried = [tuple(s.eps) for s in session.scored()]
    assert not any(tuple(r["eps"]) in tried for r in second["rejected"])
    assert graph.proposed[-1] is None, "nothing is proposed when the session is over"


def test_a_session_that_dies_after_a_rejection_goes_on_with_the_next_draw(tmp_path):
    died = threading.Event()

    def reject_then_die(proposal, _):
        if proposal.draw == 1:
            died.set()
            return None
        return Decision.reject

    with pytest.raises(Interrupted):
        run(tmp_path, reject_then_die, cancelled=died.is_set)
    session, _, _ = run(tmp_path, lambda p, _: Decision.approve)
    first = session.episodes[0]
    assert [r["draw"] for r in first.rejected] == [0] and first.status == "scored"
    np.testing.assert_array_equal(first.eps, method(CONFIG).sample(0, 1, []).eps)
    assert sum(r.kind == "rejected" for r in peek(tmp_path / "journal.jsonl")) == 1


def test_skip_makes_the_episode_void(tmp_path):
    session, graph, _ = run(tmp_path, lambda p, _: Decision.skip if p.episode == 1 else Decision.approve)
    assert [session.episodes[k].status for k in range(3)] == ["scored", "void", "scored"] and len(graph.executed) == 2


def test_a_rejected_trial_is_void(tmp_path):
    """Of the prior alone, and of a fixed residual, another draw would be the same."""
    session, graph, _ = run(tmp_path, lambda p, _: Decision.reject, episodes=2, made=FixedMethod("prior", SPACE.size, None),
                            method="prior")
    assert [session.episodes[k].status for k in range(2)] == ["void", "void"] and not graph.executed


def test_ending_the_session_withdraws_the_proposal(tmp_path):
    def finish(proposal, control):
        threading.Timer(0.1, control.finish, ("enough",)).start()

    session, graph, _ = run(tmp_path, finish)
    assert session.ended == "enough" and not graph.executed


def test_the_desk_refuses_what_is_not_asked():
    desk, said = ApprovalDesk(), []
    with pytest.raises(DeftError) as caught:
        desk.submit("", -1, -1, -1, Approval(Decision.approve))
    assert caught.value.code == codes.NOTHING_PROPOSED
    desk.open("s", 3, 0, 1, said.append)
    for where in (("other", 3, 0, 1), ("s", 2, 0, 1), ("s", 3, 0, 0), ("s", 3, 1, 1)):
        with pytest.raises(DeftError) as caught:
            desk.submit(*where, Approval(Decision.approve))
        assert caught.value.code == codes.WRONG_PROPOSAL and not said
    desk.submit("", -1, -1, -1, Approval(Decision.reject))
    assert [a.decision for a in said] == [Decision.reject] and desk.wait(0).decision is Decision.reject
    with pytest.raises(DeftError) as caught:  # twice
        desk.submit("s", 3, 0, 1, Approval(Decision.approve))
    assert caught.value.code == codes.NOTHING_PROPOSED


def test_an_answer_that_cannot_be_saved_does_not_count():
    def full(_):
        raise DeftError(codes.JOURNAL_FAILED, "disk full")

    desk = ApprovalDesk()
    desk.open("s", 0, 0, 0, full)
    with pytest.raises(DeftError) as caught:
        desk.submit("s", 0, 0, 0, Approval(Decision.reject))
    assert caught.value.code == codes.APPROVAL_NOT_SAVED and desk.wait(0) is None
