"""Rolling windows of a motion: their union is the motion, and each alone ends at rest within half a second."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deft_core.streaming import BRAKE, LEAD, MOVING, OVERLAP
from deft_motion.paths import SAMPLE_SECONDS, JointPath, ramp, still
from deft_sim.controller import JointTrajectory, TrajectoryController

NAMES = ("a", "b")


def motion(seconds: float, rest: float) -> JointPath:
    """Out, a rest, and back."""
    out = ramp(np.zeros(2), np.array([0.8, -0.4]), seconds, 2.0)
    return out.then(still(np.array([0.8, -0.4]), rest)).then(ramp(np.array([0.8, -0.4]), np.zeros(2), seconds, 2.0))


@given(st.floats(0.3, 3.0), st.floats(0.05, 2.0), st.floats(0.0, 1.0))
def test_each_window_ends_at_rest_soon_and_stays_on_the_way(seconds, rest, share):
    path = motion(seconds, rest)
    now = share * path.duration
    window, whole = path.window(now)
    assert np.all(np.diff(window.times) > 0) and np.abs(window.velocities[-1]).max() < 1e-9
    assert window.times[0] <= now + 1e-9
    assert window.times[-1] - now <= MOVING + BRAKE + 2 * SAMPLE_SECONDS or whole
    if whole:
        assert window.times[-1] == path.duration and window.times[-1] - now <= MOVING + 2 * SAMPLE_SECONDS
    else:
        kept = window.times <= window.times[-1] - BRAKE + 1e-9
        for t, q in zip(window.times[kept], window.positions[kept], strict=True):
            np.testing.assert_array_equal(q, path.positions[path.times == t][0])
        moved = path.positions.max(axis=0) - path.positions.min(axis=0) + 1e-9
        assert (np.abs(window.positions[-1] - window.positions[kept][-1]) <= np.minimum(moved, 0.2)).all()


@given(st.floats(0.3, 2.0), st.floats(0.05, 1.0), st.floats(0.0, OVERLAP), st.integers(0, 2**31))
def test_a_controller_that_gets_windows_does_the_same_to_the_last_bit(seconds, rest, lag, seed):
    """Whenever they arrive, as long as they come before the brake of the last one; also one that lags behind its clock."""
    path, rng = motion(seconds, rest), np.random.default_rng(seed)
    told, step = 1.0, 0.02
    start = round(told + lag, 9)
    whole = TrajectoryController(NAMES, np.zeros(2))
    whole.accept(JointTrajectory(NAMES, path.times, path.positions, path.velocities, start), 0.0)
    parts = TrajectoryController(NAMES, np.zeros(2))
    window, last = path.window(0.0)
    parts.accept(JointTrajectory(NAMES, window.times, window.positions, window.velocities, start, not last), 0.0)
    clock = start
    while clock < start + path.duration:
        braking = parts.runs_out - BRAKE
        if not last and clock >= braking - LEAD and (rng.random() < 0.3 or clock + step >= braking):
            window, last = path.window(clock - told)
            parts.accept(JointTrajectory(NAMES, window.times, window.positions, window.velocities, start, not last), clock)
        times = clock + 0.004 * np.arange(5)
        np.testing.assert_array_equal(parts.sample(times)[0], whole.sample(times)[0])
        clock = round(clock + step, 6)


def test_a_controller_whose_sender_dies_comes_to_rest_on_the_way():
    path = ramp(np.zeros(2), np.array([2.0, -1.0]), 4.0, 2.0)
    controller = TrajectoryController(NAMES, np.zeros(2))
    window, last = path.window(1.5)
    assert not last
    controller.accept(JointTrajectory(NAMES, window.times, window.positions, window.velocities, 0.0, True), 1.5)
    positions, velocities = controller.sample(np.arange(1.5, 2.3, 0.002))
    speed = np.abs(velocities).max(axis=1)
    assert speed[0] > 0.5 and speed[-1] == 0.0
    rests = 1.5 + 0.002 * np.argmax(speed == 0.0)
    assert rests - 1.5 <= MOVING + BRAKE + SAMPLE_SECONDS
    acceleration = np.abs(np.diff(velocities, axis=0)).max() / 0.002
    assert acceleration < 8.0, "a brake, not a jolt (rad/s^2)"
    on_way = np.array([path.at(t) for t in np.linspace(1.5, 2.3, 200)])
    assert all(np.abs(on_way - q).sum(axis=1).min() < 0.01 for q in positions), "never off the motion's own way"
