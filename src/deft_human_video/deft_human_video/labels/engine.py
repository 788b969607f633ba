"""Runs one function over shards of work: in processes here, or on a Ray cluster. A killed worker's shard is done again.

The engines know nothing of clips: `work(number)` does one shard, writes it and returns its summary, or finds it done.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from enum import Enum
from typing import Any, TypeVar

from deft_core.errors import ConfigError

TRIES = 3  # times that work whose worker died is given to another one

R = TypeVar("R")


class Engine(str, Enum):
    """Where the work runs."""

    local = "local"
    ray = "ray"


class WorkerLost(RuntimeError):
    """Workers died TRIES times and nothing got done."""


def run(engine: Engine, work: Callable[[int], R], numbers: list[int], workers: int, address: str = "") -> Iterator[R]:
    """Results as they come.

    Args:
        workers: processes at a time.
        address: of a running Ray cluster; '' starts one on this machine.

    Raises:
        WorkerLost: see there.
        ConfigError: Ray is asked for and missing, or its cluster does not answer.
    """
    if engine is Engine.ray:
        yield from _on_ray(work, numbers, workers, address)
    else:
        yield from _in_processes(work, numbers, workers)


def _in_processes(work: Callable[[int], R], numbers: list[int], workers: int) -> Iterator[R]:
    """A pool breaks as a whole when one of its processes dies: a new one takes over what was not finished."""
    left, breaks = list(numbers), 0
    while left:
        before = len(left)
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            waiting: dict[Future[R], int] = {}
            try:
                for number in list(left):
                    waiting[pool.submit(work, number)] = number
                    while len(waiting) >= 2 * workers:
                        yield from _finished(waiting, left)
                while waiting:
                    yield from _finished(waiting, left)
            except BrokenProcessPool:
                breaks = breaks + 1 if len(left) == before else 1
                if breaks >= TRIES:
                    raise WorkerLost(f"workers died {TRIES} times and finished nothing, last on one of the shards "
                                     f"{sorted(waiting.values())}: too little memory? try fewer --workers") from None


def _finished(waiting: dict[Future[R], int], left: list[int]) -> Iterator[R]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        result = future.result()
        left.remove(waiting.pop(future))
        yield result


def _called(work: Callable[[int], R], number: int) -> R:
    """Ray takes functions only, and work may be any callable."""
    return work(number)


def _on_ray(work: Callable[[int], R], numbers: list[int], workers: int, address: str) -> Iterator[R]:
    try:
        import ray
    except ImportError:
        raise ConfigError("--engine ray needs Ray: `pip install ray`") from None
    try:
        ray.init(address=address or None, num_cpus=None if address else workers, include_dashboard=False, log_to_driver=False,
                 ignore_reinit_error=True, configure_logging=False)
    except (ConnectionError, RuntimeError) as error:
        raise ConfigError(f"the Ray cluster '{address}' does not answer: {error}") from None
    try:
        task: Any = ray.remote(num_cpus=1, max_retries=TRIES)(_called)
        waiting: dict[Any, int] = {}
        queue = list(numbers)[::-1]
        while waiting or queue:
            while queue and len(waiting) < 2 * workers:
                number = queue.pop()
                waiting[task.remote(work, number)] = number
            done, _ = ray.wait(list(waiting))
            for reference in done:
                number = waiting.pop(reference)
                try:
                    yield ray.get(reference)
                except ray.exceptions.WorkerCrashedError:
                    raise WorkerLost(f"the worker of shard {number} died {TRIES + 1} times") from None
    finally:
        ray.shutdown()
