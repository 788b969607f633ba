"""MANO to robot joints by anatomical axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from deft_core.errors import ConfigError, DeftError
from deft_retarget.axis_mapping import AxisRetargeter, grasp_rotation
from deft_retarget.skeleton import FINGERS, anatomical_angles, anatomical_axes, rest_joints


def bent(finger: str, joint: int, axis: str, angle: float) -> np.ndarray:
    """A MANO pose with one anatomical rotation."""
    pose = np.zeros((15, 3))
    index = 3 * FINGERS.index(finger) + joint
    pose[index] = angle * anatomical_axes()[index][("twist", "spread", "bend").index(axis)]
    return pose.ravel()


def test_rest_skeleton_is_a_right_hand():
    joints, tips = rest_joints()
    assert joints.shape == (16, 3) and tips.shape == (5, 3)
    assert (tips[:4, 0] < -0.13).all(), "fingers along -x"
    index, middle, little, ring = (joints[1 + 3 * i] for i in range(4))
    assert index[2] > middle[2] > ring[2] > little[2], "the thumb's side along +z"
    assert tips[4, 2] > index[2]


def test_axes_are_orthonormal_and_bend_closes_to_the_palm():
    for axes in anatomical_axes():
        assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-12) and np.isclose(np.linalg.det(axes), 1.0)
    for k in range(12):
        finger_direction = -anatomical_axes()[k][0]
        turned = Rotation.from_rotvec(0.5 * anatomical_axes()[k][2]).apply(finger_direction)
        assert turned[1] < finger_direction[1] - 0.2, "the back of the hand is +y, so bending goes to -y"


@settings(max_examples=40)
@given(st.integers(0, 14), st.sampled_from(["twist", "spread", "bend"]), st.floats(-1.2, 1.2))
def test_single_axis_rotations_are_read_back(index, axis, angle):
    angles = anatomical_angles(bent(FINGERS[index // 3], index % 3, axis, angle))
    expected = np.zeros((15, 3))
    expected[index, ("twist", "spread", "bend").index(axis)] = angle
    assert np.allclose(angles, expected, atol=1e-9)


def test_flat_hand_is_an_open_robot_hand(hand):
    joints = dict(zip(hand.joint_names, AxisRetargeter(hand).retarget(np.zeros(45)).joints, strict=True))
    assert all(joints[f"joint_{i}.0"] == 0.0 for i in range(12))
    assert joints["joint_12.0"] == pytest.approx(1.2)


@pytest.mark.parametrize(("finger", "joint", "robot_joint"), [
    ("index", 0, "joint_1.0"), ("index", 1, "joint_2.0"), ("index", 2, "joint_3.0"), ("middle", 0, "joint_5.0"),
    ("ring", 2, "joint_11.0"), ("thumb", 1, "joint_14.0"), ("thumb", 2, "joint_15.0")])
def test_bend_moves_only_its_joint(hand, finger, joint, robot_joint):
    retargeter = AxisRetargeter(hand)
    change = retargeter.retarget(bent(finger, joint, "bend", 0.4)).joints - retargeter.retarget(np.zeros(45)).joints
    moved = dict(zip(hand.joint_names, change, strict=True))
    assert moved.pop(robot_joint) == pytest.approx(0.4)
    assert np.allclose(list(moved.values()), 0.0)


def test_the_little_finger_and_twist_are_dropped(hand):
    retargeter = AxisRetargeter(hand)
    rest = retargeter.retarget(np.zeros(45)).joints
    for pose in (bent("little", 0, "bend", 1.0), bent("index", 0, "twist", 0.5)):
        assert np.allclose(retargeter.retarget(pose).joints, rest)


@settings(max_examples=100)
@given(st.lists(st.floats(-3, 3), min_size=45, max_size=45))
def test_limits_hold_and_saturation_is_reported(hand, pose):
    result = AxisRetargeter(hand).retarget(np.array(pose))
    assert np.all(result.joints >= np.array(hand.lower)) and np.all(result.joints <= np.array(hand.upper))
    rows = zip(hand.joint_names, result.joints, hand.lower, hand.upper, strict=True)
    at_limit = {name for name, q, lower, upper in rows if q in (lower, upper)}
    assert set(result.saturated) <= at_limit


@pytest.mark.parametrize("pose", [np.zeros(44), np.full(45, np.nan), np.full(45, np.inf)])
def test_bad_poses_are_refused(hand, pose):
    with pytest.raises(DeftError, match="45 finite angles"):
        AxisRetargeter(hand).retarget(pose)


def test_a_table_with_wrong_names_is_refused(hand):
    table = {"method": "axis", "joints": {**hand.retarget["joints"]}}
    del table["joints"]["joint_3.0"]
    with pytest.raises(ConfigError, match=r"missing \['joint_3.0'\]"):
        AxisRetargeter(hand.model_copy(update={"retarget": table}))
    table["joints"]["joint_3.0"] = {"source": ["index", "dop", "bend"]}
    with pytest.raises(ConfigError, match="did you mean 'dip'"):
        AxisRetargeter(hand.model_copy(update={"retarget": table}))


def test_wrist_to_grasp_frame():
    """Palm down, fingers forward: MANO x = back, y = up; grasp frame x = forward, z = down."""
    wrist = Rotation.from_matrix(np.column_stack([[-1, 0, 0], [0, 0, 1], [0, 1, 0]]))
    assert np.allclose(grasp_rotation(wrist).as_matrix(), np.column_stack([[1, 0, 0], [0, -1, 0], [0, 0, -1]]))
