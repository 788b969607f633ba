"""moveit.core.robot_state: a state is made of a model, and moves a group at a time."""

import numpy as np


class RobotState:
    def __init__(self, robot_model):
        self.robot_model, self.positions = robot_model, {}

    def set_joint_group_positions(self, joint_model_group_name, position_values):
        assert isinstance(position_values, np.ndarray)
        self.positions[joint_model_group_name] = position_values.copy()

    def update(self, force=False, type="all"):
        pass
