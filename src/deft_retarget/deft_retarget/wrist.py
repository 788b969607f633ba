"""From the human wrist seen by the camera to the robot hand's base and flange in the robot's frame.

Two frames stand between them. MANO's wrist: fingers along -x (right hand; +x for a left one), back of the hand +y. The grasp
frame: x to the fingers, z out of the palm; every hand's YAML says where it is on the robot (`grasp_frame`).
"""

from __future__ import annotations

from scipy.spatial.transform import Rotation

from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.types import Array, Pose
from deft_retarget.skeleton import Side

# columns: x, y, z of the grasp frame in MANO's wrist frame
GRASP_FRAME_IN_MANO: dict[Side, Rotation] = {
    "right": Rotation.from_matrix([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]]),
    "left": Rotation.from_matrix([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
}


def grasp_rotation(wrist: Rotation, side: Side = "right") -> Rotation:
    """The grasp frame for a MANO wrist orientation; both in the same frame.

    Args:
        side: of the human hand. A robot hand of the other side points its fingers and its palm the same way.
    """
    return wrist * GRASP_FRAME_IN_MANO[side]


def hand_base_pose(wrist_in_camera: Pose, camera_in_base: Pose, hand: HandConfig, human_wrist: Array, scale: float,
                   contact: Array, side: Side = "right") -> Pose:
    """Where the robot hand stands to grasp as the human hand does: its base_link in the robot's base frame.

    The fingers stay at the contact; a hand `scale` times as large stands that much further back.

    Args:
        wrist_in_camera: MANO's wrist joint and global orientation in the camera's optical frame, m.
        camera_in_base: that optical frame in the robot's base frame, m.
        human_wrist: (3,) m, the point of base_link that stands for the human wrist (the hand's `retarget.wrist`).
        scale: size of the robot hand by that of the human's (`retarget.scale`).
        contact: (3,) m, base frame, the point that the human hand touches.
        side: of the human hand.
    """
    wrist = camera_in_base @ wrist_in_camera
    rotation = grasp_rotation(wrist.rotation, side) * hand.grasp_frame.pose().rotation.inv()
    place = contact + scale * (wrist.position - contact)
    return Pose(place - rotation.apply(human_wrist), rotation)


def flange_pose(hand_base: Pose, robot: RobotConfig) -> Pose:
    """The arm's flange for a pose of the hand's base_link, both in the robot's base frame: the mount undone."""
    return hand_base @ robot.hand_mount.pose().inverse()
