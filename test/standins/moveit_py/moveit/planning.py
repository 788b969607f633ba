"""moveit.planning: MoveItPy, its planning component and scene monitor, and the parameters of a plan.

What a parameter file says under `standin` is what goes wrong: dies_at (the n-th plan ends the process), code (of a plan that
fails), raises (at construction).
"""

import contextlib
import os
import types
from pathlib import Path

import numpy as np
import yaml
from moveit_msgs.msg import MoveItErrorCodes, RobotTrajectory
from trajectory_msgs.msg import JointTrajectoryPoint

from moveit.core.robot_state import RobotState

JOINTS = [f"joint{k}" for k in range(1, 8)]  # in the order of the robot's YAML


class PlanRequestParameters:
    def __init__(self, moveit_py, namespace):
        self.planner_id, self.planning_pipeline = "", ""
        self.planning_attempts, self.planning_time = 5, 1.0
        self.max_velocity_scaling_factor = self.max_acceleration_scaling_factor = 1.0  # full speed, unless it is said


class _Trajectory:
    def __init__(self, message):
        self._message = message

    def get_robot_trajectory_msg(self, joint_filter=()):
        return self._message


class _Response:
    def __init__(self, code, message=None):
        self.error_code, self.trajectory = MoveItErrorCodes(val=code), _Trajectory(message)

    def __bool__(self):
        return self.error_code.val == MoveItErrorCodes.SUCCESS


class _Component:
    def __init__(self, moveit, group):
        self._moveit, self._group, self._start, self._goal = moveit, group, None, None

    def set_start_state(self, configuration_name=None, robot_state=None):
        if (configuration_name is None) == (robot_state is None):
            raise ValueError("exactly one of configuration_name and robot_state")
        self._start = robot_state.positions[self._group]
        return True

    def set_goal_state(self, configuration_name=None, robot_state=None, pose_stamped_msg=None, pose_link=None,
                       motion_plan_constraints=None):
        given = [configuration_name, robot_state, pose_stamped_msg, motion_plan_constraints]
        if sum(g is not None for g in given) != 1 or (pose_stamped_msg is None) != (pose_link is None):
            raise ValueError("exactly one kind of goal, and a pose with its link")
        self._goal = robot_state.positions[self._group] if robot_state is not None else None
        return True

    def plan(self, single_plan_parameters=None):
        moveit = self._moveit
        moveit.plans += 1
        if moveit.faults.get("dies_at") == moveit.plans:
            os.abort()
        if code := moveit.faults.get("code"):
            return _Response(code)
        if not single_plan_parameters.max_velocity_scaling_factor < 1:
            raise RuntimeError("full speed")
        goal = self._goal if self._goal is not None else self._start + 0.05
        message = RobotTrajectory()
        message.joint_trajectory.joint_names = JOINTS[::-1]
        for k, s in enumerate(np.linspace(0, 1, 21)):
            at, rate = 10 * s**3 - 15 * s**4 + 6 * s**5, (30 * s**2 - 60 * s**3 + 30 * s**4) / 2.0
            point = JointTrajectoryPoint(positions=(self._start + at * (goal - self._start)).tolist(),
                                         velocities=(rate * (goal - self._start)).tolist())
            point.time_from_start.sec, point.time_from_start.nanosec = k // 10, k % 10 * 100_000_000
            message.joint_trajectory.points.append(point)
        return _Response(MoveItErrorCodes.SUCCESS, message)


class _Monitor:
    def __init__(self):
        self.scenes = []

    def new_planning_scene_message(self, scene):
        self.scenes.append(scene)
        return scene.is_diff and scene.robot_state.is_diff

    @contextlib.contextmanager
    def read_only(self):
        yield types.SimpleNamespace(current_state=RobotState(object()))


class MoveItPy:
    def __init__(self, node_name="moveit_py", name_space="", launch_params_filepaths=None, config_dict=None,
                 provide_planning_service=True, remappings=None):
        self.faults = (yaml.safe_load(Path(launch_params_filepaths[0]).read_text()) or {}).get("standin", {})
        if "raises" in self.faults:
            raise RuntimeError(self.faults["raises"])
        self.plans, self._monitor = 0, _Monitor()

    def get_planning_component(self, planning_component_name):
        return _Component(self, planning_component_name)

    def get_planning_scene_monitor(self):
        return self._monitor

    def get_robot_model(self):
        return types.SimpleNamespace(get_joint_model_group=lambda name: types.SimpleNamespace(
            active_joint_model_names=JOINTS[::-1]))  # in an order of its own

    def __del__(self):
        os.abort()  # as moveit_py does when it is torn down
