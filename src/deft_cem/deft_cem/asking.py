"""What is asked of the operator, and what the answers do to the session."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from deft_cem.approval import Approval, ApprovalDesk, Decision
from deft_cem.control import SessionControl, SessionFinished
from deft_cem.rewards.automatic import Judge
from deft_cem.rewards.config import RewardConfig
from deft_cem.rewards.desk import Answer, RewardDesk, Wanted
from deft_cem.rewards.ranking import Insertion, most_questions
from deft_cem.session import EpisodeState, Session
from deft_cem.skills import Comparison, Look, Proposal, Request, Skills
from deft_core.errors import Interrupted

MAX_ATTEMPTS = 3      # of one episode that was aborted or voided
POLL_SECONDS = 0.2    # between looks at the cancel flag while waiting


class Asking:
    """The operator's side of the loop: approvals, scores, comparisons, resets.

    Args:
        approvals: where planned grasps are approved; None where they need not be.
        judge: what rewards pictures; None where only people do.
        cancelled: polled while waiting; true raises Interrupted.
    """

    def __init__(self, session: Session, desk: RewardDesk, skills: Skills, control: SessionControl, config: RewardConfig,
                 judge: Judge | None, cancelled: Callable[[], bool], approvals: ApprovalDesk | None = None) -> None:
        self._approvals = approvals
        self._session, self._desk, self._skills, self._control = session, desk, skills, control
        self._config, self._judge, self._cancelled = config, judge, cancelled

    @property
    def unattended(self) -> bool:
        """Whether nobody is asked for scores, so that the scene may not be ready after a restart."""
        return self._config.source == "automatic"

    def reward(self, episode: int, look: Look | None) -> None:
        """Get the reward of an executed episode, however long it takes; every answer is on disk before it counts.

        The episode is finished then, or to be tried again.
        """
        state = self._session.episodes[episode]
        self._measure(state)
        if self._config.source == "automatic" and state.measured is not None:
            self._finish(state, Answer(0.0, False, None, ""), "automatic", 0.0)
        elif self._config.source == "comparison":
            self._compare(state, look)
        else:
            self._score(state, look)

    @property
    def requires_approval(self) -> bool:
        """Whether planned grasps wait for a person."""
        return self._approvals is not None

    def approved(self, proposal: Proposal) -> Decision:
        """Show a planned grasp, and wait for a person's word where one is wanted, however long it takes.

        A rejection is on disk before it counts. Raises SessionFinished when the session is ended meanwhile.
        """
        desk = self._approvals
        if desk is None:
            self._skills.propose(proposal)
            return Decision.approve

        def save(approval: Approval) -> None:
            if approval.decision is Decision.reject:
                self._session.record("rejected", episode=proposal.episode, attempt=proposal.attempt, draw=proposal.draw,
                                     eps=proposal.eps.tolist(), note=approval.note)

        try:
            desk.open(proposal.session, proposal.episode, proposal.attempt, proposal.draw, save)
            self._skills.propose(proposal)
            while (approval := desk.wait(POLL_SECONDS)) is None:
                if self._cancelled():
                    raise Interrupted
                if self._control.finishing is not None:
                    raise SessionFinished
        finally:
            desk.close()
            self._skills.propose(replace(proposal, needs_answer=False))
        return approval.decision

    def reset(self, episode: int, reason: str) -> None:
        """Ask for the scene of an episode to be made ready."""
        self._ask(Request(self._session.id, episode, 0, episode, reason, None, None), Wanted.reset, lambda _: None)

    def _measure(self, state: EpisodeState) -> None:
        """What the automatic reward makes of the last picture, once."""
        if self._judge is None or state.measured is not None:
            return
        picture = self._skills.final_picture(state.episode, state.attempt)
        if picture is not None:
            value = self._judge.value(picture)
            self._session.record("measured", episode=state.episode, attempt=state.attempt, value=value,
                                 suggested=self._session.suggestion(value))

    def _score(self, state: EpisodeState, look: Look | None) -> None:
        started = time.monotonic()
        request = self._request(state, look, suggested=math.nan if state.suggested is None else state.suggested)
        self._ask(request, Wanted.score, lambda a: self._finish(state, a, "operator", time.monotonic() - started))

    def _compare(self, state: EpisodeState, look: Look | None) -> None:
        """Binary insertion: at most ceil(log2 k) questions. The first grasp has nothing to be compared with."""
        started = time.monotonic()
        while not state.status:
            insertion = Insertion.after(self._session.ranking, state.compared)
            other = insertion.question()
            if other is None and state.compared:  # the answer to the last question was saved, its consequence was not
                self._finish(state, Answer(0.0, False, None, ""), "comparison", time.monotonic() - started)
                return
            if other is None:
                self._ask(self._request(state, look, reason="the first grasp: nothing to compare with; any score will do"),
                          Wanted.score, lambda a: self._finish(state, a, "comparison", time.monotonic() - started))
                return
            question = Comparison(other, self._session.episodes[other].attempt, len(state.compared) + 1,
                                  most_questions(self._session.ranking))

            def save(answer: Answer, other: int = other) -> None:
                if answer.voided:
                    self._finish(state, answer, "comparison", time.monotonic() - started)
                    return
                self._session.record("compared", episode=state.episode, attempt=state.attempt, other=other,
                                     answer=answer.comparison, success=answer.success, note=answer.note)
                if Insertion.after(self._session.ranking, state.compared).question() is None:
                    self._finish(state, answer, "comparison", time.monotonic() - started)

            self._ask(self._request(state, look, comparison=question), Wanted.comparison, save, question.question)
            if self._session.episodes[state.episode] is not state:  # void: to be tried again
                return

    def _request(self, state: EpisodeState, look: Look | None, suggested: float = math.nan, reason: str = "",
                 comparison: Comparison | None = None) -> Request:
        following = self._session.next_episode(but=state.episode)
        return Request(self._session.id, state.episode, state.attempt, -1 if following is None else following, reason,
                       state.executed, look, suggested, comparison)

    def _finish(self, state: EpisodeState, answer: Answer, source: str, waited: float) -> None:
        """Put the end of the episode on disk, or another attempt at it."""
        seconds = {"awaiting_reward": round(waited, 3)}
        if not answer.voided:
            self._session.record("finished", episode=state.episode, attempt=state.attempt, status="scored", source=source,
                                 reward=answer.reward if source == "operator" else None,
                                 success=state.success if answer.success is None else answer.success,
                                 note=answer.note or state.note, seconds=seconds)
        elif answer.again or (not answer.final and state.attempt + 1 < MAX_ATTEMPTS):
            self._session.record("retry", episode=state.episode, attempt=state.attempt + 1, status="void", reason=answer.note)
        else:
            self._session.record("finished", episode=state.episode, attempt=state.attempt, status="void", reason=answer.note,
                                 seconds=seconds)

    def _ask(self, request: Request, wanted: Wanted, save: Callable[[Answer], None], question: int = 0) -> None:
        try:
            self._desk.open(request.session, request.episode, wanted, save, question)
            self._skills.ask(request)
            while self._desk.wait(POLL_SECONDS) is None:
                if self._cancelled():
                    raise Interrupted
        finally:
            self._skills.ask(None)
            self._desk.close()
