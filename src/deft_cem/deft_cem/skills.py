"""What the fine-tuning loop needs of the rest of the graph, and the values that cross."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from deft_core.types import Array, GraspParameters
from deft_core.vision import Picture


@dataclass(frozen=True)
class Look:
    """An observation. `handle` is passed back unread; `summary` goes into the journal."""

    handle: Any
    summary: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What the robot did.

    Attributes:
        executed: the grasp after clearance from the table.
        lift: m, by how much it was raised.
        stop_reason: "" or why it ended early.
        phases: (name, start, end), s of robot clock.
        planning: s of wall time in which the robot stood and its ways were planned.
    """

    executed: GraspParameters
    lift: float
    stop_reason: str
    phases: list[tuple[str, float, float]] = field(default_factory=list)
    planning: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """A question about an earlier episode and its attempt: number `question` (1-based) of at most `questions`."""

    other: int
    other_attempt: int
    question: int
    questions: int


@dataclass(frozen=True)
class Request:
    """What the operator is asked for. `outcome` None: only reset the scene for `episode`.

    Attributes:
        suggested: 0..1, what the automatic reward would say; NaN without one.
        comparison: with which earlier episode to compare, None where a score is wanted.
    """

    session: str
    episode: int
    attempt: int
    next_episode: int
    reason: str
    outcome: dict[str, Any] | None
    look: Look | None
    suggested: float = math.nan
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Proposal:
    """A grasp that is feasible and executed next, or once a person approves.

    Attributes:
        draw: how many samples of the episode were refused before, by the planner or a person.
        xi: the prior; eps (n,) what is added, metres and rad.
        needs_answer: whether a person has to approve.
    """

    session: str
    episode: int
    attempt: int
    draw: int
    xi: GraspParameters
    eps: Array
    control: bool
    repeat_of: int | None
    look: Look
    needs_answer: bool


class Skills(Protocol):
    """The graph as the loop sees it. Failures are DeftErrors with the interfaces' codes; waits end with Interrupted."""

    def observe(self, task: str) -> Look:
        """A fresh look at the scene."""
        ...

    def predict(self, look: Look, task: str, seed: int) -> GraspParameters:
        """The prior xi, retargeted to the hand."""
        ...

    def check(self, grasp: GraspParameters, look: Look, task: str) -> None:
        """Return when the grasp can be executed, else raise DeftError."""
        ...

    def execute(self, grasp: GraspParameters, look: Look, task: str, seed: int, on_phase: Callable[[str], None]) -> Outcome:
        """Execute and park."""
        ...

    def park(self, seed: int) -> None:
        """Open the hand and park the arm."""
        ...

    def final_picture(self, episode: int, attempt: int) -> Picture | None:
        """The picture of an episode when its motion had ended, before the hand let go; None when none was had."""
        ...

    def residual(self, look: Look, xi: GraspParameters, seed: int) -> Array:
        """The residual policy's eps (n,), metres and rad."""
        ...

    def fit_policy(self, seed: int, on_progress: Callable[[str], None]) -> str:
        """Fit the residual policy to what is recorded of the session; what came of it, in words."""
        ...

    def propose(self, proposal: Proposal | None) -> None:
        """Show people what is executed next, which was the last that `check` found feasible; None: nothing."""
        ...

    def ask(self, request: Request | None) -> None:
        """Show the operator a request, or none."""
        ...
