"""Where the operator's answer is taken: one pending request, checked answers, on disk before accepted."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

from deft_cem import codes
from deft_core.errors import DeftError


@dataclass(frozen=True)
class Answer:
    """The operator's answer; `reward` counts unless `voided`; `success` None = not said."""

    reward: float
    voided: bool
    success: bool | None
    note: str


class RewardDesk:
    """Thread-safe. At most one request is open; there is no deadline."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._session = ""
        self._episode = -1
        self._score_wanted = False
        self._save: Callable[[Answer], None] | None = None
        self._answer: Answer | None = None

    def open(self, session: str, episode: int, score_wanted: bool, save: Callable[[Answer], None]) -> None:
        """Ask. `save` must put the answer on disk; it is called before the answer is accepted."""
        with self._condition:
            self._session, self._episode, self._score_wanted = session, episode, score_wanted
            self._save, self._answer = save, None

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
            if self._answer is not None and self._score_wanted and meant:
                raise DeftError(codes.ALREADY_ANSWERED, f"episode {self._episode} has its answer")
            if self._save is None or self._answer is not None:
                raise DeftError(codes.NOTHING_PENDING, "no reward is asked for now")
            if episode not in (-1, self._episode):
                raise DeftError(codes.WRONG_EPISODE, f"the pending request is for episode {self._episode}, not {episode}")
            if self._score_wanted and not answer.voided and not (math.isfinite(answer.reward) and 0 <= answer.reward <= 1):
                raise DeftError(codes.BAD_REWARD, f"a reward is a number from 0 to 1, not {answer.reward}")
            if not self._score_wanted and not answer.voided:
                raise DeftError(codes.BAD_REWARD, "only the scene is to be reset: answer with voided = true")
            try:
                self._save(answer)
            except DeftError as error:
                raise DeftError(codes.NOT_SAVED, error.message) from None
            self._answer = answer
            self._condition.notify_all()
