"""Anatomical angles, and the paper's table from them to robot joints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from deft_core.errors import ConfigError, DeftError
from deft_retarget.anatomy import anatomical_angles, anatomical_axes
from deft_retarget.axis_mapping import ANGLES
from deft_retarget.motions import gesture, poses_of
from deft_retarget.retargeter import Retargeter
from deft_retarget.skeleton import FINGERS, TIP, HandSkeleton, shipped_skeleton

AXES_OF = anatomical_axes(shipped_skeleton())


def bent(finger: str, joint: int, axis: str, angle: float) -> np.ndarray:
    """A MANO pose with one anatomical rotation."""
    pose = np.zeros((15, 3))
    index = 3 * FINGERS.index(finger) + joint
    pose[index] = angle * AXES_OF[index][("twist", "spread", "bend").index(axis)]
    return pose.ravel()


def test_axes_are_orthonormal_bend_closes_and_spread_goes_to_the_thumb(skeleton):
    for axes in AXES_OF:
        assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-12) and np.isclose(np.linalg.det(axes), 1.0)
    flat = skeleton.keypoints(np.zeros(45))
    for f, finger in enumerate(FINGERS[:4]):
        for j in range(3):
            closed = skeleton.keypoints(bent(finger, j, "bend", 0.5))
            assert closed[16 + f, 1] < flat[16 + f, 1] - 0.005, "the back of the hand is +y"
        assert skeleton.keypoints(bent(finger, 0, "spread", 0.2))[16 + f, 2] > flat[16 + f, 2] + 0.01, "the thumb's side is +z"
    closing = skeleton.keypoints(bent("thumb", 0, "bend", 0.5))[TIP["thumb"]] - flat[TIP["thumb"]]
    assert closing[1] < 0 and closing[2] < 0, "the thumb bends into the palm and towards the fingers"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(-1.5, 1.5), st.floats(-1.4, 1.4), st.floats(-1.5, 1.5)), min_size=15, max_size=15))
def test_twist_spread_bend_are_read_back(wanted):
    wanted = np.array(wanted)
    assert np.allclose(anatomical_angles(AXES_OF, poses_of(shipped_skeleton(), wanted)), wanted, atol=1e-6)


@settings(max_examples=40)
@given(st.lists(st.floats(-3.0, 3.0), min_size=45, max_size=45).map(np.array))
def test_the_split_is_intrinsic_xyz_about_the_axes(pose):
    frames = Rotation.from_matrix(np.swapaxes(AXES_OF, 1, 2))
    local = frames.inv() * Rotation.from_rotvec(pose.reshape(15, 3)) * frames
    again = Rotation.from_euler("XYZ", anatomical_angles(AXES_OF, pose))
    assert np.allclose((local.inv() * again).magnitude(), 0.0, atol=1e-6)


def test_at_right_angles_of_spread_everything_is_bend():
    pose = poses_of(shipped_skeleton(), np.tile([0.0, np.pi / 2, 0.4], (15, 1)))
    angles = anatomical_angles(AXES_OF, pose)
    assert np.allclose(angles[:, 0], 0.0) and np.allclose(angles[:, 1:], [np.pi / 2, 0.4], atol=1e-4)


@pytest.mark.parametrize(("finger", "joint", "robot_joint"), [
    ("index", 0, "joint_1.0"), ("index", 1, "joint_2.0"), ("index", 2, "joint_3.0"), ("middle", 0, "joint_5.0"),
    ("ring", 2, "joint_11.0")])
def test_bend_moves_only_its_joint(hand, finger, joint, robot_joint):
    retargeter = Retargeter(hand)
    change = retargeter.retarget(bent(finger, joint, "bend", 0.4)).joints - retargeter.retarget(np.zeros(45)).joints
    moved = dict(zip(hand.joint_names, change, strict=True))
    assert moved.pop(robot_joint) == pytest.approx(0.4)
    assert np.allclose(list(moved.values()), 0.0)


def test_sign_offset_scale_and_sums(hand):
    rows = {**hand.retarget["joints"], "joint_0.0": {"index.mcp.spread": -2.0, "offset": 0.1, "index.pip.bend": 0.5}}
    retargeter = Retargeter(hand.model_copy(update={"retarget": {**hand.retarget, "joints": rows}}))
    pose = bent("index", 0, "spread", 0.1) + bent("index", 1, "bend", 0.2)
    assert retargeter.retarget(pose).joints[0] == pytest.approx(0.1 - 2.0 * 0.1 + 0.5 * 0.2)


def test_the_little_finger_and_twist_are_dropped(hand):
    retargeter = Retargeter(hand)
    rest = retargeter.retarget(np.zeros(45)).joints
    for pose in (bent("little", 0, "bend", 1.0), bent("index", 0, "twist", 0.5)):
        assert np.allclose(retargeter.retarget(pose).joints, rest)


def test_what_is_cut_off_is_reported(hand):
    found = Retargeter(hand).retarget(bent("index", 0, "bend", 2.5))
    joints = dict(zip(hand.joint_names, found.joints, strict=True))
    assert joints["joint_1.0"] == hand.upper[1] and "joint_1.0" in found.saturated and "joint_2.0" not in found.saturated
    assert found.converged and found.iterations == 0


def test_a_table_with_wrong_names_is_refused(hand):
    rows = dict(hand.retarget["joints"])

    def load(joints):
        return Retargeter(hand.model_copy(update={"retarget": {**hand.retarget, "joints": joints}}))

    with pytest.raises(ConfigError, match=r"missing \['joint_3.0'\].*fit-thumb"):
        load({k: v for k, v in rows.items() if k != "joint_3.0"})
    with pytest.raises(ConfigError, match=r"did you mean 'index.dip.bend'"):
        load({**rows, "joint_3.0": {"index.dop.bend": 1.0}})
    with pytest.raises(ConfigError, match=r"unknown \['joint_99'\]"):
        load({**rows, "joint_99": {}})
    with pytest.raises(ConfigError, match="finite"):
        load({**rows, "joint_3.0": {"offset": float("nan")}})
    assert len(set(ANGLES)) == 45


def test_a_longer_human_hand_makes_the_same_robot_hand_smaller(hand, skeleton):
    longer = HandSkeleton(1.2 * skeleton.joints, 1.2 * skeleton.tips, None, "")
    ours, theirs = Retargeter(hand, "vector", skeleton), Retargeter(hand, "vector", longer)
    pose = gesture(skeleton, "half_closed")
    assert theirs.scale == pytest.approx(ours.scale / 1.2) and ours.scale == pytest.approx(1.24, rel=1e-3)
    assert np.allclose(ours.retarget(pose).joints, theirs.retarget(pose).joints, atol=1e-6)


def test_an_unknown_side_is_refused(hand):
    for call in (Retargeter(hand).retarget, Retargeter(hand).batch):
        with pytest.raises(DeftError, match="must be right or left"):
            call(np.zeros(45) if call.__name__ == "retarget" else np.zeros((1, 45)), side="Left")


def test_one_pose_at_a_time(hand):
    with pytest.raises(DeftError, match=r"use sequence\(\) or batch\(\)"):
        Retargeter(hand).retarget(np.zeros((2, 45)))
    with pytest.raises(DeftError, match=r"\(N, 45\)"):
        Retargeter(hand).batch(np.zeros(45))
    assert Retargeter(hand).batch(np.zeros((0, 45))).joints.shape == (0, 16)
