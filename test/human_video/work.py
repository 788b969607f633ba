"""Work for the engines' tests, in a module that other processes can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def slow_square(number: int) -> int:
    """Work that leaves a trace of who did it."""
    Path(os.environ["DEFT_TEST_TRACES"], f"{os.getpid()}").touch()
    time.sleep(0.4)
    return number * number


def fatal(number: int) -> int:
    """Work that no process survives."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number
