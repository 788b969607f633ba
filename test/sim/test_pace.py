"""How fast a world that runs free passes its time."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from deft_sim.node import AFTERWARDS, HURRY, SimNode
from deft_sim.world import TICK_SECONDS, SimWorld


def slept(monkeypatch, idle: bool, waits: bool, since: float = 10.0, factor: float = 0.0) -> float:
    """s of wall time that a tick is followed by; `since`: s of the world's clock since anything moved."""
    waited: list[float] = []
    monkeypatch.setattr("deft_sim.node.time.sleep", waited.append)
    node = SimpleNamespace(_factor=factor, _moved=100.0 - since)
    SimNode._pace(node, SimpleNamespace(idle=idle, waits_to_start=waits, clock=100.0), time.monotonic())
    assert node._moved == (100.0 - since if idle else 100.0)
    return sum(waited)


def test_a_motion_is_not_waited_for_and_an_idle_world_follows_the_wall_clock(monkeypatch):
    assert slept(monkeypatch, idle=False, waits=False) == 0.0
    assert slept(monkeypatch, idle=True, waits=False, since=0.9 * AFTERWARDS) == 0.0
    assert slept(monkeypatch, idle=True, waits=False, since=2.0 * AFTERWARDS) == pytest.approx(TICK_SECONDS, abs=2e-3)


def test_between_command_and_start_there_is_time_for_the_second_message(monkeypatch):
    """Even right after another motion: arm and hand start together."""
    for since in (0.0, 10.0):
        assert slept(monkeypatch, idle=True, waits=True, since=since) == pytest.approx(TICK_SECONDS / HURRY, abs=2e-3)


def test_a_real_time_factor_paces_everything(monkeypatch):
    for idle, waits in ((False, False), (True, False), (True, True)):
        assert slept(monkeypatch, idle, waits, factor=2.0) == pytest.approx(TICK_SECONDS / 2, abs=2e-3)


@pytest.mark.parametrize(("arm", "hand", "waits"), [
    (np.inf, np.inf, False), (5.1, np.inf, True), (np.inf, 5.1, True), (4.9, 5.1, False), (5.0, np.inf, False)])
def test_a_world_waits_for_what_was_sent_and_has_not_started(arm, hand, waits):
    world = SimpleNamespace(clock=5.0, arm=SimpleNamespace(start=arm), hand_controller=SimpleNamespace(start=hand))
    assert SimWorld.waits_to_start.fget(world) is waits
