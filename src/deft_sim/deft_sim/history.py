"""What a person watching the simulated robot would have seen: poses and touches over time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deft_core.types import Array

DIGITS = ("palm", "index", "middle", "ring", "thumb")


@dataclass(frozen=True)
class Moment:
    """One sample, 50 Hz of simulated time; base frame, metres.

    Attributes:
        time: s, robot clock.
        object_position, object_matrix: (3,) and (3, 3), the object's body frame.
        palm_position, palm_matrix: (3,) and (3, 3), the hand's grasp frame.
        touching: which of DIGITS touch the object.
        bottom: m, lowest point of the object above the table.
    """

    time: float
    object_position: Array
    object_matrix: Array
    palm_position: Array
    palm_matrix: Array
    touching: frozenset[str]
    bottom: float


@dataclass
class History:
    """All moments since the scene was last reset, and whether a collision stop happened."""

    moments: list[Moment] = field(default_factory=list)
    collision: bool = False

    def between(self, start: float, end: float) -> list[Moment]:
        """Moments with start <= time <= end, s."""
        return [m for m in self.moments if start - 1e-9 <= m.time <= end + 1e-9]

    def at(self, time: float) -> Moment:
        """The last moment not after `time` (the first one where none is)."""
        earlier = [m for m in self.moments if m.time <= time + 1e-9]
        return earlier[-1] if earlier else self.moments[0]


@dataclass(frozen=True)
class Verdict:
    """What the operator says of one episode: score 0..1, the task's own success test, a remark."""

    score: float
    success: bool
    note: str


def in_hand(moment: Moment) -> Array:
    """(3,) m, the object's origin in the grasp frame."""
    return np.asarray(moment.palm_matrix.T @ (moment.object_position - moment.palm_position))


def upright(moment: Moment) -> float:
    """Cosine of the object's tilt, 0 when it lies or stands on its head."""
    return float(np.clip(moment.object_matrix[2, 2], 0.0, 1.0))
