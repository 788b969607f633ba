"""Timed joint paths: what planners make, the gate checks and controllers follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import toppra
import toppra.algorithm
import toppra.constraint
from scipy.interpolate import CubicHermiteSpline

from deft_core.errors import DeftError
from deft_core.streaming import BRAKE, MOVING, OVERLAP
from deft_core.types import Array
from deft_motion import codes

SAMPLE_SECONDS = 0.04  # spacing of trajectory points; controllers interpolate with cubic splines
MOST_STILL = 600.0     # s, longer ones have no more points
BRAKE_POINTS = 5       # of a window's brake
MINIMUM_JERK_PEAK = 1.875  # peak over mean speed of a minimum-jerk motion
toppra.setup_logging("ERROR")


@dataclass(frozen=True)
class JointPath:
    """Times (k,) s from the start, strictly increasing from 0; positions and velocities (k, n), rad, rad/s."""

    times: Array
    positions: Array
    velocities: Array

    @property
    def duration(self) -> float:
        return float(self.times[-1])

    def at(self, time: float) -> Array:
        """Position (n,) at a time, s, linear between points, held beyond the ends."""
        return np.array([np.interp(time, self.times, column) for column in self.positions.T])

    def until(self, time: float) -> JointPath:
        """The part before a time, s, at least its first point."""
        keep = max(1, int(np.searchsorted(self.times, time, side="right")))
        return JointPath(self.times[:keep], self.positions[:keep], self.velocities[:keep])

    def since(self, time: float) -> JointPath:
        """The part from the last point before a time on, s, at least its last two points."""
        first = min(max(0, int(np.searchsorted(self.times, time, side="right")) - 1), len(self.times) - 2)
        return JointPath(self.times[first:] - self.times[first], self.positions[first:], self.velocities[first:])

    def then(self, other: JointPath) -> JointPath:
        """This path followed by another that starts where it ends."""
        return JointPath(np.concatenate([self.times, self.duration + other.times[1:]]),
                         np.vstack([self.positions, other.positions[1:]]),
                         np.vstack([self.velocities, other.velocities[1:]]))

    def window(self, now: float) -> tuple[JointPath, bool]:
        """What a controller is told `now` s into the path, and whether it is all the rest (deft_core.streaming).

        From the last point before `now` less OVERLAP on, MOVING s from `now` to the next point, then a brake along the path. It
        is cut at points, so that the controller's splines between them are those of the whole path.
        """
        first = max(0, int(np.searchsorted(self.times, now - OVERLAP, side="right")) - 1)
        last = int(np.searchsorted(self.times, now + MOVING - 1e-9))
        if last >= len(self.times) - 1:
            return JointPath(self.times[first:], self.positions[first:], self.velocities[first:]), True
        begin = float(self.times[last])
        after = np.linspace(0.0, BRAKE, BRAKE_POINTS + 1)[1:]
        at = np.minimum(begin + after - after**2 / (2 * BRAKE), self.duration)  # the motion's own time runs slower, to a stop
        ahead = slice(last, int(np.searchsorted(self.times, begin + BRAKE / 2)) + 1)  # a brake covers half its time of the way
        spline = CubicHermiteSpline(self.times[ahead], self.positions[ahead], self.velocities[ahead])
        slower = (1.0 - after / BRAKE)[:, None]
        kept = slice(first, last + 1)
        return JointPath(np.concatenate([self.times[kept], begin + after]), np.vstack([self.positions[kept], spline(at)]),
                         np.vstack([self.velocities[kept], slower * spline.derivative()(at)])), False


def still(position: Array, duration: float) -> JointPath:
    """Stay at a position (n,) for a while, s."""
    position = np.asarray(position, float)
    steps = int(np.ceil(min(duration, MOST_STILL) / SAMPLE_SECONDS)) if np.isfinite(duration) else 1  # refused by the gate
    times = np.linspace(0.0, duration, max(2, steps + 1))
    return JointPath(times, np.tile(position, (len(times), 1)), np.zeros((len(times), len(position))))


def ramp(start: Array, goal: Array, duration: float, speed: float) -> JointPath:
    """From start to goal (n,) with a minimum-jerk profile, in `duration` s or what `speed` (rad/s) needs."""
    delta = np.asarray(goal, float) - np.asarray(start, float)
    duration = max(duration, MINIMUM_JERK_PEAK * float(np.abs(delta).max()) / speed)
    times = np.linspace(0.0, duration, max(3, int(np.ceil(duration / SAMPLE_SECONDS)) + 1))
    s = times / duration
    blend, rate = 10 * s**3 - 15 * s**4 + 6 * s**5, (30 * s**2 - 60 * s**3 + 30 * s**4) / duration
    return JointPath(times, start + blend[:, None] * delta, rate[:, None] * delta)


def time_optimal(waypoints: Array, velocity: Array, acceleration: Array, min_duration: float = 0.0) -> JointPath:
    """Time waypoints (k, n) by TOPP-RA under velocity and acceleration limits (n,), at rest at both ends.

    Raises:
        DeftError: PLANNING_FAILED when no parameterisation exists.
    """
    moved = np.concatenate([[True], np.abs(np.diff(waypoints, axis=0)).max(axis=1) > 1e-6])
    waypoints = waypoints[moved]
    if len(waypoints) < 2:
        return still(waypoints[0], max(min_duration, SAMPLE_SECONDS))
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(waypoints, axis=0), axis=1))])
    path = toppra.SplineInterpolator(length / length[-1], waypoints)
    limits = [toppra.constraint.JointVelocityConstraint(np.stack([-velocity, velocity], axis=1)),
              toppra.constraint.JointAccelerationConstraint(np.stack([-acceleration, acceleration], axis=1))]
    timed = toppra.algorithm.TOPPRA(limits, path, parametrizer="ParametrizeConstAccel",
                                    gridpoints=np.linspace(0, 1, 120)).compute_trajectory(0, 0)
    if timed is None:
        raise DeftError(codes.PLANNING_FAILED, "the path could not be timed within the velocity and acceleration limits")
    duration = float(timed.duration)
    stretch = max(1.0, min_duration / duration)
    times = np.linspace(0.0, duration, max(3, int(np.ceil(duration * stretch / SAMPLE_SECONDS)) + 1))
    velocities = timed(times, 1) / stretch
    velocities[0] = velocities[-1] = 0.0
    return JointPath(times * stretch, timed(times), velocities)
