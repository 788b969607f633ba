"""Wrists that a person can check by hand; docs/retargeting.md has their pictures (tools/retarget_pictures.py)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retarget_hands import HANDS, load_hand
from scipy.spatial.transform import Rotation

from deft_core.types import Pose
from deft_retarget.motions import WRIST_CASES, wrist_of
from deft_retarget.skeleton import MIRROR, shipped_skeleton
from deft_retarget.wrist import flange_pose, grasp_rotation, hand_base_pose

# where fingers, palm and thumb point in the robot's base frame: x forward, y left, z up, for a right hand
EXPECTED = {"palm_down": ((1, 0, 0), (0, 0, -1), (0, 1, 0)), "palm_left": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
            "thumb_up_fingers_left": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)), "fingers_down": ((0, 0, -1), (1, 0, 0), (0, -1, 0))}
ABOVE = Pose(np.array([0.5, 0.0, 0.8]), Rotation.from_matrix(np.column_stack([[0, -1, 0], [-1, 0, 0], [0, 0, -1]])))


@pytest.mark.parametrize("case", WRIST_CASES)
def test_the_human_hand_of_each_case_points_as_its_name_says(case, skeleton):
    wrist = wrist_of(case)
    fingers, palm, thumb = (np.array(v, float) for v in EXPECTED[case])
    points = wrist.apply(skeleton.keypoints(np.zeros(45)))
    middle, index, little = points[18 - 1], points[1], points[7]
    assert middle @ fingers > 0.18 and (index - little) @ thumb > 0.04, "m"
    curled = wrist.apply(skeleton.keypoints(np.tile([0.0, 0.0, 0.5], 15)))
    assert (curled[17] - middle) @ palm > 0.05, "curling goes to the palm's side"


@pytest.mark.parametrize("case", WRIST_CASES)
@pytest.mark.parametrize("name", HANDS)
def test_the_robot_hand_points_the_same_way(case, name):
    hand = load_hand(name)
    fingers, palm, thumb = (np.array(v, float) for v in EXPECTED[case])
    grasp = grasp_rotation(wrist_of(case)).as_matrix()
    assert np.allclose(grasp[:, 0], fingers) and np.allclose(grasp[:, 2], palm) and np.allclose(grasp[:, 1], -thumb)
    base = hand_base_pose(Pose(np.zeros(3), wrist_of(case)), Pose.identity(), hand, np.zeros(3), 1.0, np.zeros(3))
    from deft_retarget.retargeter import Retargeter

    points = base.apply(Retargeter(hand).kinematics.points(hand.followed(np.zeros(len(hand.joint_names)))))
    middle, index, ring = points[3] - points[0], points[2], points[4]
    assert middle @ fingers > 0.15 and abs(middle @ thumb) < 0.04
    side = thumb if hand.side == "right" else -thumb
    assert (index - ring) @ side > 0.03, "a left robot hand has its thumb on the other side"


def test_through_the_camera():
    """A camera that looks straight down, picture's top forward, sees a palm that faces down with the fingers to the top."""
    # MANO x: down in the picture, y: to the camera
    in_camera = Rotation.from_matrix(np.column_stack([[0, 1, 0], [0, 0, -1], [-1, 0, 0]]))
    hand = load_hand("allegro_right")
    base = hand_base_pose(Pose(np.array([0.0, 0.1, 0.6]), in_camera), ABOVE, hand, np.array(hand.retarget["wrist"]), 1.0,
                          np.zeros(3))
    assert np.allclose(grasp_rotation(ABOVE.rotation * in_camera).as_matrix(),
                       grasp_rotation(wrist_of("palm_down")).as_matrix())
    wrist = base.apply(np.array(hand.retarget["wrist"]))
    assert np.allclose(wrist, [0.4, 0.0, 0.2]), "scale 1: the robot's wrist is where the human's is"


def test_a_larger_hand_stands_further_from_the_contact(robot):
    hand = load_hand("allegro_right")
    contact, wrist = np.array([0.6, 0.0, 0.1]), np.array([0.45, 0.0, 0.15])
    point = np.array(hand.retarget["wrist"])
    for scale in (1.0, 1.24):
        base = hand_base_pose(Pose(wrist, wrist_of("palm_down")), Pose.identity(), hand, point, scale, contact)
        assert np.allclose(base.apply(point) - contact, scale * (wrist - contact))
    assert np.allclose((flange_pose(base, robot) @ robot.hand_mount.pose()).matrix(), base.matrix())


@settings(max_examples=40)
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(np.array))
def test_a_left_human_hand_is_the_mirror_image(vector):
    right = Rotation.from_rotvec(vector)
    left = Rotation.from_rotvec(vector * MIRROR)
    mirror = np.diag([-1.0, 1.0, 1.0])  # of the world, across its y-z plane
    for column, sign in ((0, 1.0), (2, 1.0), (1, -1.0)):
        assert np.allclose(mirror @ grasp_rotation(right).as_matrix()[:, column],
                           sign * grasp_rotation(left, "left").as_matrix()[:, column], atol=1e-9)


def test_keypoints_turn_with_the_wrist():
    points = shipped_skeleton().keypoints(np.zeros(45), wrist_of("palm_left").as_rotvec())
    assert points[17, 0] > 0.18 and points[1, 2] > points[7, 2] + 0.04
