"""Faults of a robot cell that the simulator can rehearse: `deft finetune TASK --sim --fault NAME`, or
`ros2 param set /deft_sim fault NAME` while it runs ("" ends it)."""

from __future__ import annotations

from deft_core.config import choices
from deft_core.errors import ConfigError

FAULTS = {
    "camera_silent": "the camera sends nothing",
    "camera_frozen": "the camera sends the same picture again and again, with new stamps",
    "depth_empty": "no depth pixel is valid",
    "depth_invalid": "depth in metres that is NaN and infinite, as a broken driver sends it",
    "joint_states_silent": "no joint states come",
    "joint_states_incomplete": "one joint of the hand is missing in the joint states",
    "joint_states_shuffled": "joint states in another order, with joints that nobody knows",
    "clock_back": "the robot's clock was set back by ten minutes",
    "controller_deaf": "the controllers ignore what they are sent, as inactive ones do",
    "robot_fault": "the arm reports a hard collision",
}


def checked(name: str) -> str:
    """The name, where there is such a fault, or "" for none. Raises ConfigError."""
    if name and name not in FAULTS:
        raise ConfigError(f"unknown fault '{name}': {choices(name, FAULTS)}")
    return name
