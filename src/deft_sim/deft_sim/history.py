"""What a person watching the simulated robot would have seen: poses and touches over time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deft_core.types import Array

DIGITS = ("palm", "index", "middle", "ring", "thumb")
FINGERS = frozenset({"index", "middle", "ring"})


@dataclass(frozen=True)
class Moment:
    """One sample, 50 Hz of simulated time; base frame, metres.

    Things are named as their scene names them; `object` is what the hand is to grasp.

    Attributes:
        time: s, robot clock.
        palm_position, palm_matrix: (3,) and (3, 3), the hand's grasp frame.
        things: row of each thing in the two arrays below.
        positions, matrices: (n, 3) and (n, 3, 3), their body frames.
        joints: positions of the scene's own hinges (rad) and slides (m).
        grasp_line: (2, 3), the ends of the line on the object where a competent hand closes.
        touches: pairs that touch, each sorted: things, `table`, `arm` and DIGITS.
        bottom: m, lowest point of the object above the table.
        penetration: m, deepest overlap of the robot with anything, 0 without.
    """

    time: float
    palm_position: Array
    palm_matrix: Array
    things: dict[str, int]
    positions: Array
    matrices: Array
    joints: dict[str, float]
    grasp_line: Array
    touches: frozenset[tuple[str, str]]
    bottom: float
    penetration: float

    def position(self, thing: str = "object") -> Array:
        """(3,) m."""
        return np.asarray(self.positions[self.things[thing]])

    def matrix(self, thing: str = "object") -> Array:
        """(3, 3) rotation of the thing's body frame."""
        return np.asarray(self.matrices[self.things[thing]])

    def touching(self, thing: str = "object") -> frozenset[str]:
        """What touches a thing."""
        return frozenset(b if a == thing else a for a, b in self.touches if thing in (a, b))

    def digits(self, thing: str = "object") -> frozenset[str]:
        """Which of DIGITS touch a thing."""
        return self.touching(thing) & frozenset(DIGITS)

    def in_thing(self, point: Array, thing: str = "object") -> Array:
        """(3,) m, a point of the base frame in a thing's frame."""
        return np.asarray(self.matrix(thing).T @ (point - self.position(thing)))

    def upright(self, thing: str = "object") -> float:
        """Cosine of a thing's tilt: 1 upright, 0 lying, -1 on its head."""
        return float(self.matrix(thing)[2, 2])


@dataclass
class History:
    """All moments since the scene was last reset.

    Attributes:
        stopped_at: s, robot clock of the last collision stop; infinity without one.
        diverged: physics broke down; what was seen means nothing.
    """

    moments: list[Moment] = field(default_factory=list)
    stopped_at: float = np.inf
    diverged: bool = False

    @property
    def collision(self) -> bool:
        """Whether a collision stop happened."""
        return bool(np.isfinite(self.stopped_at))

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
