"""What the operator may ask of a running session: pause, go on, skip, repeat, finish."""

from __future__ import annotations

import threading

from deft_cem import codes
from deft_cem.rewards.desk import Answer, RewardDesk, Wanted
from deft_cem.session import Session
from deft_core.errors import DeftError


class SessionFinished(Exception):
    """The operator has ended the session while something was waited for."""


class SessionControl:
    """Thread-safe; the loop looks at it between its steps.

    Attributes:
        pausing: the loop stops before its next episode, until somebody says go on.
    """

    def __init__(self, session: Session, desk: RewardDesk) -> None:
        self._session, self._desk = session, desk
        self._finish: str | None = None
        self._going_on = threading.Event()
        self._going_on.set()

    @property
    def pausing(self) -> bool:
        """Whether a pause is on, or will begin after the episode in progress."""
        return not self._going_on.is_set()

    @property
    def finishing(self) -> str | None:
        """The operator's remark on ending the session now; None while it goes on."""
        return self._finish

    def wait_to_go_on(self, timeout: float) -> bool:
        """Whether the pause is over within `timeout` s."""
        return self._going_on.wait(timeout)

    def pause(self, note: str) -> str:
        """Stop before the next episode; what happens, in words."""
        self._going_on.clear()
        return "the session pauses when the episode in progress is finished; go on with GO_ON"

    def go_on(self, note: str) -> str:
        """End a pause. Raises DeftError NOT_NOW."""
        if not self.pausing:
            raise DeftError(codes.NOT_NOW, "the session is not paused")
        self._going_on.set()
        return "the session goes on"

    def skip(self, note: str) -> str:
        """Make the episode whose reward is asked for void, and do not try it again. Raises DeftError NOT_NOW."""
        pending = self._desk.pending()
        if pending is None or pending[1] is Wanted.reset:
            raise DeftError(codes.NOT_NOW, "no reward is asked for; an episode can be skipped when it waits for its reward")
        self._answer(Answer(0.0, True, None, note or "skipped by the operator", final=True))
        return f"episode {pending[0]} is void"

    def repeat(self, note: str) -> str:
        """Do the last episode again: the one whose reward is asked for, else the last finished one. Raises DeftError."""
        pending = self._desk.pending()
        if pending is not None and pending[1] is not Wanted.reset:
            self._answer(Answer(0.0, True, None, note or "repeated by the operator", again=True))
            return f"episode {pending[0]} is executed again"
        if self._session.awaiting():
            raise DeftError(codes.NOT_NOW, "the episode in progress is about to be asked for; say repeat then")
        return f"episode {self._session.repeat_last(note)} is void and will be executed again with the same sample"

    def finish(self, note: str) -> str:
        """End the session and fit to what is scored. Raises DeftError."""
        before, self._finish = self._finish, note or "ended by the operator"
        if self._desk.pending() is not None:
            try:
                self._answer(Answer(0.0, True, None, self._finish, final=True))
            except DeftError:
                self._finish = before
                raise
        self._going_on.set()
        return "the session ends; a grasp under way is still executed and asked for"

    def _answer(self, answer: Answer) -> None:
        try:
            self._desk.submit("", -1, answer)
        except DeftError as error:
            code = codes.CONTROL_NOT_SAVED if error.code == codes.NOT_SAVED else codes.NOT_NOW
            raise DeftError(code, error.message) from None
