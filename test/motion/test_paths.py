"""Timed paths keep their limits."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicHermiteSpline

from deft_motion.paths import ramp, still, time_optimal

VELOCITY, ACCELERATION = np.full(7, 1.2), np.full(7, 3.0)


def spline(path, k=400):
    times = np.linspace(0, path.duration, k)
    curve = CubicHermiteSpline(path.times, path.positions, path.velocities)
    return curve(times), curve(times, 1)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_time_optimal_keeps_velocity_and_ends(seed, count):
    rng = np.random.default_rng(seed)
    corners = np.cumsum(rng.normal(0, 0.4, (count, 7)), axis=0)
    pieces = [np.linspace(a, b, 8, endpoint=False) for a, b in itertools.pairwise(corners)]
    waypoints = np.vstack([*pieces, corners[-1:]])
    path = time_optimal(waypoints, VELOCITY, ACCELERATION)
    _, velocities = spline(path)
    assert np.abs(velocities).max() < 1.2 * 1.08
    assert np.allclose(path.positions[0], waypoints[0], atol=1e-6) and np.allclose(path.positions[-1], waypoints[-1], atol=1e-6)
    assert np.abs(path.velocities[[0, -1]]).max() == 0.0 and np.all(np.diff(path.times) > 0)


@settings(max_examples=40)
@given(st.lists(st.floats(-1.5, 1.5), min_size=16, max_size=16), st.floats(0.2, 1.0))
def test_ramp_keeps_the_speed(goal, duration):
    path = ramp(np.zeros(16), np.array(goal), duration, 4.0)
    _, velocities = spline(path)
    assert np.abs(velocities).max() <= 4.0 * 1.05 and path.duration >= duration
    assert np.allclose(path.positions[-1], goal)


def test_at_until_then():
    path = still(np.zeros(2), 1.0).then(ramp(np.zeros(2), np.ones(2), 1.0, 4.0))
    assert path.duration == 2.0 and np.allclose(path.at(0.5), 0.0) and np.allclose(path.at(9.0), 1.0)
    assert path.until(1.0).duration <= 1.0 and np.all(np.diff(path.times) > 0)


def test_a_path_that_goes_nowhere_is_still():
    assert np.allclose(time_optimal(np.zeros((5, 7)), VELOCITY, ACCELERATION, 0.5).velocities, 0.0)
