"""Work for the engines' tests, in a module that other processes can import."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SlowSquare:
    """Work, an object as the real one is, that leaves a trace of who did it."""

    seconds: float = 0.4

    def __call__(self, number: int) -> int:
        Path(os.environ["DEFT_TEST_TRACES"], f"{os.getpid()}").touch()
        time.sleep(self.seconds)
        return number * number


def fatal(number: int) -> int:
    """Work that no process survives."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number
