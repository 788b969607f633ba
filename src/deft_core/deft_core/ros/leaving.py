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
        before = _cpus()
        mine = before.get(threading.get_native_id(), set())
        _give_all({}, set(sorted(mine)[:1]))
        try:
            yield
        finally:
            _give_all(before, mine)  # one that was started meanwhile has what its parent had


def _give_all(known: dict[int, set[int]], otherwise: set[int]) -> None:
    """Each thread what is known of it, until no other has been started meanwhile, with what its parent had before."""
    given: set[int] = set()
    while new := _cpus().keys() - given:
        for thread in new:
            _give(thread, known.get(thread, otherwise))
        given |= new


def _cpus() -> dict[int, set[int]]:
    """The CPUs of this process's threads; nothing where threads cannot be given any."""
    found: dict[int, set[int]] = {}
    if hasattr(os, "sched_setaffinity") and os.path.isdir(TASKS):
        for name in os.listdir(TASKS):
            with suppress(ProcessLookupError):  # it has ended
                found[int(name)] = os.sched_getaffinity(int(name))
    return found


def _give(thread: int, cpus: set[int]) -> None:
    with suppress(OSError):  # it has ended, or this is not allowed here
        os.sched_setaffinity(thread, cpus)


def destroy(node: Node) -> None:
    """Give a node back: `destroy_node`, but it ends."""
    with on_one_cpu():
        node.destroy_node()
