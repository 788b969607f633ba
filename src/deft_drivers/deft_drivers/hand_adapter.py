"""A hand by the names, signs and zeros of its URDF, for a driver that has its own. Knows no ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError
from deft_core.types import Array

LONGEST_STEP = 0.1  # s between two commands that the speed is counted over
LATE = 0.5  # s, a trajectory that ended longer ago is not begun


class DriverProblem(ValueError):
    """What the driver, or the sender of a trajectory, said cannot be used; the message says why."""


@dataclass(frozen=True)
class Trajectory:
    """What to follow: times (k,) s of the node's clock, strictly increasing; positions (k, n) rad, in the hand's order."""

    times: Array
    positions: Array


class HandAdapter:
    """Turns trajectories into the driver's numbers, and the driver's numbers into named angles.

    Every number that leaves for the driver is within the joint's limits, follows its couplings, and is no further from the
    one before than the hand's velocity limit allows.

    Raises:
        ConfigError: the hand's YAML has no `interface`.
    """

    def __init__(self, hand: HandConfig) -> None:
        if hand.interface is None:
            raise ConfigError(f"config/hands/{hand.name}.yaml has no `interface`: its driver takes JointTrajectory, and needs "
                              "no hand_node")
        self._hand, self._interface = hand, hand.interface
        n = len(hand.joint_names)
        order = self._interface.in_driver_order(hand.joint_names)
        self._to_driver = np.array([hand.joint_names.index(name) for name in order])
        self._driver_names = self._interface.driver_names or order
        self._offset = self._interface.spread(self._interface.offset, n, "offset")
        self._scale = self._interface.spread(self._interface.scale, n, "scale")
        self._trajectory: Trajectory | None = None
        self._commanded: Array | None = None
        self._at: float | None = None  # s, of the last command
        self._pushing_since: float | None = None

    @property
    def driver_names(self) -> tuple[str, ...]:
        """The driver's names, in its order."""
        return tuple(self._driver_names)

    # -- commands -------------------------------------------------------------------------------------

    def accept(self, names: Sequence[str], times: Array, positions: Array, start: float, now: float) -> None:
        """Take over a trajectory.

        Args:
            names: (n,) of the columns, in any order.
            times: (k,) s from `start`; positions: (k, n) rad.
            start: s of the node's clock; 0 = now.

        Raises:
            DriverProblem: not this hand's joints, not finite, no points, times that do not increase, or over long ago.
        """
        if sorted(names) != sorted(self._hand.joint_names):
            raise DriverProblem(f"the trajectory's joints {list(names)} are not those of hand '{self._hand.name}'")
        if len(times) == 0 or positions.shape != (len(times), len(names)):
            raise DriverProblem(f"the trajectory has {len(times)} times and positions of shape {positions.shape}")
        if not (np.isfinite(times).all() and np.isfinite(positions).all() and np.isfinite(start)):
            raise DriverProblem("the trajectory is not finite")
        if np.any(np.diff(times) <= 0) or times[0] < 0:
            raise DriverProblem("the trajectory's times do not increase from 0")
        begin = start or now
        if begin + times[-1] < now - LATE and start:
            raise DriverProblem(f"the trajectory ended {now - begin - times[-1]:.1f} s ago; are the clocks of the machines set "
                                "by one source?")
        order = [list(names).index(name) for name in self._hand.joint_names]
        self._trajectory = Trajectory(begin + times, positions[:, order])

    def open(self, now: float) -> None:
        """Go to the open pose, as fast as the hand may."""
        self._trajectory = Trajectory(np.array([now]), np.array([self._hand.open_pose]))

    def hold(self, now: float, measured: Array) -> None:
        """Stay at (n,) rad, where the hand is: at what was commanded last it might go on pushing."""
        self._trajectory = Trajectory(np.array([now]), measured[None].copy())

    def forget(self) -> None:
        """Nothing is commanded any more; the next trajectory begins where the hand is then."""
        self._trajectory, self._commanded, self._at = None, None, None

    def command(self, now: float, measured: Array | None) -> Array | None:
        """The driver's numbers (n,), in its order, for `now`; None while nothing has been asked for.

        Args:
            measured: (n,) rad, where the hand is, which the first command repeats; None: not known, and it goes straight to
                what is asked for.
        """
        if self._trajectory is None and self._commanded is None:
            return None
        limit = self._hand.velocity_limit * (0.0 if self._at is None else max(0.0, min(now - self._at, LONGEST_STEP)))
        self._at = now
        wanted = self._commanded if self._trajectory is None else self._sample(self._trajectory, now)
        assert wanted is not None
        wanted = self._hand.followed(wanted)
        before = self._commanded if self._commanded is not None else measured
        if before is not None:
            wanted = before + np.clip(wanted - before, -limit, limit)
        self._commanded = wanted
        # A first measurement may lie outside the limits; what is sent never does.
        return self._offset + self._scale * self._hand.followed(wanted)[self._to_driver]

    @staticmethod
    def _sample(trajectory: Trajectory, now: float) -> Array:
        return np.array([np.interp(now, trajectory.times, column) for column in trajectory.positions.T])

    @property
    def commanded(self) -> Array | None:
        """(n,) rad, in the hand's order: the last command."""
        return None if self._commanded is None else self._commanded.copy()

    def is_of_hand(self, names: Sequence[str]) -> bool:
        """Whether a state speaks of this hand: an arm may publish on the same topic."""
        return not self._interface.names_matter or not len(names) or bool(set(names) & set(self._driver_names))

    # -- states ----------------------------------------------------------------------------------------

    def measured(self, names: Sequence[str], numbers: Sequence[float]) -> Array:
        """Angles (n,), rad, in the hand's order, from the driver's numbers.

        Raises:
            DriverProblem: a joint is missing, the count is wrong, or a number is not finite.
        """
        ordered = self._ordered(names, np.asarray(numbers, float))
        if not np.isfinite(ordered).all():
            raise DriverProblem("the driver's numbers are not finite")
        out = np.empty(len(ordered))
        out[self._to_driver] = (ordered - self._offset) / self._scale
        return out

    def _ordered(self, names: Sequence[str], numbers: Array) -> Array:
        """The driver's numbers in its order."""
        if self._interface.names_matter and len(names):
            if len(names) != len(numbers):
                raise DriverProblem(f"the driver sent {len(names)} names and {len(numbers)} numbers")
            of = dict(zip(names, numbers, strict=True))
            missing = [name for name in self._driver_names if name not in of]
            if missing:
                raise DriverProblem(f"the driver's state has no joint '{missing[0]}' (it has {', '.join(names)}); correct "
                                    "interface.driver_names in the hand's YAML")
            return np.array([of[name] for name in self._driver_names])
        if len(numbers) != len(self._driver_names):
            raise DriverProblem(f"the driver sent {len(numbers)} numbers, the hand has {len(self._driver_names)} joints")
        return numbers

    def overload(self, names: Sequence[str], efforts: Sequence[float], now: float) -> str:
        """Why the hand must give way, "" while it need not: an effort above the limit for longer than it may be.

        Args:
            names: of the efforts' joints, as the driver sent them; none: the driver's order.
        """
        limit = self._interface.overload
        if limit is None or not len(efforts):
            return ""
        known = names if self._interface.names_matter and len(names) else self._driver_names
        pushing = {name: abs(effort) for name, effort in zip(known, efforts, strict=False)
                   if name in self._driver_names and np.isfinite(effort)}  # an arm's joints may be in the same message
        name = max(pushing, key=lambda key: pushing[key], default="")
        if not name or pushing[name] <= limit.effort:
            self._pushing_since = None
            return ""
        self._pushing_since = now if self._pushing_since is None else self._pushing_since
        if now - self._pushing_since < limit.seconds:
            return ""
        return (f"hand overload: joint {name} has pushed with {pushing[name]:.2f} (limit {limit.effort:g}) for "
                f"{now - self._pushing_since:.1f} s; it {'opens' if limit.then == 'open' else 'holds'}")
