"""What the operator's panels show, as plain values: where a session stands and what is asked of the operator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Kind(str, Enum):
    """What is asked of the operator; as in RewardRequest."""

    reward = "reward"
    reset = "reset"
    compare = "compare"


@dataclass(frozen=True)
class EpisodeRow:
    """A finished episode.

    Attributes:
        episode: 0-based.
        status: scored | infeasible | aborted | void.
        reward: 0..1; None where none was given.
        success: None: not said.
        eps: (n,) metres and rad; empty where none was drawn.
        elite: whether it is among the best.
    """

    episode: int
    status: str
    reward: float | None
    success: bool | None
    eps: tuple[float, ...]
    elite: bool


@dataclass(frozen=True)
class SessionView:
    """A session as its server tells it; see SessionStatus."""

    session: str
    folder: str
    task: str
    object_set: str
    method: str
    state: str
    episode: int
    episodes: int
    rows: tuple[EpisodeRow, ...]
    residual_names: tuple[str, ...]
    residual_sigma: tuple[float, ...]
    infeasible_samples: int
    rejected_samples: int
    best_reward: float | None
    seconds_elapsed: float
    seconds_left: float | None
    pausing: bool
    requires_approval: bool
    message: str

    @property
    def idle(self) -> bool:
        """Whether no session runs."""
        return self.state in ("", "idle")


@dataclass(frozen=True)
class RequestView:
    """What the operator is asked for; see RewardRequest.

    Attributes:
        suggested: 0..1, what the automatic reward would say; None without one.
        other, question, questions: of a comparison: the earlier episode, which question this is, and of how many.
        pictures: JPEG by name: before, end, after, other.
    """

    kind: Kind
    session: str
    episode: int
    attempt: int
    next_episode: int
    reason: str
    stop_reason: str
    suggested: float | None = None
    other: int = -1
    question: int = 0
    questions: int = 0
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    def words(self) -> str:
        """What is asked, in a sentence."""
        if self.kind is Kind.reset:
            return f"Make the scene ready for episode {self.episode + 1}: {self.reason}"
        early = f" It ended early: {self.stop_reason}." if self.stop_reason else ""
        if self.kind is Kind.compare:
            return (f"Was the grasp of episode {self.episode + 1} better or worse than that of episode {self.other + 1}? "
                    f"(question {self.question} of at most {self.questions}){early} {self.reason}")
        return f"How good was the grasp of episode {self.episode + 1}, from 0 to 1?{early} {self.reason}"


@dataclass(frozen=True)
class ProposalView:
    """The grasp that is executed next, or waits for approval; see GraspProposal.

    Attributes:
        picture: JPEG, what was seen with the planned hand drawn into it; empty where there is none.
    """

    session: str
    episode: int
    attempt: int
    draw: int
    needs_answer: bool
    words: str
    picture: bytes


@dataclass(frozen=True)
class PanelView:
    """Everything that a panel shows.

    Attributes:
        alive: whether the fine-tuning server has spoken lately; what is shown is old where it has not.
        camera: JPEG of the live camera, empty without one; `camera_age` s since it arrived, NaN without one.
        affordance: JPEG of what the prior makes of the last look; empty without one.
        version: grows with every change of anything but the camera.
    """

    alive: bool
    session: SessionView | None
    request: RequestView | None
    proposal: ProposalView | None
    camera: bytes
    camera_age: float
    affordance: bytes
    version: int

    def picture(self, name: str) -> bytes:
        """JPEG of a name: camera, affordance, proposal, before, end, after, other; empty where there is none."""
        if name == "camera":
            return self.camera
        if name == "affordance":
            return self.affordance
        if name == "proposal":
            return self.proposal.picture if self.proposal else b""
        return self.request.pictures.get(name, b"") if self.request else b""


def clock(seconds: float | None) -> str:
    """1:05 for 65 s; ? when unknown."""
    return "?" if seconds is None or math.isnan(seconds) else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def stepped(value: float, steps: int) -> float:
    """A reward moved by steps of 0.05, within 0..1."""
    return min(1.0, max(0.0, round(20 * value + steps) / 20))


def reward_of_key(key: str) -> float | None:
    """The reward that a key stands for: 0 to 9 are tenths, x is 1; None for other keys."""
    if len(key) == 1 and key.isdigit():
        return int(key) / 10
    return 1.0 if key.lower() == "x" else None


def as_json(view: PanelView) -> dict[str, Any]:
    """The view as JSON values, without its pictures; which of them there are stands in `pictures`."""
    session, request, proposal = view.session, view.request, view.proposal
    return {
        "alive": view.alive, "version": view.version,
        "camera_age": None if math.isnan(view.camera_age) else round(view.camera_age, 2),
        "pictures": [n for n in ("camera", "affordance", "proposal", "before", "end", "after", "other") if view.picture(n)],
        "session": None if session is None else {
            "session": session.session, "task": session.task, "object_set": session.object_set, "method": session.method,
            "state": session.state, "episode": session.episode, "episodes": session.episodes, "message": session.message,
            "infeasible_samples": session.infeasible_samples, "rejected_samples": session.rejected_samples,
            "best_reward": session.best_reward, "elapsed": clock(session.seconds_elapsed), "left": clock(session.seconds_left),
            "pausing": session.pausing, "requires_approval": session.requires_approval,
            "rows": [{"episode": r.episode, "status": r.status, "reward": r.reward, "success": r.success, "elite": r.elite}
                     for r in session.rows]},
        "request": None if request is None else {
            "kind": request.kind.value, "session": request.session, "episode": request.episode, "attempt": request.attempt,
            "words": request.words(), "suggested": request.suggested, "question": request.question},
        "proposal": None if proposal is None else {
            "session": proposal.session, "episode": proposal.episode, "attempt": proposal.attempt, "draw": proposal.draw,
            "needs_answer": proposal.needs_answer, "words": proposal.words}}
