"""rclpy's MultiThreadedExecutor without its busy loop, and the thread that spins an executor."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy._rclpy_pybind11 import InvalidHandle, RCLError
from rclpy.executors import (
    ConditionReachedException,
    Executor,
    ExternalShutdownException,
    MultiThreadedExecutor,
    ShutdownException,
    TimeoutException,
)
from rclpy.logging import get_logger

GIVE_WAY = 0.0005   # s, in which the pool's threads get to run
MOST_GONE = 100     # turns in a row, after which it is another error
AGAIN = 0.02        # s, after which something that has not gone on is handed to the pool again


class PoolExecutor(MultiThreadedExecutor):
    """Hands each piece of work to its pool once, and lets the pool run.

    The executor of rclpy 7.1 is told of work again and again until a thread of the pool has begun with it, hands it over each
    time, and holds the interpreter's lock meanwhile, so that the pool's thread waits for its turn: 5 ms for every message that
    comes in, and a core of load at some hundred messages a second.
    """

    def __init__(self, threads: int, **kwargs: Any) -> None:
        super().__init__(threads, **kwargs)
        self._handed: dict[Any, float] = {}  # work -> when, s monotonic
        self._gone = 0                       # turns in a row that something destroyed was met in

    def _spin_once_impl(self, timeout_sec: Any = None, wait_condition: Callable[[], bool] = lambda: False) -> None:
        try:
            work, _, _ = self.wait_for_ready_callbacks(timeout_sec, None, wait_condition)
        except (ExternalShutdownException, ShutdownException, TimeoutException, ConditionReachedException):
            return
        except RCLError:
            # What another thread destroys is invalid before it is out of the node's list; the next turn has it no more.
            self._gone += 1
            if self._gone > MOST_GONE:
                raise
            time.sleep(GIVE_WAY)
            return
        self._gone = 0
        now = time.monotonic()
        if now - self._handed.get(work, -AGAIN) < AGAIN:
            time.sleep(GIVE_WAY)
            return
        self._handed[work] = now
        self._executor.submit(work)
        for done in [w for w in self._handed if w.done()]:
            del self._handed[done]
            self._look_at(done)

    def _look_at(self, done: Any) -> None:
        """Raise what a piece of work raised, unless another thread has destroyed what it was of: at the end of a session an
        action client may have an answer that nobody waits for any more, and an executor that is shut down hears of no end."""
        try:
            done.result()
        except (InvalidHandle, RCLError) as error:
            if not self._is_shutdown:
                get_logger("deft_executor").warning(f"given up, as it was destroyed meanwhile: {error}")


def spun(executor: Executor, name: str) -> threading.Thread:
    """A thread of its own that spins an executor until it, or ROS, is shut down."""
    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, name=name, daemon=True)
    thread.start()
    return thread
