"""The one error type that crosses package borders: a number for machines, a sentence for people."""

from __future__ import annotations

# Codes of CheckGrasp and ExecuteGrasp that speak of this grasp, not of the robot.
INFEASIBLE_GRASP = (401, 402, 403, 404, 405, 410)
NODE_LOST, ROBOT_FAULT = 411, 413  # of CheckGrasp, for those who react to them


class DeftError(Exception):
    """A failure with the `error_code` that the interface documents and a message that names the fix.

    Args:
        code: value of an error constant of a `deft_msgs` interface, e.g. `CheckGrasp.UNREACHABLE`.
        message: what happened and what to do, one or two sentences.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[DeftError], tuple[int, str]]:
        return type(self), (self.code, self.message)  # it crosses to other processes


class ConfigError(ValueError):
    """A configuration file or name is wrong; the message names file, key and the valid choices."""


class Interrupted(Exception):
    """A goal was cancelled while something was waited for."""
