"""Where the operator's answer is taken: one pending request, checked answers, on disk before accepted."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from deft_cem import codes
from deft_cem.rewards.ranking import BETTER, EQUAL, WORSE
from deft_core.errors import DeftError


class Wanted(Enum):
    """What is asked for."""

    score = "score"
    comparison = "comparison"
    reset = "reset"


@dataclass(frozen=True)
class Answer:
    """The operator's answer.

    Attributes:
        reward: 0..1, counts where a score is wanted and the answer is not `voided`.
        success: None = not said.
        comparison: better | worse | equal where one is wanted, else "".
        question: which question of a comparison is meant; 0 = the pending one.
        final: with `voided`: the episode is not tried again.
        again: with `voided`: the episode is tried again, however often it was before.
    """

    reward: float
    voided: bool
    success: bool | None
    note: str
    comparison: str = ""
    question: int = 0
    final: bool = False
    again: bool = False


class RewardDesk:
    """Thread-safe. At most one request is open; there is no deadline."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._session = ""
        self._episode = -1
        self._wanted, self._question = Wanted.reset, 0
        self._save: Callable[[Answer], None] | None = None
        self._answer: Answer | None = None

    def open(self, session: str, episode: int, wanted: Wanted, save: Callable[[Answer], None], question: int = 0) -> None:
        """Ask. `save` must put the answer on disk; it is called before the answer is accepted."""
        with self._condition:
            self._session, self._episode, self._wanted = session, episode, wanted
            self._question, self._save, self._answer = question, save, None

    def close(self) -> None:
        """Withdraw the request."""
        with self._condition:
            self._save = None
            self._condition.notify_all()

    def wait(self, timeout: float) -> Answer | None:
        """The answer, or None when none came within `timeout` s."""
        with self._condition:
            self._condition.wait_for(lambda: self._answer is not None or self._save is None, timeout)
            return self._answer

    def pending(self) -> tuple[int, Wanted] | None:
        """The episode that an answer is awaited for, and which; None when nothing is asked."""
        with self._condition:
            return (self._episode, self._wanted) if self._save is not None and self._answer is None else None

    def submit(self, session: str, episode: int, answer: Answer) -> None:
        """Take an answer, or refuse it with a DeftError and change nothing.

        Args:
            session: "" = the pending one.
            episode: -1 = the pending one.
        """
        with self._condition:
            if session and self._session and session != self._session:
                raise DeftError(codes.WRONG_SESSION, f"the running session is '{self._session}', not '{session}'")
            meant = episode == self._episode or (episode == -1 and self._save is not None)
            if self._answer is not None and self._wanted is not Wanted.reset and meant:
                raise DeftError(codes.ALREADY_ANSWERED, f"episode {self._episode} has its answer")
            if self._save is None or self._answer is not None:
                raise DeftError(codes.NOTHING_PENDING, "no reward is asked for now")
            if episode not in (-1, self._episode):
                raise DeftError(codes.WRONG_EPISODE, f"the pending request is for episode {self._episode}, not {episode}")
            self._check(answer)
            try:
                self._save(answer)
            except DeftError as error:
                raise DeftError(codes.NOT_SAVED, error.message) from None
            self._answer = answer
            self._condition.notify_all()

    def _check(self, answer: Answer) -> None:
        """Refuse an answer to something else than what is asked."""
        if answer.voided:
            return
        if self._wanted is Wanted.reset:
            raise DeftError(codes.BAD_REWARD, "only the scene is to be reset: answer with voided = true")
        if self._wanted is Wanted.comparison:
            if answer.question not in (0, self._question):
                raise DeftError(codes.ALREADY_ANSWERED, f"question {self._question} is asked now, not {answer.question}")
            if answer.comparison not in (BETTER, WORSE, EQUAL):
                raise DeftError(codes.BAD_COMPARISON, "the question is whether this grasp was better or worse than an earlier "
                                "one: answer with comparison, or with voided = true")
            return
        if answer.comparison:
            raise DeftError(codes.BAD_COMPARISON, "a score from 0 to 1 is asked for, not a comparison")
        if not (math.isfinite(answer.reward) and 0 <= answer.reward <= 1):
            raise DeftError(codes.BAD_REWARD, f"a reward is a number from 0 to 1, not {answer.reward}")
