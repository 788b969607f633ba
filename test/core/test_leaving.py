"""Giving nodes back: all threads share a CPU meanwhile, and have theirs back after."""

import os
import threading

import pytest

from deft_core.ros import leaving
from deft_core.ros.leaving import on_one_cpu

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux lets a process choose its CPUs")


def affinities() -> dict[int, set[int]]:
    return {int(t): os.sched_getaffinity(int(t)) for t in os.listdir("/proc/self/task")}


@pytest.fixture
def others():
    """Threads that only wait, as those of DDS do."""
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    yield [thread.native_id for thread in threads]
    done.set()
    for thread in threads:
        thread.join()


def test_all_threads_share_a_cpu_and_have_theirs_back(others):
    before = affinities()
    with on_one_cpu():
        inside = affinities()
    assert all(len(cpus) == 1 for cpus in inside.values()) and set(others) <= set(inside)
    assert len({min(cpus) for cpus in inside.values()}) == 1
    assert affinities() == before


def test_a_thread_that_was_started_meanwhile_is_not_left_on_one(others):
    before, done = os.sched_getaffinity(0), threading.Event()
    thread = threading.Thread(target=done.wait)
    with on_one_cpu():
        thread.start()
    assert os.sched_getaffinity(thread.native_id) == before
    done.set()
    thread.join()


def test_one_that_starts_while_the_others_are_given_theirs_is_not_missed(others, monkeypatch, request):
    """It has its parent's CPUs of before, and is in no list that was made before it."""
    before, started, give = affinities(), [], leaving._give
    done = threading.Event()
    request.addfinalizer(done.set)

    def starting_one_first(thread: int, cpus: set[int]) -> None:
        if not started:
            started.append(threading.Thread(target=done.wait))
            started[0].start()
        give(thread, cpus)

    monkeypatch.setattr(leaving, "_give", starting_one_first)
    with on_one_cpu():
        assert all(len(cpus) == 1 for cpus in affinities().values())
        first = started.pop()  # another as they are given theirs back
    assert affinities() == before | dict.fromkeys((first.native_id, started[0].native_id), os.sched_getaffinity(0))


def test_they_have_them_back_when_it_fails(others):
    before = affinities()
    with pytest.raises(RuntimeError), on_one_cpu():
        raise RuntimeError
    assert affinities() == before


def test_two_at_once_take_turns(others):
    """The second must not take what the first has set for what was there before."""
    before, failed = affinities(), []

    def again() -> None:
        for _ in range(200):
            with on_one_cpu():
                if any(len(cpus) != 1 for cpus in affinities().values()):
                    failed.append(1)

    threads = [threading.Thread(target=again) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and {t: cpus for t, cpus in affinities().items() if t in before} == before
