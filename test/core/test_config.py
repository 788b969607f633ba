"""Configuration that a person edits: what is wrong is named, with the nearest valid name."""

from __future__ import annotations

import pytest
import yaml
from support import CONFIG

from deft_core.config import content_hash, find, load, parse
from deft_core.descriptions import HandConfig, RobotConfig, TaskConfig
from deft_core.errors import ConfigError


def raw(kind: str, name: str) -> dict:
    return yaml.safe_load((CONFIG / kind / f"{name}.yaml").read_text())


@pytest.mark.parametrize(("kind", "model"), [("hands", HandConfig), ("robots", RobotConfig), ("tasks", TaskConfig)])
def test_everything_shipped_loads(kind, model):
    files = list((CONFIG / kind).glob("*.yaml"))
    assert files
    for file in files:
        assert load(model, file).name == file.stem


def test_unknown_key_names_the_nearest():
    data = raw("tasks", "pick_cup") | {"hold_secons": 1.0}
    with pytest.raises(ConfigError, match="hold_secons: unknown key; did you mean 'hold_seconds'"):
        parse(TaskConfig, data, "task")


def test_unknown_key_in_a_nested_section():
    data = raw("robots", "xarm7_sim")
    data["camera"]["heigth"] = 480
    with pytest.raises(ConfigError, match=r"camera\.heigth: unknown key; did you mean 'height'"):
        parse(RobotConfig, data, "robot")


def test_unknown_name_lists_the_valid_ones():
    with pytest.raises(ConfigError, match="unknown task 'pick_cop': did you mean 'pick_cup'"):
        find(CONFIG, "tasks", "pick_cop")
    with pytest.raises(ConfigError, match="unknown hand 'zzz': valid: allegro_right"):
        find(CONFIG, "hands", "zzz")


@pytest.mark.parametrize(("key", "value", "message"), [
    ("velocity_limit", -1.0, "velocity_limit"), ("velocity_limit", float("nan"), "velocity_limit"),
    ("lower", [0.0], "lower has 1 numbers"), ("open_pose", [9.0] * 16, "outside")])
def test_wrong_hand_values(key, value, message):
    with pytest.raises(ConfigError, match=message):
        parse(HandConfig, raw("hands", "allegro_right") | {key: value}, "hand")


def test_trajectory_must_start_at_zero_and_increase():
    for times in ([0.1, 1.0], [0.0], [0.0, 1.0, 1.0]):
        data = raw("tasks", "pick_cup") | {"trajectory": [{"t": t} for t in times]}
        with pytest.raises(ConfigError, match="trajectory"):
            parse(TaskConfig, data, "task")


def test_broken_and_missing_files(tmp_path):
    (tmp_path / "x.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(TaskConfig, tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(TaskConfig, tmp_path / "y.yaml")


def test_hash_follows_content(hand, robot):
    assert content_hash(hand) == content_hash(hand) != content_hash(robot)
    assert content_hash(hand, 1) != content_hash(hand, 2)
