"""A hand that is not in the repository: the YAML of CONTRIBUTING.md, a URDF that is made here, and `deft doctor --hand`."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from deft_core.config import load
from deft_core.descriptions import HandConfig
from deft_core.types import GraspParameters
from deft_drivers.hand_adapter import HandAdapter
from deft_motion.gate import SafetyGate
from deft_motion.grasp_plan import GraspGoal, GraspPlanner
from deft_motion.kinematics import ArmHandModel
from deft_retarget.motions import gesture
from deft_retarget.retargeter import Retargeter

RECIPE = (Path(__file__).resolve().parent.parent.parent / "CONTRIBUTING.md").read_text()
# joint: parent, child, place in the parent (m), axis, length of the child (m)
JOINTS = {"index_mcp": ("palm", "index_1", (0.0, -0.025, 0.10), (0, 1, 0), 0.05),
          "index_pip": ("index_1", "index_2", (0.0, 0.0, 0.05), (0, 1, 0), 0.05),
          "middle_mcp": ("palm", "middle_1", (0.0, 0.025, 0.10), (0, 1, 0), 0.05),
          "middle_pip": ("middle_1", "middle_2", (0.0, 0.0, 0.05), (0, 1, 0), 0.05),
          "thumb_opposition": ("palm", "thumb_1", (0.0, 0.04, 0.02), (0, 0, -1), 0.01),
          "thumb_mcp": ("thumb_1", "thumb_2", (0.0, 0.01, 0.02), (0, 1, 0), 0.045),
          "thumb_ip": ("thumb_2", "thumb_3", (0.0, 0.0, 0.045), (0, 1, 0), 0.045)}
TIPS = {"index_tip": ("index_2", 0.05), "middle_tip": ("middle_2", 0.05), "thumb_tip": ("thumb_3", 0.045)}


def link(name: str, length: float) -> str:
    box = f'<collision><origin xyz="0 0 {length / 2}"/><geometry><box size="0.016 0.016 {length}"/></geometry></collision>'
    return f'<link name="{name}">{box if length else ""}</link>'


def urdf(limits: dict[str, tuple[float, float]]) -> str:
    """Three fingers of two and three joints on a palm."""
    rows = ['<robot name="trio">', link("palm", 0.09)]
    for name, (parent, child, xyz, axis, length) in JOINTS.items():
        low, high = limits[name]
        rows += [link(child, length), f'<joint name="{name}" type="revolute"><parent link="{parent}"/><child link="{child}"/>'
                 f'<origin xyz="{xyz[0]} {xyz[1]} {xyz[2]}"/><axis xyz="{axis[0]} {axis[1]} {axis[2]}"/>'
                 f'<limit lower="{low}" upper="{high}" effort="1" velocity="5"/></joint>']
    for name, (parent, far) in TIPS.items():
        rows += [link(name, 0.0), f'<joint name="{name}_fixed" type="fixed"><parent link="{parent}"/><child link="{name}"/>'
                 f'<origin xyz="0 0 {far}"/></joint>']
    return "\n".join([*rows, "</robot>"])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """The YAML of the recipe, and its URDF where the YAML says."""
    home = tmp_path_factory.mktemp("hand")
    text = re.search(r"```yaml\n(.*?)```", RECIPE, re.DOTALL)[1]
    data = yaml.safe_load(text)
    model = home / "trio.urdf"
    model.write_text(urdf(dict(zip(data["joint_names"], zip(data["lower"], data["upper"], strict=True), strict=True))))
    data["urdf"] = str(model)
    file = home / "trio.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


def doctor(file: Path, out: Path) -> subprocess.CompletedProcess:
    return subprocess.run(["deft", "doctor", "--hand", str(file), "--out", str(out)], capture_output=True, text=True,
                          check=False,
                          env={**os.environ, "COLUMNS": "200"}, timeout=120)


def test_the_recipe_s_hand_passes_and_is_drawn(recipe, tmp_path):
    result = doctor(recipe, tmp_path / "trio.png")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "fail" not in result.stdout and "trio: right hand, 7 joints" in result.stdout
    assert (tmp_path / "trio.png").stat().st_size > 10_000


@pytest.mark.parametrize(("change", "words"), [
    ({"grasp_frame": {"xyz": [0.015, 0.0, 0.06], "rpy": [0.0, 1.5707963, 0.0]}}, "its x points away from the fingertips"),
    ({"grasp_frame": {"xyz": [0.015, 0.0, 0.06], "rpy": [0.0, -1.5707963267948966, 0.0]}}, "z has to come out of the palm"),
    ({"grasp_centre": [0.05, 0.0, -0.03]}, "between palm and fingers"),
    ({"base_link": "plam"}, "has no link 'plam'"),
    ({"joint_names": ["index_mpc", "index_pip", "middle_mcp", "middle_pip", "thumb_opposition", "thumb_mcp", "thumb_ip"]},
     "missing ['index_mpc']"),
    ({"upper": [1.6]}, "upper has 1 numbers"), ({"grasp_center": [0, 0, 0]}, "grasp_centre")])
def test_what_is_wrong_is_named(recipe, tmp_path, change, words):
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(recipe.read_text()) | change))
    result = doctor(file, tmp_path / "wrong.png")
    assert result.returncode == 1 and words in " ".join(result.stdout.split()), result.stdout + result.stderr


def test_it_is_retargeted_planned_for_and_commanded(recipe, robot, task):
    """What comes after the YAML: the retargeter, the planner behind the gate, and the numbers for its driver."""
    hand = load(HandConfig, recipe)
    retargeter = Retargeter(hand)
    closed = retargeter.retarget(gesture(retargeter.skeleton, "half_closed")).joints
    model = ArmHandModel(robot, hand)
    planner = GraspPlanner(robot, hand, model, SafetyGate(robot, hand, ArmHandModel(robot, hand)))
    grasp = GraspParameters(
        hand=hand.name, contact=np.array([0.5, 0.0, 0.12]), wrist_rotation=Rotation.from_euler("x", -np.pi / 2).as_rotvec(),
        joint_names=hand.joint_names, joints=closed, frame=robot.base_frame)
    plan = planner.plan(GraspGoal(grasp, task, 0.0, np.array([0.5, 0.0, 0.06]), np.array([0.06, 0.06, 0.12])))
    assert plan.arm.duration > 1.0 and plan.hand.positions.shape[1] == 7
    adapter = HandAdapter(hand)
    adapter.accept(hand.joint_names, plan.hand.times, plan.hand.positions, 0.0, 100.0)
    sent = [adapter.command(100.0 + t, np.array(hand.open_pose)) for t in np.arange(0, plan.hand.duration, 0.02)]
    np.testing.assert_allclose(sent[-1], plan.hand.positions[-1], atol=1e-6)
