"""Giving a node back without waiting on Fast DDS for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rclpy.node import Node

_one_at_a_time = threading.RLock()
TASKS = "/proc/self/task"


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """All threads of the process share one CPU meanwhile; then each has back those that it had. Only where Linux lets us.

    A process's last node takes the DDS participant with it. Fast DDS waits there until news from other participants have been
    dealt with, and polls for that so eagerly, holding Python's lock, that the thread with the news never gets the mutex that
    it needs: where others leave at the same moment, about one in a thousand never ends (Fast-DDS issue 6513,
    benchmarks/leave.py). On one CPU the poll has to make way.
    """
    with _one_at_a_time:
        before: dict[int, set[int]] = {}
        if hasattr(os, "sched_setaffinity") and os.path.isdir(TASKS):
            shared = {min(os.sched_getaffinity(0))}
            for name in os.listdir(TASKS):
                thread = int(name)
                with suppress(OSError):  # it has ended, or this is not allowed here
                    before[thread] = os.sched_getaffinity(thread)
                    os.sched_setaffinity(thread, shared)
        try:
            yield
        finally:
            for thread, cpus in before.items():
                with suppress(OSError):
                    os.sched_setaffinity(thread, cpus)


def destroy(node: Node) -> None:
    """Give a node back: `destroy_node`, but it ends."""
    with on_one_cpu():
        node.destroy_node()
