"""What every task's score is made of: how near, how firmly, for how long."""

from __future__ import annotations

import numpy as np

from deft_core.descriptions import HandConfig
from deft_core.types import Array
from deft_sim.history import FINGERS, History, Moment, Verdict

NEAR = 0.15         # m, distance at which a miss is worth nothing
MAX_SLIP = 0.05     # m, motion in the hand since closing that still counts as held
ALWAYS = 0.98       # share of moments; contacts flicker
JUDGE_WINDOW = 0.1  # s, touches are collected over this long before the end
NEAR_SHARE, GRIP_SHARE = 0.1, 0.15  # of the score; the rest is the task's own


class Watched:
    """One grasp as an attentive person saw it.

    Args:
        history: what was seen since the scene was reset.
        phases: start and end (s, robot clock) by phase name.
    """

    def __init__(self, history: History, phases: dict[str, tuple[float, float]], hand: HandConfig) -> None:
        self._history, self._phases = history, phases
        self._centre = np.array(hand.grasp_centre)
        closing = phases.get("squeeze", phases.get("close"))
        latest = max((end for _, end in phases.values()), default=np.inf)
        self.closed = closing is not None
        self._closed_at = closing[1] if closing else latest
        self._judged_at = phases["hold"][1] if "hold" in phases else self._closed_at
        self.finished = "hold" in phases and history.stopped_at > self._judged_at
        self.first = history.moments[0]
        self.at_closing, self.at_end = history.at(self._closed_at), history.at(self._judged_at)

    def after_closing(self) -> list[Moment]:
        """Moments from the closing of the hand to the end of the hold."""
        return self._history.between(self._closed_at, self._judged_at)

    def since_closing_began(self) -> list[Moment]:
        """Moments from when the hand began to close to the end of the hold."""
        return self._history.between(self._phases.get("close", (self._closed_at, 0.0))[0], self._judged_at)

    def near(self) -> float:
        """1 when the hand closed with its grasp centre on the object's grasp line, 0 from NEAR on."""
        centre = self.at_closing.palm_position + self.at_closing.palm_matrix @ self._centre
        return float(np.clip(1.0 - distance_to_line(centre, self.at_closing.grasp_line) / NEAR, 0.0, 1.0))

    def opposed(self) -> bool:
        """Fingers on one side, thumb or palm on the other, when the hand had closed."""
        touching = self.at_closing.digits()
        return bool(touching & {"thumb", "palm"}) and bool(touching & FINGERS)

    def hooked(self) -> bool:
        """At least two fingers on the object when the hand had closed, thumb or no thumb."""
        return len(self.at_closing.digits() & FINGERS) >= 2

    def grip(self) -> float:
        """The part of the score that all tasks share, up to NEAR_SHARE + GRIP_SHARE."""
        return NEAR_SHARE * self.near() + GRIP_SHARE * (self.closed and (self.opposed() or self.hooked()))

    def slip(self) -> float:
        """m, how far the object moved in the hand between closing and the end."""
        return float(np.linalg.norm(self._gripped_point(self.at_end) - self._gripped_point(self.at_closing)))

    def _gripped_point(self, moment: Moment) -> Array:
        """In the grasp frame: the point of the object that was at the grasp centre when the hand had closed."""
        centre = self.at_closing.palm_position + self.at_closing.palm_matrix @ self._centre
        on_object = self.at_closing.in_thing(centre)
        world = moment.position() + moment.matrix() @ on_object
        return np.asarray(moment.palm_matrix.T @ (world - moment.palm_position))

    def held(self) -> bool:
        """At the end two parts of the hand touch the object, one a finger, and it has not slipped."""
        window = self._history.between(self._judged_at - JUDGE_WINDOW, self._judged_at) or [self.at_end]
        touching = frozenset().union(*(m.digits() for m in window))
        return self.finished and len(touching) >= 2 and bool(touching - {"palm"}) and self.slip() < MAX_SLIP

    def never_lost(self) -> bool:
        """Held at the end, and touched by the hand nearly all the time since it closed."""
        moments = self.after_closing()
        return self.held() and sum(bool(m.digits()) for m in moments) >= ALWAYS * len(moments)

    def lifted(self) -> float:
        """m, the highest that the object's lowest point came above the table since the hand began to close."""
        return max((m.bottom for m in self.since_closing_began()), default=0.0)

    def verdict(self, progress: float, success: bool, notes: tuple[str, str, str]) -> Verdict:
        """Grip plus the task's own progress 0..1.

        Args:
            notes: the remark on a success, on an object that was held, and on one that was not.
        """
        if not self.closed:
            return Verdict(self.grip(), False, "the hand never closed")
        own = (1.0 - NEAR_SHARE - GRIP_SHARE) * float(np.clip(progress, 0.0, 1.0))
        note = notes[0] if success else notes[1] if self.held() else notes[2]
        return Verdict(float(np.clip(self.grip() + own, 0.0, 1.0)), bool(success), note)


def distance_to_line(point: Array, line: Array) -> float:
    """m, from a point (3,) to a line segment (2, 3)."""
    along = line[1] - line[0]
    share = np.clip((point - line[0]) @ along / max(float(along @ along), 1e-12), 0.0, 1.0)
    return float(np.linalg.norm(point - line[0] - share * along))


def ramp(value: float, full: float, start: float = 0.0) -> float:
    """0 up to `start`, 1 from `full` on, linear between."""
    return float(np.clip((value - start) / (full - start), 0.0, 1.0))
