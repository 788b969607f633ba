"""A joint trajectory controller as ros2_controllers has it: spline interpolation, stamped start, hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from deft_core.types import Array

SAMPLE_SECONDS = 0.001  # finer than any physics step


@dataclass(frozen=True)
class JointTrajectory:
    """Points of a trajectory: times (k,) s from start, positions and velocities (k, n) in rad and rad/s."""

    names: tuple[str, ...]
    times: Array
    positions: Array
    velocities: Array
    start: float  # s, robot clock
    continues: bool = False  # its sender means to replace it before it ends (deft_core.streaming)


class TrajectoryController:
    """Follows one trajectory at a time; a new one replaces it, and without one the last target is held.

    Args:
        names: the joints it owns, in order.
        position: (n,) rad, where they are now.
    """

    def __init__(self, names: tuple[str, ...], position: Array) -> None:
        self.names = names
        self.hold(position)

    def hold(self, position: Array) -> None:
        """Drop the trajectory and hold `position` (n,), rad."""
        self._target = np.array(position, float)
        self._trajectory: JointTrajectory | None = None
        self._samples: tuple[Array, Array] | None = None

    def accept(self, trajectory: JointTrajectory, now: float = -np.inf) -> None:
        """Take over a trajectory, `now` s of robot clock. Raises ValueError where ros2_controllers would reject it."""
        if sorted(trajectory.names) != sorted(self.names):
            raise ValueError(f"joints {trajectory.names} are not those of this controller {self.names}")
        if not len(trajectory.times) or np.any(np.diff(trajectory.times) <= 0) or trajectory.times[0] < 0:
            raise ValueError("trajectory times must be >= 0 and strictly increasing")
        if not all(np.isfinite(a).all() for a in (trajectory.times, trajectory.positions, trajectory.velocities)):
            raise ValueError("trajectory is not finite")
        if np.any(np.abs(trajectory.velocities[-1]) > 1e-6):
            raise ValueError("the last point has a non-zero velocity")
        order = [trajectory.names.index(name) for name in self.names]
        times, positions = trajectory.times, trajectory.positions[:, order]
        velocities = trajectory.velocities[:, order]
        if times[0] > 0 and trajectory.start + times[0] > now:  # from where the joints are commanded now
            times = np.concatenate([[0.0], times])
            positions = np.vstack([self._target, positions])
            velocities = np.vstack([np.zeros(len(self.names)), velocities])
        self._trajectory = trajectory
        self._samples = self._sampled(times, positions, velocities) if len(times) > 1 else None
        self._final = positions[-1]

    def _sampled(self, times: Array, positions: Array, velocities: Array) -> tuple[Array, Array]:
        """Positions and velocities (k, n) at every SAMPLE_SECONDS, by cubic splines; once, not at every step."""
        self._first = int(times[0] / SAMPLE_SECONDS)  # of the grid
        grid = SAMPLE_SECONDS * np.arange(self._first, int(np.ceil(times[-1] / SAMPLE_SECONDS)) + 1)
        spline = CubicHermiteSpline(times, positions, velocities)
        return spline(grid), spline.derivative()(grid)

    @property
    def runs_out(self) -> float:
        """Robot clock, s, at which a trajectory ends that its sender means to replace before; infinity without one."""
        known = self._trajectory
        return known.start + float(known.times[-1]) if known is not None and known.continues else np.inf

    @property
    def start(self) -> float:
        """Robot clock, s, at which the trajectory starts; infinity without one."""
        return self._trajectory.start if self._trajectory else np.inf

    def sample(self, times: Array) -> tuple[Array, Array]:
        """Commanded positions and velocities (k, n) at robot clocks (k,), s, increasing, to the nearest SAMPLE_SECONDS.

        The last of them becomes the target; a trajectory that is over by then is dropped.
        """
        times = np.asarray(times, float)
        positions = np.repeat(self._target[None], len(times), axis=0)
        velocities = np.zeros_like(positions)
        if self._trajectory is not None:
            # To the nanosecond, so that what happens does not depend on what the clock read at the start.
            local = np.round(times - self._trajectory.start, 9)
            over = local >= round(float(self._trajectory.times[-1]), 9)
            running = (local >= 0.0) & ~over
            if running.any() and self._samples is not None:
                at = np.clip(np.round(local[running] / SAMPLE_SECONDS).astype(int) - self._first, 0, len(self._samples[0]) - 1)
                positions[running], velocities[running] = self._samples[0][at], self._samples[1][at]
            positions[over] = self._final
            if over[-1]:
                self.hold(self._final)
        self._target = positions[-1].copy()
        return positions, velocities

    @property
    def target(self) -> Array:
        """(n,) rad, the position commanded last."""
        return self._target
