"""What a bag says of a session when records were amended, repeated, ranked or lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bag.records import BOUND, EPISODE_TOPIC, NAMES, SIGMA, STATUS_TOPIC, Written, crop, record, status
from deft_msgs.msg import Residual

from deft_bag.episodes import read_session
from deft_core.errors import DeftError


def session(tmp_path, *messages):
    written = Written(tmp_path / "bag")
    for topic, message in messages:
        written.add(topic, message)
    written.writer.complete()
    return read_session(tmp_path / "bag")


def episodes(*messages):
    return [(EPISODE_TOPIC, m) for m in messages]


def test_amended_rewards_win_whatever_their_order(tmp_path):
    records = episodes(record(0, status="executed", seen=True), record(0, 0.8), record(0, 0.3, revision=1),
                       record(0, 0.5, revision=2, note="misread"))
    for k, order in enumerate(((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2))):
        (only,) = session(tmp_path / str(k), *[records[i] for i in order]).episodes
        assert (only.reward, only.note, only.revision) == (0.5, "misread", 2)
        assert np.array_equal(only.crop, crop_of(0)), "what was seen stands in the first record only"


def crop_of(k):
    rng = np.random.default_rng([0, k])
    record_of_grasp(rng)
    return crop(rng)


def record_of_grasp(rng):
    """Uses up the random numbers that a record's grasp and residual do."""
    rng.standard_normal(3), rng.standard_normal(3), rng.uniform(0.0, 1.0, 16), rng.standard_normal(22)


def test_a_void_record_takes_an_episode_out(tmp_path):
    found = session(tmp_path, *episodes(record(0, 0.9), record(1, 0.4), record(0, math.nan, status="void", revision=1)))
    assert [e.episode for e in found.elites(5)] == [1]


def test_a_repeated_episode_counts_only_in_its_last_attempt(tmp_path):
    first = record(0, 0.9, seen=True)
    taken_back = record(0, math.nan, status="retry", attempt=1, revision=1)
    assert session(tmp_path / "a", *episodes(first, taken_back)).elites(5) == []
    again = session(tmp_path / "b", *episodes(first, taken_back, record(0, 0.2, attempt=1, revision=1))).episodes[0]
    assert (again.reward, again.attempt, again.crop) == (0.2, 1, None), "the picture of another attempt is not this one's"


def test_an_executed_episode_without_an_answer_is_not_learned_from(tmp_path):
    found = session(tmp_path, *episodes(record(0, 0.9), record(1, status="executed", seen=True)))
    assert [e.status for e in found.episodes] == ["scored", "executed"] and [e.episode for e in found.elites(5)] == [0]


def test_rewards_from_ranks_and_pictures_are_the_last_known_ones(tmp_path):
    """They move as later episodes come; an operator's do not."""
    ranked = [record(k, r, reward_source="comparison") for k, r in enumerate((0.5, 0.5))]
    given = record(2, 0.7)
    found = session(tmp_path, *episodes(*ranked, given), (STATUS_TOPIC, status({0: 0.25, 1: 0.75, 2: 0.1})),
                    (STATUS_TOPIC, status({0: 0.9}, session="another")))
    assert [e.reward for e in found.episodes] == [0.25, 0.75, 0.7]


def test_controls_and_infeasible_ones_are_not_learned_from(tmp_path):
    found = session(tmp_path, *episodes(record(0, 0.9, control=True), record(1, status="infeasible"), record(2, 0.1)))
    assert [e.episode for e in found.elites(5)] == [2] and len(found.episodes) == 3


def test_of_equal_rewards_the_later_episode_wins(tmp_path):
    found = session(tmp_path, *episodes(*(record(k, 0.5) for k in range(6))))
    assert [e.episode for e in found.elites(3)] == [5, 4, 3]


def test_pictures_that_are_missing_are_named(tmp_path):
    found = session(tmp_path, *episodes(record(0, 0.5, seen=True), record(1, 0.5)))
    assert found.warnings == ("the bag has no picture of episodes 1; policies do without it",)


def test_units_come_with_the_records(tmp_path):
    found = session(tmp_path, *episodes(record(0, 0.5)))
    assert found.space.names == NAMES and np.array_equal(found.space.sigma, SIGMA) and np.array_equal(found.space.bound, BOUND)
    assert not found.space.trajectory


def test_records_of_an_earlier_version_are_refused_with_the_reason(tmp_path):
    old = record(0, 0.5)
    old.eps = Residual(names=list(NAMES), values=[0.0] * 22)
    with pytest.raises(DeftError, match="in what units eps is"):
        session(tmp_path, *episodes(old))
