"""The robot's model: from its URDF, or from the table in its YAML."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pinocchio as pin
import pytest
from retarget_hands import load_hand

from deft_core.errors import ConfigError
from deft_retarget.axis_mapping import ANGLES
from deft_retarget.kinematics import HandKinematics, model_is_there, urdf_of
from deft_retarget.motions import natural_poses, poses_of
from deft_retarget.retargeter import Retargeter
from deft_retarget.skeleton import FINGERS


def fingertips(hand):
    return [(link, np.zeros(3)) for link in hand.retarget["fingertips"].values()]


def test_allegro_comes_with_its_urdf_and_the_others_with_a_table():
    assert [model_is_there(load_hand(h)) for h in ("allegro_right", "allegro_left", "leap_right", "shadow_right",
                                                   "dash_right")] \
        == [True, True, False, False, False]


@pytest.mark.parametrize("name", ["leap_right", "shadow_right", "dash_right"])
def test_a_table_makes_a_urdf_that_others_read(name):
    hand = load_hand(name)
    model = pin.buildModelFromXML(urdf_of(hand))
    assert set(hand.joint_names) == set(list(model.names)[1:])
    joints = {j.get("name"): j for j in ET.fromstring(urdf_of(hand)).findall("joint")}
    for joint, lower, upper in zip(hand.joint_names, hand.lower, hand.upper, strict=True):
        limit = joints[joint].find("limit")
        assert float(limit.get("lower")) == lower and float(limit.get("upper")) == upper


def test_published_reach_of_leap_and_shadow():
    """Middle fingertips of the straight hands, from the makers' models (m)."""
    leap, shadow = load_hand("leap_right"), load_hand("shadow_right")
    assert np.allclose(HandKinematics(leap, [("middle_tip_head", np.zeros(3))]).points(np.zeros(16)),
                       [[0.1301, -0.0378, -0.0195]], atol=5e-4)
    assert np.allclose(HandKinematics(shadow, [("mftip", np.zeros(3))]).points(np.zeros(22)), [[0.011, 0.0, 0.195]], atol=1e-6)


def test_the_users_own_urdf_wins_over_the_table(tmp_path):
    hand = load_hand("leap_right")
    path = tmp_path / "leap.urdf"
    text = urdf_of(hand).replace('name="leap_right"', 'name="mine"')
    path.write_text(text)
    mine = hand.model_copy(update={"urdf": str(path)})
    assert urdf_of(mine) == text
    assert np.allclose(HandKinematics(mine, fingertips(mine)).points(np.full(16, 0.3)),
                       HandKinematics(hand, fingertips(hand)).points(np.full(16, 0.3)))


def test_joints_that_the_hand_does_not_name_are_held():
    hand = load_hand("allegro_right")
    fewer = hand.model_copy(update={"joint_names": hand.joint_names[:15], "lower": hand.lower[:15], "upper": hand.upper[:15]})
    points = HandKinematics(fewer, fingertips(fewer)).points(np.full(15, 0.3))
    assert np.allclose(points, HandKinematics(hand, fingertips(hand)).points(np.append(np.full(15, 0.3), 0.0)))


@pytest.mark.parametrize(("change", "message"), [
    ({"joint_names": ("joint_0.0", "joint_1.O")}, "no joint 'joint_1.O': did you mean 'joint_1.0'"),
    ({"base_link": "plam_link"}, "no link 'plam_link': did you mean 'palm_link'"),
    ({"urdf": "/none.urdf", "urdf_source": "the maker"}, "does not exist; get it from the maker")])
def test_what_does_not_fit_the_urdf_is_named(change, message):
    hand = load_hand("allegro_right").model_copy(update=change)
    with pytest.raises(ConfigError, match=message):
        HandKinematics(hand, [])


@pytest.mark.parametrize("content", [b"<robot", b"\xff\xfe", b"<robot name='x'><link name='a'/></robot>"])
def test_a_broken_urdf_is_named(tmp_path, content):
    (tmp_path / "x.urdf").write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.urdf is no tree|has no link"):
        HandKinematics(load_hand("allegro_right").model_copy(update={"urdf": str(tmp_path / "x.urdf")}), [])


def test_each_joint_turns_its_finger_the_way_its_row_says(any_hand, skeleton):
    """What bends a human finger to its palm or spreads it to its thumb does so to the robot's (by forward kinematics)."""
    retargeter = Retargeter(any_hand, "axis", skeleton)
    grasp = any_hand.grasp_frame.pose().rotation.inv()
    to_thumb = -1.0 if any_hand.side == "right" else 1.0  # along y of the grasp frame

    def tips(angles):
        pose = poses_of(skeleton, np.array([angles.get(name, 0.0) for name in ANGLES]).reshape(15, 3))
        return grasp.apply(retargeter.kinematics.points(retargeter.retarget(pose).joints))

    bent = {f"{finger}.{joint}.bend": 0.4 for finger in FINGERS[:4] for joint in ("mcp", "pip", "dip")}
    start = tips(bent)
    for row, finger in enumerate(retargeter.fingers, start=1):
        if finger == "thumb":
            across = tips({**bent, "thumb.cmc.bend": 0.4, "thumb.mcp.bend": 0.4})[row] - start[row]
            assert across[1] * to_thumb < -0.005, "a thumb that bends goes to the fingers"
            continue
        for joint in ("mcp", "pip"):
            assert (tips({**bent, f"{finger}.{joint}.bend": 0.6})[row] - start[row])[2] > 0.002, (finger, joint)
        spread = tips({**bent, f"{finger}.mcp.spread": 0.15})[row] - start[row]
        assert spread[1] * to_thumb > 0.002, (finger, "spread")


def test_left_and_right_allegro_are_mirror_images(skeleton):
    right, left = Retargeter(load_hand("allegro_right"), "dexpilot"), Retargeter(load_hand("allegro_left"), "dexpilot")
    for pose in natural_poses(skeleton, 1, 40, 21)[0, ::8]:
        there, here = (r.kinematics.points(r.retarget(pose).joints) for r in (right, left))
        assert np.allclose(there * [1.0, -1.0, 1.0], here, atol=1e-5)
