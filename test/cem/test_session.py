"""Sessions and the loop: resume at every record, exactly once, with a stand-in for the rest of the graph."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cem.stand_in import CONFIG, SPACE, method, run, spec

from deft_cem import codes
from deft_cem.session import Session
from deft_cem.summary import summarise
from deft_core.errors import DeftError, Interrupted


def outcome(session):
    return [(s.episode, s.status, s.reward, s.eps) for s in session.finished()]


def test_a_session_runs_to_its_end(tmp_path):
    session, graph = run(tmp_path)
    assert [s.status for s in session.finished()] == ["scored"] * 8 and len(graph.executed) == 8
    for state, eps in zip(session.finished(), graph.executed, strict=True):
        assert np.allclose(state.eps, eps)
    summary = summarise(session, method())
    assert json.loads(json.dumps(summary, allow_nan=False))["totals"]["scored"] == 8
    best = sorted(session.scored(), key=lambda e: (e.reward, e.episode))[-2:]
    assert np.allclose(summary["tuned"], np.mean([e.eps for e in best], axis=0)) and summary["finished"]


def test_killed_at_every_step_and_resumed_it_ends_the_same(tmp_path):
    """Whatever step dies, going on gives the same samples and rewards as never having died."""
    reference, graph = run(tmp_path / "reference")
    for step in range(graph.steps):
        folder = tmp_path / f"killed_{step}"
        with pytest.raises(KeyboardInterrupt):
            run(folder, {"die_after": step})
        session, _ = run(folder)
        assert session.resumed and outcome(session) == outcome(reference)


def test_cut_at_every_journal_record_and_resumed_it_ends_the_same(tmp_path):
    reference, _ = run(tmp_path / "reference")
    lines = (tmp_path / "reference" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for keep in range(1, len(lines)):
        folder = tmp_path / f"cut_{keep}"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:keep]) + lines[keep][:17])
        session, _ = run(folder)
        assert outcome(session) == outcome(reference)
        rewards = [r.data["episode"] for r in session.journal.records if r.kind == "finished"]
        assert sorted(rewards) == list(range(8)), "every reward exactly once"


def test_a_pending_reward_survives_a_restart(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, {"die_after": 5})  # park observe predict check execute, dies when asking
    _, graph = run(tmp_path)
    assert graph.asked[0].episode == 0 and graph.asked[0].outcome["phases"] == [["hold", 1.0, 2.0]]
    assert len(graph.executed) == 7, "the executed episode is not executed again"


def test_infeasible_samples_are_redrawn_and_counted(tmp_path):
    session, _ = run(tmp_path, {"failures": {"check": [402, 403, None, None, 410]}})
    states = session.finished()
    assert [s.redraws for s in states[:3]] == [2, 0, 1] and all(s.status == "scored" for s in states)
    assert np.allclose(states[0].eps, method().sample(0, 2, []).eps)


def test_an_episode_without_a_feasible_sample_is_infeasible_not_zero(tmp_path):
    session, graph = run(tmp_path, {"failures": {"check": [402] * CONFIG.max_draws}})
    first = session.finished()[0]
    assert first.status == "infeasible" and first.reward is None and "no feasible sample" in first.reason
    assert graph.asked[0].outcome is None, "the operator is asked to change the scene"
    assert 0 not in [s.episode for s in session.scored()]


def test_a_failed_execution_is_tried_again_with_the_same_sample(tmp_path):
    session, graph = run(tmp_path, {"failures": {"execute": [408]}})
    first = session.finished()[0]
    assert first.status == "scored" and first.attempt == 1
    assert np.allclose(first.eps, method().sample(0, 0, []).eps) and len(graph.executed) == 8


def test_a_robot_that_cannot_park_is_not_an_infeasible_grasp(tmp_path):
    with pytest.raises(DeftError) as caught:
        run(tmp_path, {"failures": {"park": [403] * 3}})
    assert caught.value.code == codes.PIPELINE_FAILED
    session, _ = run(tmp_path / "again", {"failures": {"park": [405]}})
    assert session.finished()[0].status == "scored" and session.finished()[0].attempt == 1


def test_three_failures_abort_and_end_with_a_typed_error(tmp_path):
    with pytest.raises(DeftError) as caught:
        run(tmp_path, {"failures": {"execute": [408] * 3}})
    assert caught.value.code == codes.PIPELINE_FAILED


def test_one_grasp_that_cannot_be_executed_after_one_that_is_infeasible_ends_nothing(tmp_path):
    session, _ = run(tmp_path, {"failures": {"check": [402] * CONFIG.max_draws, "execute": [408] * 3}})
    assert [s.status for s in session.finished()] == ["infeasible", "aborted", *["scored"] * 6]


def test_camera_and_missing_object_are_waited_for(tmp_path):
    session, graph = run(tmp_path, {"failures": {"observe": [101, 101, 103, None]}}, episodes=2)
    assert all(s.status == "scored" for s in session.finished())
    assert graph.asked[0].outcome is None, "asked for the object first"


def test_cancel_ends_the_loop_and_keeps_what_is_done(tmp_path):
    seen = []
    with pytest.raises(Interrupted):
        run(tmp_path, cancelled=lambda: bool(seen.append(1)) or len(seen) > 12)
    session, _ = run(tmp_path)
    reference, _ = run(tmp_path.parent / "reference_for_cancel")
    assert outcome(session) == outcome(reference)


@pytest.mark.parametrize("change", [{"seed": 6}, {"task": "other"}, {"method": "cma"}, {"object_set": "test"},
                                    {"residual_names": SPACE.names[:-1]}])
def test_another_session_in_the_folder_is_refused(tmp_path, change):
    Session(tmp_path, spec()).close()
    with pytest.raises(DeftError, match=next(iter(change))) as caught:
        Session(tmp_path, spec(**change))
    assert caught.value.code == codes.SESSION_MISMATCH
    with pytest.raises(DeftError):
        Session(tmp_path, spec(**change), force=True)


def test_more_episodes_extend_a_session(tmp_path):
    run(tmp_path, episodes=3)
    session, _ = run(tmp_path, episodes=5)
    assert len(session.finished()) == 5


def test_a_folder_in_use_is_refused(tmp_path):
    held = Session(tmp_path, spec())
    with pytest.raises(DeftError, match="in use"):
        Session(tmp_path, spec())
    held.close()


def test_an_unusable_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DeftError) as caught:
        Session(tmp_path / "file" / "session", spec())
    assert caught.value.code == codes.BAD_GOAL
