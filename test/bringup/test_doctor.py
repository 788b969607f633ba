"""What the doctor makes of what was heard."""

from __future__ import annotations

import math

import pytest

from deft_bringup import checkup
from deft_bringup.checkup import Grade, Heard
from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig, RobotConfig

ROBOT = load(RobotConfig, find(default_config_dir(), "robots", "xarm7_sim"))
HAND = load(HandConfig, find(default_config_dir(), "hands", "allegro_right"))
NAMES = {*ROBOT.joint_names, *HAND.joint_names}


def heard(**changes) -> Heard:
    stamps = [100.0 + 0.1 * k for k in range(50)]
    values = {"seconds": 5.0, "nodes": [f"/lab/{n}" for n in checkup.EXPECTED], "colours": list(stamps), "depths": list(stamps),
              "depth_valid": 0.7, "intrinsics": ROBOT.camera.intrinsics(), "states": [100.0 + 0.02 * k for k in range(250)],
              "names": set(NAMES), "listeners": {"arm": 1, "hand": 1}, "wall": 105.0}
    return Heard(**{**values, **changes})


def findings(what: Heard) -> dict[str, Grade]:
    every = [checkup.nodes(what), *checkup.camera(what, ROBOT.camera), *checkup.joint_states(what, ROBOT, HAND),
             checkup.clocks(what), *checkup.controllers(what)]
    return {f.name: f.grade for f in every}


def test_a_healthy_robot_passes():
    assert set(findings(heard()).values()) == {Grade.ok}


@pytest.mark.parametrize(("changes", "name", "grade"), [
    ({"nodes": ["/deft_cem"]}, "nodes", Grade.fail), ({"colours": []}, "camera", Grade.fail),
    ({"depths": [1.0]}, "camera stamps", Grade.warn), ({"depths": [1.0, 2.0, 3.0]}, "camera stamps", Grade.fail),
    ({"depth_valid": 0.3}, "depth", Grade.warn),
    ({"depth_valid": 0.0}, "depth", Grade.fail), ({"depth_valid": math.nan}, "depth", Grade.fail),
    ({"colours": [100.0], "depths": [100.0]}, "camera rate", Grade.warn), ({"states": []}, "joint states", Grade.fail),
    ({"states": [0.0] * 250}, "joint states", Grade.fail), ({"states": [100.0] * 10}, "joint states", Grade.warn),
    ({"names": NAMES - {"joint3"}}, "joint states", Grade.fail), ({"finite": False}, "joint states", Grade.fail),
    ({"states": [50.0 + 0.02 * k for k in range(250)]}, "clocks", Grade.warn),
    ({"listeners": {"arm": 0, "hand": 1}}, "arm controller", Grade.fail)])
def test_what_ails_a_robot_is_found(changes, name, grade):
    assert findings(heard(**changes))[name] is grade


def test_the_map_says_where_the_arm_reaches(tmp_path):
    reached = checkup.reach(ROBOT, HAND)
    assert reached["sideways"].mean() > 0.8 and reached["from above"].mean() > 0.8
    assert reached["sideways"].shape == (checkup.CELLS, checkup.CELLS)
    checkup.draw_reach(ROBOT, reached, tmp_path / "reach.png")
    assert checkup.reachability(reached, tmp_path).grade is Grade.ok


def test_an_arm_that_would_park_outside_its_workspace_is_told():
    assert checkup.postures(ROBOT, HAND).grade is Grade.ok
    narrow = ROBOT.model_copy(update={"workspace": ROBOT.workspace.model_copy(update={"lower": (0.1, -0.5, 0.0)})})
    found = checkup.postures(narrow, HAND)
    assert found.grade is Grade.fail and "park has the palm at" in found.words
