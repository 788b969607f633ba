"""A hand's base_link need not be the root of its URDF: planner and simulator put base_link on the mount all the same."""

from __future__ import annotations

import mujoco
import numpy as np
import pinocchio as pin
import pytest

from deft_core.config import parse
from deft_core.descriptions import resolve_model
from deft_core.errors import ConfigError
from deft_motion.kinematics import ArmHandModel
from deft_sim.config import RealismConfig
from deft_sim.model import HAND_PREFIX, robot_spec
from deft_sim.realism import draw_cell, draw_light

STAND = ('<link name="stand"/><joint name="stand_joint" type="fixed"><parent link="stand"/><child link="palm_link"/>'
         '<origin xyz="0 0.038 0.098" rpy="0.3 -1.2 0.5"/></joint>')


@pytest.fixture
def on_a_stand(hand, tmp_path):
    """The same hand, whose URDF begins with another link."""
    text = resolve_model(hand.urdf).read_text().replace("</robot>", f"{STAND}</robot>")
    (tmp_path / "hand.urdf").write_text(text)
    return hand.model_copy(update={"urdf": str(tmp_path / "hand.urdf")})


def test_the_planner_mounts_base_link(robot, hand, on_a_stand):
    places = []
    for each in (hand, on_a_stand):
        model = ArmHandModel(robot, each)
        pin.framesForwardKinematics(model.model, model.data, pin.neutral(model.model))
        places.append([model.data.oMf[model.model.getFrameId(link)].homogeneous for link in ("palm_link", "link_3.0_tip")])
    assert np.allclose(places[0], places[1], atol=1e-9)


def test_the_simulator_mounts_base_link(robot, hand, on_a_stand):
    exact = parse(RealismConfig, {"calibration_error": 0.0, "calibration_turn": 0.0, "light_change": 0.0}, "test")
    places = []
    for each in (hand, on_a_stand):
        light = draw_light(exact, np.random.default_rng(0))
        model = robot_spec(robot, each, draw_cell(robot, each, exact), light).compile()
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        places.append([data.body(f"{HAND_PREFIX}{link}").xpos for link in ("palm_link", "link_3.0")])
    assert np.allclose(places[0], places[1], atol=1e-6)


def test_a_base_link_that_moves_or_is_not_there_is_refused(robot, hand):
    with pytest.raises(ConfigError, match=r"moves with joint 'joint_0\.0'"):
        ArmHandModel(robot, hand.model_copy(update={"base_link": "link_0.0"}))
    with pytest.raises(ConfigError, match="no link 'plam'"):
        ArmHandModel(robot, hand.model_copy(update={"base_link": "plam"}))
