"""Answers: exhaustive refusals, nothing changed by a refused one, on disk before accepted."""

from __future__ import annotations

import math

import pytest

from deft_cem import codes
from deft_cem.rewards.desk import Answer, RewardDesk, Wanted
from deft_core.errors import DeftError


def answer(reward=0.5, voided=False, comparison=""):
    return Answer(reward, voided, None, "", comparison)


def opened(saved, wanted=Wanted.score):
    desk = RewardDesk()
    desk.open("s1", 3, wanted, saved.append)
    return desk


BAD_NUMBERS = (math.nan, math.inf, -math.inf, 1.2, -0.01, 7.0)
GOOD = {Wanted.score: answer(0.25), Wanted.comparison: answer(math.nan, comparison="worse"),
        Wanted.reset: answer(0.0, voided=True)}
# For each request: every answer that does not fit it, and what it is refused with.
UNFIT = {
    Wanted.score: [*((answer(r), codes.BAD_REWARD) for r in BAD_NUMBERS),
                   *((answer(0.5, comparison=c), codes.BAD_COMPARISON) for c in ("better", "worse", "equal"))],
    Wanted.comparison: [*((answer(r), codes.BAD_COMPARISON) for r in (*BAD_NUMBERS, 0.0, 0.5, 1.0)),
                        (answer(0.5, comparison="beter"), codes.BAD_COMPARISON)],
    Wanted.reset: [*((answer(r), codes.BAD_REWARD) for r in (*BAD_NUMBERS, 0.0, 0.5, 1.0)),
                   (answer(0.5, comparison="better"), codes.BAD_REWARD)],
}
# Whoever means another episode or session is refused, whatever the answer.
ELSEWHERE = [("", 2, codes.WRONG_EPISODE), ("", 4, codes.WRONG_EPISODE), ("", -2, codes.WRONG_EPISODE),
             ("s1", 0, codes.WRONG_EPISODE), ("other", -1, codes.WRONG_SESSION), ("other", 3, codes.WRONG_SESSION)]
TABLE = [(wanted, "", -1, given, code) for wanted, unfit in UNFIT.items() for given, code in unfit]
TABLE += [(wanted, session, episode, given, code) for wanted in Wanted for session, episode, code in ELSEWHERE
          for given in (GOOD[wanted], answer(math.nan), answer(0.5, voided=True), answer(0.5, comparison="equal"))]


@pytest.mark.parametrize(("wanted", "session", "episode", "given", "code"), TABLE)
def test_refused_and_unchanged(wanted, session, episode, given, code):
    saved = []
    desk = opened(saved, wanted)
    with pytest.raises(DeftError) as caught:
        desk.submit(session, episode, given)
    assert caught.value.code == code and saved == [] and desk.wait(0.0) is None
    assert desk.pending() == (3, wanted), "still asked"
    desk.submit("s1", 3, GOOD[wanted])
    assert desk.wait(0.0) == GOOD[wanted] and len(saved) == 1 and desk.pending() is None


@pytest.mark.parametrize("comparison", ["better", "worse", "equal"])
def test_comparisons_are_accepted_where_one_is_asked_for(comparison):
    saved = []
    opened(saved, Wanted.comparison).submit("", -1, answer(math.nan, comparison=comparison))
    assert saved[0].comparison == comparison


@pytest.mark.parametrize("reward", [0.0, 1.0, 0.5])
def test_limits_are_accepted(reward):
    saved = []
    opened(saved).submit("", -1, answer(reward))
    assert saved[0].reward == reward


def test_twice_is_refused_the_second_time():
    saved = []
    desk = opened(saved)
    desk.submit("", 3, answer(0.2))
    for episode in (3, -1):
        with pytest.raises(DeftError) as caught:
            desk.submit("", episode, answer(0.9))
        assert caught.value.code == codes.ALREADY_ANSWERED
    assert [a.reward for a in saved] == [0.2]


def test_nothing_pending():
    with pytest.raises(DeftError) as caught:
        RewardDesk().submit("", -1, answer())
    assert caught.value.code == codes.NOTHING_PENDING


def test_void_needs_no_number_and_a_reset_wants_no_score():
    saved = []
    opened(saved).submit("", -1, answer(math.nan, voided=True))
    desk = opened(saved, Wanted.reset)
    with pytest.raises(DeftError) as caught:
        desk.submit("", -1, answer(0.5))
    assert caught.value.code == codes.BAD_REWARD
    desk.submit("", -1, answer(0.0, voided=True))
    assert len(saved) == 2


def test_an_answer_that_cannot_be_saved_does_not_count():
    def fail(_):
        raise DeftError(codes.JOURNAL_FAILED, "disk full")

    desk = RewardDesk()
    desk.open("s1", 0, Wanted.score, fail)
    with pytest.raises(DeftError) as caught:
        desk.submit("", -1, answer())
    assert caught.value.code == codes.NOT_SAVED and desk.wait(0.0) is None
