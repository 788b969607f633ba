"""The two ways in which a clip gives no label: its files are damaged, or a step finds nothing to go by."""

from __future__ import annotations

from pathlib import Path


class ClipError(Exception):
    """A clip's file is missing, malformed or truncated.

    Attributes:
        file: which.
        problem: what is wrong with it, one sentence.
    """

    def __init__(self, file: Path | str, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file, self.problem = str(file), problem

    def __reduce__(self) -> tuple[type[ClipError], tuple[str, str]]:
        return type(self), (self.file, self.problem)  # it crosses to other processes


class Rejected(Exception):
    """A whole clip that a step of the extraction can make nothing of.

    Attributes:
        step: name of the step.
        reason: short and countable, the same words for the same reason.
    """

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step, self.reason = step, reason

    def __reduce__(self) -> tuple[type[Rejected], tuple[str, str]]:
        return type(self), (self.step, self.reason)
