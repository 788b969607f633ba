"""Answers: exhaustive refusals, nothing changed by a refused one, on disk before accepted."""

from __future__ import annotations

import math

import pytest

from deft_cem import codes
from deft_cem.reward_desk import Answer, RewardDesk
from deft_core.errors import DeftError


def answer(reward=0.5, voided=False):
    return Answer(reward, voided, None, "")


def opened(saved, score_wanted=True):
    desk = RewardDesk()
    desk.open("s1", 3, score_wanted, saved.append)
    return desk


@pytest.mark.parametrize(("session", "episode", "given", "code"), [
    ("", -1, answer(math.nan), codes.BAD_REWARD), ("", -1, answer(math.inf), codes.BAD_REWARD),
    ("", -1, answer(-math.inf), codes.BAD_REWARD), ("", -1, answer(1.2), codes.BAD_REWARD),
    ("", -1, answer(-0.01), codes.BAD_REWARD), ("", -1, answer(7.0), codes.BAD_REWARD),
    ("", 2, answer(), codes.WRONG_EPISODE), ("", 4, answer(), codes.WRONG_EPISODE),
    ("other", -1, answer(), codes.WRONG_SESSION), ("other", 3, answer(), codes.WRONG_SESSION)])
def test_refused_and_unchanged(session, episode, given, code):
    saved = []
    desk = opened(saved)
    with pytest.raises(DeftError) as caught:
        desk.submit(session, episode, given)
    assert caught.value.code == code and saved == [] and desk.wait(0.0) is None
    desk.submit("s1", 3, answer(0.25))
    assert desk.wait(0.0).reward == 0.25 and len(saved) == 1


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
    desk = opened(saved, score_wanted=False)
    with pytest.raises(DeftError) as caught:
        desk.submit("", -1, answer(0.5))
    assert caught.value.code == codes.BAD_REWARD
    desk.submit("", -1, answer(0.0, voided=True))
    assert len(saved) == 2


def test_an_answer_that_cannot_be_saved_does_not_count():
    def fail(_):
        raise DeftError(codes.JOURNAL_FAILED, "disk full")

    desk = RewardDesk()
    desk.open("s1", 0, True, fail)
    with pytest.raises(DeftError) as caught:
        desk.submit("", -1, answer())
    assert caught.value.code == codes.NOT_SAVED and desk.wait(0.0) is None
