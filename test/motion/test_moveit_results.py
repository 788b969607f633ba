"""What MoveIt answers is checked before it is believed: every error code, and each way in which a path can be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deft_core.errors import DeftError
from deft_motion import codes
from deft_motion.moveit.results import MOVEIT_CODES, SUCCESS, cartesian_path, require_success, timed_path

NAMES = ("a", "b", "c")
LIMITS = np.array([1.0, 1.0, 2.0])
KNOWN = {0, 99999, *range(-31, 0)} - {-8, -9, -20}  # the numbers that MoveItErrorCodes has but for SUCCESS


def ramped(seconds: float = 4.0, points: int = 40):
    """Times, positions and velocities of a smooth motion from 0 to (1, -1, 0.5)."""
    times = np.linspace(0.0, seconds, points)
    s = times / seconds
    shape, rate = 10 * s**3 - 15 * s**4 + 6 * s**5, (30 * s**2 - 60 * s**3 + 30 * s**4) / seconds
    goal = np.array([1.0, -1.0, 0.5])
    return times, np.outer(shape, goal), np.outer(rate, goal), np.zeros(3), goal


def path(times, positions, velocities, start, goal, names=NAMES):
    return timed_path(names, NAMES, times, positions, velocities, start, goal, LIMITS)


def test_every_error_code_becomes_one_of_ours_with_a_way_out():
    assert set(MOVEIT_CODES) == KNOWN
    ours = {value for name, value in vars(codes).items() if name.isupper() and value}
    for code, (ours_code, words) in MOVEIT_CODES.items():
        assert ours_code in ours and words
        with pytest.raises(DeftError) as caught:
            require_success(code, "said", "planner")
        assert caught.value.code == ours_code
        assert f"MoveIt {code}" in caught.value.message and "planner: said" in caught.value.message
    require_success(SUCCESS)
    with pytest.raises(DeftError, match="MoveIt -777"):
        require_success(-777)


def test_a_good_path_is_taken_over_as_it_is():
    times, positions, velocities, start, goal = ramped()
    found = path(times, positions, velocities, start, goal)
    assert found.duration == pytest.approx(4.0)
    np.testing.assert_allclose(found.positions[[0, -1]], [start, goal], atol=1e-9)
    np.testing.assert_allclose(found.at(2.0), 0.5 * goal, atol=1e-3)
    assert not found.velocities[[0, -1]].any()


def test_joints_are_mapped_by_name():
    times, positions, velocities, start, goal = ramped()
    found = path(times, positions[:, ::-1], velocities[:, ::-1], start, goal, NAMES[::-1])
    np.testing.assert_allclose(found.positions[-1], goal)
    with pytest.raises(DeftError, match="no joint 'c'"):
        path(times, positions[:, :2], velocities[:, :2], start, goal, NAMES[:2])


@given(st.floats(0.05, 20.0))
def test_never_faster_than_the_robot_s_yaml_allows(seconds):
    found = path(*ramped(seconds))
    between = np.abs(np.diff(found.positions, axis=0)) / np.diff(found.times)[:, None]
    assert (between <= LIMITS * 1.02).all() and (np.abs(found.velocities) <= LIMITS * 1.02).all()
    assert found.duration >= seconds - 1e-9


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda t, p, v: (t, p + np.where(np.arange(len(p)) == 5, np.nan, 0.0)[:, None], v), "not finite"),
    (lambda t, p, v: (t, p + 0.1, v), "it starts 0.100 rad"),
    (lambda t, p, v: (t, p * np.where(np.arange(len(p)) == len(p) - 1, 0.9, 1.0)[:, None], v), "from the goal"),
    (lambda t, p, v: (np.where(np.arange(len(t)) == 7, t[6], t), p, v), "times do not increase"),
    (lambda t, p, v: (t, p, v + 0.2), "not end at rest"),
    (lambda t, p, v: (t, p, v[:0]), "no velocities"),
    (lambda t, p, v: (t[:0], p[:0], v[:0]), "no points")])
def test_a_path_that_cannot_be_trusted_is_refused(spoil, words):
    times, positions, velocities, start, goal = ramped()
    with pytest.raises(DeftError, match=words) as caught:
        path(*spoil(times, positions, velocities), start, goal)
    assert caught.value.code == codes.PLANNING_FAILED


def test_no_points_are_right_where_the_arm_is_at_the_goal_already():
    goal = np.array([1.0, -1.0, 0.5])
    found = path(np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3)), goal, goal)
    assert (found.positions == goal).all()


def test_a_cartesian_path_counts_only_whole_and_without_jumps():
    rows = np.linspace(np.zeros(3), np.ones(3), 20)
    np.testing.assert_array_equal(cartesian_path(1.0, NAMES, NAMES, rows, np.zeros(3)), rows)
    for fraction in (0.6, 0.0, 0.99, float("nan"), -1.0):  # the error code says SUCCESS with all of them
        assert cartesian_path(fraction, NAMES, NAMES, rows, np.zeros(3)) is None
    jumping = rows.copy()
    jumping[10:, 1] += 0.5
    assert cartesian_path(1.0, NAMES, NAMES, jumping, np.zeros(3)) is None
    assert cartesian_path(1.0, NAMES, NAMES, rows[:1], np.zeros(3)) is None
    with pytest.raises(DeftError, match=r"starts 0\.100 rad"):
        cartesian_path(1.0, NAMES, NAMES, rows + 0.1, np.zeros(3))
    with pytest.raises(DeftError, match="not finite"):
        cartesian_path(1.0, NAMES, NAMES, rows * np.nan, np.zeros(3))
