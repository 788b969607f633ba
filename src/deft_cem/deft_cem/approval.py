"""Where a person's word on a planned grasp is taken, before the robot moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from deft_cem import codes
from deft_core.errors import DeftError


class Decision(Enum):
    """What a person makes of a proposal."""

    approve = "approve"
    reject = "reject"  # another sample for the same episode
    skip = "skip"      # the episode is void


@dataclass(frozen=True)
class Approval:
    """A decision and a remark for the record."""

    decision: Decision
    note: str = ""


class ApprovalDesk:
    """Thread-safe. At most one proposal is open; there is no deadline."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._proposed: tuple[str, int, int, int] | None = None  # session, episode, attempt, draw
        self._save: Callable[[Approval], None] = lambda _: None
        self._approval: Approval | None = None

    def open(self, session: str, episode: int, attempt: int, draw: int, save: Callable[[Approval], None]) -> None:
        """Propose. `save` puts the answer on disk where it needs to be; it is called before the answer is accepted."""
        with self._condition:
            self._proposed, self._save, self._approval = (session, episode, attempt, draw), save, None

    def close(self) -> None:
        """Withdraw the proposal."""
        with self._condition:
            self._proposed = None
            self._condition.notify_all()

    def wait(self, timeout: float) -> Approval | None:
        """The answer, or None when none came within `timeout` s."""
        with self._condition:
            self._condition.wait_for(lambda: self._approval is not None or self._proposed is None, timeout)
            return self._approval

    def submit(self, session: str, episode: int, attempt: int, draw: int, approval: Approval) -> str:
        """Take an answer; what happens, in words. Refuses one with a DeftError and changes nothing then.

        Args:
            session: "" = the pending one.
            episode, attempt, draw: -1 = the pending one.
        """
        with self._condition:
            if self._proposed is None or self._approval is not None:
                raise DeftError(codes.NOTHING_PROPOSED, "no grasp waits for approval")
            now = self._proposed
            meant = (session or now[0], *(n if given == -1 else given for given, n in
                                          zip((episode, attempt, draw), now[1:], strict=True)))
            if meant != now:
                raise DeftError(codes.WRONG_PROPOSAL, f"proposed is draw {now[3]}, attempt {now[2]}, for episode {now[1]} of "
                                f"session '{now[0]}'")
            try:
                self._save(approval)
            except DeftError as error:
                raise DeftError(codes.APPROVAL_NOT_SAVED, error.message) from None
            self._approval = approval
            self._condition.notify_all()
            return {Decision.approve: "approved: the robot executes it", Decision.reject: "rejected: another sample is drawn",
                    Decision.skip: f"episode {now[1]} is void"}[approval.decision]
