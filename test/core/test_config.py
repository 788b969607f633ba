"""Configuration that a person edits: what is wrong is named, with the nearest valid name."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml
from support import CONFIG

from deft_core.config import content_hash, find, load, parse, read_yaml
from deft_core.descriptions import Coupling, HandConfig, RobotConfig, TaskConfig, load_task, resolve_model
from deft_core.errors import ConfigError


def raw(kind: str, name: str) -> dict:
    return yaml.safe_load((CONFIG / kind / f"{name}.yaml").read_text())


@pytest.mark.parametrize(("kind", "model"), [("hands", HandConfig), ("robots", RobotConfig)])
def test_everything_shipped_loads(kind, model):
    files = list((CONFIG / kind).glob("*.yaml"))
    assert files
    for file in files:
        assert load(model, file).name == file.stem


def test_every_task_shipped_loads_with_its_demonstration():
    files = list((CONFIG / "tasks").glob("*.yaml"))
    assert len(files) == 9
    for file in files:
        task = load_task(CONFIG, file.stem)
        assert task.name == file.stem and len(task.phrasings) >= 3 and task.text == task.phrasings[0]
        assert len(task.trajectory) > 5 and (CONFIG / task.goal_image).is_file()


def test_trajectory_and_goal_image_belong_to_the_demonstration(tmp_path):
    shutil.copytree(CONFIG, tmp_path / "config")
    path = tmp_path / "config" / "tasks" / "pick_cup.yaml"
    text = path.read_text()
    path.write_text(text + "goal_image: x.jpg\n")
    with pytest.raises(ConfigError, match="goal_image comes from the demonstration"):
        load_task(tmp_path / "config", "pick_cup")
    path.write_text(text.replace("demonstration: pick_cup", "demonstration: pick_cop"))
    with pytest.raises(ConfigError, match="unknown demonstration 'pick_cop': did you mean 'pick_cup'"):
        load_task(tmp_path / "config", "pick_cup")
    path.write_text(text.replace("demonstration: pick_cup", "demonstartion: pick_cup"))
    with pytest.raises(ConfigError, match="demonstartion: unknown key; did you mean 'demonstration'"):
        load_task(tmp_path / "config", "pick_cup")


def test_extends_merges_sections_and_replaces_values(tmp_path):
    (tmp_path / "base.yaml").write_text("a: 1\nlist: [1, 2]\nsection: {x: 1, y: {p: 1, q: 2}}\n")
    (tmp_path / "mine.yaml").write_text("extends: base\nlist: [3]\nsection: {y: {q: 5}}\n")
    assert read_yaml(tmp_path / "mine.yaml") == {"a": 1, "list": [3], "section": {"x": 1, "y": {"p": 1, "q": 5}}}
    (tmp_path / "a.yaml").write_text("extends: b\n")
    (tmp_path / "b.yaml").write_text("extends: a\n")
    with pytest.raises(ConfigError, match="extends itself"):
        read_yaml(tmp_path / "a.yaml")
    (tmp_path / "c.yaml").write_text("extends: bsae\n")
    with pytest.raises(ConfigError, match="extends unknown 'bsae': did you mean 'base'"):
        read_yaml(tmp_path / "c.yaml")
    (tmp_path / "d.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="needs keys and values"):
        read_yaml(tmp_path / "d.yaml")


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
    with pytest.raises(ConfigError, match="unknown hand 'zzz': valid: allegro_left, allegro_right, allegro_soft"):
        find(CONFIG, "hands", "zzz")


@pytest.mark.parametrize(("key", "value", "message"), [
    ("velocity_limit", -1.0, "velocity_limit"), ("velocity_limit", float("nan"), "velocity_limit"),
    ("lower", [0.0], "lower has 1 numbers"), ("open_pose", [9.0] * 16, "outside")])
def test_wrong_hand_values(key, value, message):
    with pytest.raises(ConfigError, match=message):
        parse(HandConfig, raw("hands", "allegro_right") | {key: value}, "hand")


def test_dash_has_sixteen_angles_and_twelve_motors():
    dash = load(HandConfig, CONFIG / "hands/dash_right.yaml")
    assert len(dash.joint_names) == 16 and len(dash.motors) == 12
    joints = dash.followed(np.full(16, 0.5) + 0.1 * np.arange(16))
    for name, coupling in dash.coupled.items():
        assert joints[dash.joint_names.index(name)] == joints[dash.joint_names.index(coupling.joint)]
    assert (dash.followed(np.full(16, 9.0)) == dash.upper).all()


@pytest.mark.parametrize(("coupled", "message"), [
    ({"joint_9.9": {"joint": "joint_1.0"}}, "did you mean 'joint_9.0'"),
    ({"joint_3.0": {"joint": "joint_33"}}, "coupled names"),
    ({"joint_3.0": {"joint": "joint_2.0"}, "joint_2.0": {"joint": "joint_1.0"}}, "follows another joint itself"),
    ({"joint_3.0": {"joint": "joint_2.0", "ratio": 0.0}}, "a fixed joint"),
    ({"joint_3.0": {"joint": "joint_2.0", "ratio": 0.5}}, "open_pose of joint_3.0 is 0.1; coupled to joint_2.0 it is 0.05"),
    ({"joint_12.0": {"joint": "joint_3.0", "ratio": -1.0}}, "exclude each other")])
def test_wrong_coupling(coupled, message):
    with pytest.raises(ConfigError, match=message):
        parse(HandConfig, raw("hands", "allegro_right") | {"coupled": coupled}, "hand")


def test_a_motor_keeps_what_is_coupled_to_it_within_its_limits():
    dash = load(HandConfig, CONFIG / "hands/dash_right.yaml")
    row, dip = dash.joint_names.index("index_pip"), dash.joint_names.index("index_dip")
    upper = list(dash.upper)
    upper[dip] = 1.0
    coupled = {**dash.coupled, "index_dip": Coupling(joint="index_pip", ratio=0.9)}
    hand = dash.model_copy(update={"upper": tuple(upper), "coupled": coupled})
    joints = hand.followed(np.full(16, 1.5))
    assert joints[row] == pytest.approx(1.0 / 0.9) and joints[dip] == 1.0


@pytest.mark.parametrize(("joint", "change", "message"), [
    ("0", {"parent": "mcp_jiont"}, "exactly one link"), ("0", {"child": "dip"}, "hangs from two joints"),
    ("0", {"axis": [0, 0, 0]}, "zero"), ("1", {"parent": "fingertip"}, "in a circle")])
def test_wrong_kinematic_tables(joint, change, message):
    data = raw("hands", "leap_right")
    data["kinematics"]["joints"][joint] |= change
    with pytest.raises(ConfigError, match=message):
        parse(HandConfig, data, "hand")
    del data["kinematics"]["joints"][joint]
    with pytest.raises(ConfigError, match=r"no row for|exactly one link|in a circle"):
        parse(HandConfig, data, "hand")


def test_a_missing_model_says_where_to_get_it():
    leap = load(HandConfig, CONFIG / "hands/leap_right.yaml")
    with pytest.raises(ConfigError, match=r"get it from https://github\.com/dexsuite/dex-urdf"):
        resolve_model(leap.urdf, leap.urdf_source)


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
