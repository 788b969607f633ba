"""What an operator may do besides scoring: amend, void, pause, skip, repeat, finish."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest
from cem.stand_in import CONFIG, method, run, spec

from deft_cem import codes
from deft_cem.control import SessionControl
from deft_cem.rewards.desk import Answer, RewardDesk, Wanted
from deft_cem.session import Session, amend_folder
from deft_cem.summary import summarise
from deft_core.errors import DeftError


def scored(folder, **fields):
    """A finished session of 8, opened again."""
    run(folder, **fields)
    return Session(folder, spec())


def test_an_amended_score_changes_what_is_learned_and_keeps_the_history(tmp_path):
    session = scored(tmp_path)
    before = {s.episode: s.reward for s in session.finished()}
    worst = min(before, key=before.get)
    old = method().result(session.scored())
    session.amend(worst, 1.0, True, False, "I had the scale upside down")
    new = method().result(session.scored())
    assert not np.allclose(old, new)
    state = session.episodes[worst]
    assert (state.reward, state.success, state.note) == (1.0, True, "I had the scale upside down")
    assert state.history[0]["reward"] == before[worst] and state.history[0]["until"]
    session.close()
    again = Session(tmp_path, spec())
    assert np.array_equal(method().result(again.scored()), new), "also after a restart"
    assert summarise(again, method())["episodes"][worst]["history"][0]["reward"] == before[worst]
    again.close()


def test_an_amended_score_is_worth_as_much_as_if_it_had_been_given_at_once(tmp_path):
    session = scored(tmp_path / "amended")
    session.amend(2, 0.123, None, False, "")
    expected = [(e.episode, 0.123 if e.episode == 2 else e.reward) for e in session.scored()]
    assert [(e.episode, e.reward) for e in session.scored()] == expected
    one, other = method(), method()
    one.result(session.scored()[:5])
    assert np.array_equal(one.sample(8, 0, session.scored()).eps, other.sample(8, 0, session.scored()).eps)
    session.close()


def test_void_takes_an_episode_out_and_amending_brings_it_back(tmp_path):
    session = scored(tmp_path)
    session.amend(3, math.nan, None, True, "somebody bumped the table")
    assert 3 not in [e.episode for e in session.scored()] and session.episodes[3].status == "void"
    assert session.next_episode() is None, "a void episode is not executed again by itself"
    session.amend(3, 0.5, None, False, "it was fine after all")
    assert (3, 0.5) in [(e.episode, e.reward) for e in session.scored()] and len(session.episodes[3].history) == 2
    session.close()


@pytest.mark.parametrize(("episode", "reward", "voided", "code"), [
    (99, 0.5, False, codes.NO_SUCH_EPISODE), (-1, 0.5, False, codes.NO_SUCH_EPISODE), (7, 0.5, False, codes.NO_SUCH_EPISODE),
    (7, 0.0, True, codes.NO_SUCH_EPISODE), *((2, r, False, codes.BAD_AMENDMENT)
                                             for r in (math.nan, math.inf, -math.inf, -0.01, 1.01, 7.0))])
def test_wrong_amendments_change_nothing(tmp_path, episode, reward, voided, code):
    run(tmp_path, episodes=7)
    session = Session(tmp_path, spec())
    before, seen = (tmp_path / "journal.jsonl").read_bytes(), session.rewards()
    with pytest.raises(DeftError) as caught:
        session.amend(episode, reward, None, voided, "")
    assert caught.value.code == code and len(caught.value.message) > 15
    assert (tmp_path / "journal.jsonl").read_bytes() == before and session.rewards() == seen
    session.close()


def test_an_amendment_that_cannot_be_saved_does_not_count(tmp_path, monkeypatch):
    session = scored(tmp_path)
    seen = session.rewards()

    def full(*_):
        raise DeftError(codes.JOURNAL_FAILED, "is the disk full?")

    monkeypatch.setattr(session.journal, "append", full)
    with pytest.raises(DeftError) as caught:
        session.amend(2, 0.9, None, False, "")
    assert caught.value.code == codes.AMENDMENT_NOT_SAVED and session.rewards() == seen
    session.close()


def test_a_session_that_does_not_run_is_amended_in_its_folder(tmp_path):
    run(tmp_path)
    told = []
    amend_folder(tmp_path, 1, 0.75, None, False, "", lambda session, state: told.append((session.id, state.reward)))
    session = Session(tmp_path, spec())
    assert session.rewards()[1] == 0.75
    with pytest.raises(DeftError, match="in use"):
        amend_folder(tmp_path, 1, 0.5, None, False, "", lambda *_: None)
    session.close()
    with pytest.raises(DeftError, match="no session"):
        amend_folder(tmp_path / "nowhere", 1, 0.5, None, False, "", lambda *_: None)


# -- control --------------------------------------------------------------------------------------------------


def act_at(episode, act):
    """Answers every request but the first for `episode`, for which `act` is done in the answer's place."""
    done = []

    def answers(request, graph):
        if request.outcome is not None and request.episode == episode and not done:
            done.append(act(graph.control))
            return
        graph.answer(request)

    return answers, done


def test_skip_makes_the_episode_void_and_goes_on(tmp_path):
    answers, done = act_at(2, lambda control: control.skip("the lid was on"))
    session, graph = run(tmp_path, {"answers": answers})
    assert done == ["episode 2 is void"] and session.episodes[2].status == "void"
    assert session.episodes[2].reason == "the lid was on" and len(graph.executed) == 8
    assert [s.status for s in session.finished()].count("scored") == 7


def test_repeat_of_the_pending_episode_executes_the_same_sample_again(tmp_path):
    answers, _ = act_at(5, lambda control: control.repeat(""))
    session, graph = run(tmp_path, {"answers": answers})
    assert len(graph.executed) == 9 and np.array_equal(graph.executed[5], graph.executed[6])
    assert session.episodes[5].attempt == 1 and [s.status for s in session.finished()] == ["scored"] * 8


def test_repeat_of_the_last_finished_episode_takes_its_score_back(tmp_path):
    """Asked for between two episodes: the one before is executed again with the same sample, though more is known now."""
    done = []

    def between(progress, control):
        if progress.state == "parking" and progress.episode == 6 and not done:
            done.append(control.repeat("I scored the wrong one"))

    session, graph = run(tmp_path, on_progress=between)
    assert "episode 5" in done[0] and session.episodes[5].attempt == 1
    assert np.array_equal(graph.executed[5], graph.executed[7]), "episode 6 was under way; 5 came after it"
    assert session.episodes[5].history[0]["reward"] is not None and len(session.scored()) == 8
    reopened = Session(tmp_path, spec())
    assert reopened.rewards() == session.rewards()
    reopened.close()


def test_finish_ends_the_session_with_what_is_scored(tmp_path):
    answers, _done = act_at(6, lambda control: control.finish("lunch"))
    session, graph = run(tmp_path, {"answers": answers})
    assert session.ended and session.next_episode() is None and len(graph.executed) == 7
    summary = summarise(session, method())
    assert summary["ended_early"] and summary["finished"] and summary["totals"]["scored"] == 6 and summary["tuned"]
    again, graph = run(tmp_path)
    assert again.ended and not graph.executed, "an ended session stays ended"


def test_pause_stops_before_the_next_episode_until_go_on(tmp_path):
    states = []

    def watch(progress, control):
        states.append((progress.state, progress.episode))
        if progress.state == "executing" and progress.episode == 2 and not control.pausing:
            control.pause("")
        if progress.state == "paused":
            threading.Timer(0.3, lambda: control.go_on("")).start()

    started = time.monotonic()
    session, _ = run(tmp_path, on_progress=watch)
    place = [s for s, _ in states].index("paused")
    assert states[place - 1][1] == 2 and ("parking", 3) in states[place:] and time.monotonic() - started > 0.3
    assert len(session.scored()) == 8


def test_commands_that_make_no_sense_now_change_nothing(tmp_path):
    session, desk = Session(tmp_path, spec()), RewardDesk()
    control, before = SessionControl(session, desk), (tmp_path / "journal.jsonl").read_bytes()
    for command in (control.go_on, control.skip, control.repeat):
        with pytest.raises(DeftError) as caught:
            command("")
        assert caught.value.code == codes.NOT_NOW
    desk.open(session.id, 0, Wanted.reset, lambda _: None)
    with pytest.raises(DeftError) as caught:
        control.skip("")
    assert caught.value.code == codes.NOT_NOW and (tmp_path / "journal.jsonl").read_bytes() == before
    assert desk.pending() is not None
    session.close()


def test_a_command_whose_answer_cannot_be_saved_is_refused(tmp_path):
    def full(_):
        raise DeftError(codes.JOURNAL_FAILED, "is the disk full?")

    session, desk = Session(tmp_path, spec()), RewardDesk()
    desk.open(session.id, 0, Wanted.score, full)
    with pytest.raises(DeftError) as caught:
        SessionControl(session, desk).skip("")
    assert caught.value.code == codes.CONTROL_NOT_SAVED and desk.pending() is not None
    session.close()


def test_a_void_answer_is_tried_again_three_times_at_most(tmp_path):
    def answers(request, graph):
        if request.outcome is not None and request.episode == 1:
            graph.desk.submit("", 1, Answer(0.0, True, None, "blurred"))
        else:
            graph.answer(request)

    session, graph = run(tmp_path, {"answers": answers}, episodes=3)
    assert [s.status for s in session.finished()] == ["scored", "void", "scored"] and session.episodes[1].attempt == 2
    assert len(graph.executed) == 5 and CONFIG.deft.warmup == 3


def test_an_amended_score_keeps_what_was_said_of_success(tmp_path):
    session = scored(tmp_path)
    session.amend(2, 0.3, True, False, "it held")
    session.amend(2, 0.4, None, False, "")
    state = session.episodes[2]
    assert (state.success, state.note, session.rewards()[2]) == (True, "it held", 0.4) and len(state.history) == 2
    session.close()


def test_finish_is_heard_while_the_scene_is_waited_for(tmp_path):
    """The object is missing and stays missing; a person ends the session in place of looking for it."""
    def answers(request, graph):
        if request.outcome is None:
            graph.control.finish("the cup broke")
        else:
            graph.answer(request)

    session, graph = run(tmp_path, {"answers": answers, "failures": {"observe": [None, None, 103, 103, 103]}})
    assert session.ended == "the cup broke" and len(session.scored()) == 2 and len(graph.executed) == 2


def test_finish_ends_a_pause_and_a_failed_finish_changes_nothing(tmp_path):
    session, desk = Session(tmp_path, spec()), RewardDesk()
    control = SessionControl(session, desk)
    control.pause("")

    def full(_):
        raise DeftError(codes.JOURNAL_FAILED, "is the disk full?")

    desk.open(session.id, 0, Wanted.score, full)
    with pytest.raises(DeftError):
        control.finish("")
    assert control.finishing is None and control.pausing
    desk.close()
    control.finish("")
    assert control.finishing and not control.pausing
    session.close()


def test_the_request_says_which_episode_comes_next_also_after_a_repeat(tmp_path):
    """The last but one is repeated while the last is under way: the scene to prepare is that of the repeated one."""
    done = []

    def between(progress, control):
        if progress.state == "parking" and progress.episode == 7 and not done:
            done.append(control.repeat(""))

    _, graph = run(tmp_path, on_progress=between)
    following = [(r.episode, r.next_episode) for r in graph.asked if r.outcome is not None]
    assert following[-2:] == [(7, 6), (6, -1)] and (3, 4) in following
