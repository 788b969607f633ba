"""Set-up refuses, in one line, what it cannot work on, and knows a sourced ROS from its own."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from support import ROOT


@pytest.fixture
def bootstrap():
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "tools" / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refusal(call) -> str:
    with pytest.raises(SystemExit) as caught:
        call()
    message = str(caught.value)
    assert message.startswith("deft set-up: ") and "\n" not in message
    return message


def test_this_machine_is_fine(bootstrap):
    bootstrap.check_machine(ros=False)


def test_what_is_missing_is_named(bootstrap, monkeypatch):
    with monkeypatch.context() as m:
        m.setattr(bootstrap, "SUPPORTED", ((3, 9),))
        assert "install python3.11 or python3.12" in refusal(lambda: bootstrap.check_machine(False))
    with monkeypatch.context() as m:
        m.setattr(bootstrap.shutil, "which", lambda _: None)
        assert "apt install g++" in refusal(lambda: bootstrap.check_machine(False))
    with monkeypatch.context() as m:
        m.setattr(bootstrap.ctypes.util, "find_library", lambda _: None)
        assert "apt install libegl1" in refusal(lambda: bootstrap.check_machine(False))
    with monkeypatch.context() as m:
        m.setattr(sys, "platform", "darwin")
        assert "Linux" in refusal(lambda: bootstrap.check_machine(False))


def test_sourced_ros_is_recognised(bootstrap, monkeypatch):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{ROOT}/install/deft_core:{ROOT}/.venv")
    assert not bootstrap.sourced_ros()
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    assert not bootstrap.sourced_ros(), "our own environment is not a ROS installation"
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    assert bootstrap.sourced_ros()
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert "needs Jazzy" in refusal(bootstrap.sourced_ros)


def test_with_a_sourced_ros_its_paths_are_kept(bootstrap, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/jazzy/lib/python3.12/site-packages")
    values = bootstrap.environment(ros=True)
    assert values["AMENT_PREFIX_PATH"] == "/opt/ros/jazzy"
    assert values["PYTHONPATH"].endswith(":/opt/ros/jazzy/lib/python3.12/site-packages")
    assert values["PYTHONPATH"].startswith(str(ROOT / ".venv")) and "_ROS_WHEELS_BOOTSTRAP_COMPLETE" not in values
