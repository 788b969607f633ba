"""Shared fixtures: the shipped configuration."""

from __future__ import annotations

import pytest
from support import CONFIG

from deft_core.config import find, load
from deft_core.descriptions import HandConfig, RobotConfig, TaskConfig


@pytest.fixture(scope="session")
def hand() -> HandConfig:
    return load(HandConfig, find(CONFIG, "hands", "allegro_right"))


@pytest.fixture(scope="session")
def robot() -> RobotConfig:
    return load(RobotConfig, find(CONFIG, "robots", "xarm7_sim"))


@pytest.fixture(scope="session")
def task() -> TaskConfig:
    return load(TaskConfig, find(CONFIG, "tasks", "pick_cup"))
