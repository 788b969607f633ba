"""Shared fixtures: the shipped configuration."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from support import CONFIG

from deft_core.config import find, load
from deft_core.descriptions import HandConfig, RobotConfig, TaskConfig, load_task

# A busy machine is no failure: how long an example takes is not what these tests are about. CI repeats
# the same examples, so that a change is judged by what it changed; at the desk new ones are tried.
settings.register_profile("deft", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("deft")


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Logs and pictures of tests do not mix with the user's."""
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def hand() -> HandConfig:
    return load(HandConfig, find(CONFIG, "hands", "allegro_right"))


@pytest.fixture(scope="session")
def robot() -> RobotConfig:
    return load(RobotConfig, find(CONFIG, "robots", "xarm7_sim"))


@pytest.fixture(scope="session")
def task() -> TaskConfig:
    return load_task(CONFIG, "pick_cup")
