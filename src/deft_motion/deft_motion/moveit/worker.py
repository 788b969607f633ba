"""The process that MoveItPy lives in: answers MoveItPyPlanner's requests, one after the other, until the pipe is closed."""

from __future__ import annotations

import copy
import os
import signal
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np

from deft_core.hardware import MoveItConfig
from deft_core.types import Array, Pose
from deft_motion.kinematics import Obstacles
from deft_motion.moveit.results import SUCCESS

NODE = "deft_moveit_py"
LINE_PIPELINE, LINE_PLANNER = "pilz_industrial_motion_planner", "LIN"
LINE_SECONDS = 2.0  # of planning time


@dataclass(frozen=True)
class Request:
    """Of the planner.

    Attributes:
        kind: plan, straight, grasped or released.
        start, goal: (n_arm,) rad.
        pose: of the link in the base frame: where `straight` goes, or where it was when the hand closed.
        with_things: keep clear of object and surroundings, not of the table alone.
    """

    number: int
    kind: str
    start: Array | None = None
    goal: Array | None = None
    pose: Pose | None = None
    obstacles: Obstacles | None = None
    with_things: bool = False


@dataclass(frozen=True)
class Answer:
    """Of the worker.

    Attributes:
        code: MoveIt's error code.
        failure: an exception, in words.
        names: MoveIt's order of the joints.
        times, positions, velocities: (k,) s, (k, n) rad, (k, n) rad/s.
    """

    number: int
    code: int = SUCCESS
    failure: str = ""
    names: tuple[str, ...] = ()
    times: Array = field(default_factory=lambda: np.zeros(0))
    positions: Array = field(default_factory=lambda: np.zeros((0, 0)))
    velocities: Array = field(default_factory=lambda: np.zeros((0, 0)))


class PlanParameters(Protocol):
    """moveit.planning.PlanRequestParameters, as far as it is used."""

    planner_id: str
    planning_pipeline: str
    planning_attempts: int
    planning_time: float
    max_velocity_scaling_factor: float
    max_acceleration_scaling_factor: float


class RobotState(Protocol):
    """moveit.core.robot_state.RobotState."""

    def set_joint_group_positions(self, group: str, positions: Array) -> None: ...
    def update(self, force: bool = ..., type: str = ...) -> None: ...


class RobotTrajectory(Protocol):
    """moveit.core.robot_trajectory.RobotTrajectory."""

    def get_robot_trajectory_msg(self, joint_filter: list[str] = ...) -> Any: ...


class PlanResponse(Protocol):
    """moveit.core.planning_interface.MotionPlanResponse; true when it has a path."""

    trajectory: RobotTrajectory
    error_code: Any


class PlanningComponent(Protocol):
    """moveit.planning.PlanningComponent."""

    def set_start_state(self, configuration_name: str | None = ..., robot_state: RobotState | None = ...) -> bool: ...
    def set_goal_state(self, configuration_name: str | None = ..., robot_state: RobotState | None = ...,
                       pose_stamped_msg: Any = ..., pose_link: str | None = ...,
                       motion_plan_constraints: list[Any] | None = ...) -> bool: ...
    def plan(self, single_plan_parameters: PlanParameters | None = ...) -> PlanResponse: ...


class PlanningSceneMonitor(Protocol):
    """moveit.planning.PlanningSceneMonitor."""

    def new_planning_scene_message(self, scene: Any) -> bool: ...
    def read_only(self) -> AbstractContextManager[Any]: ...


class MoveItPy(Protocol):
    """moveit.planning.MoveItPy."""

    def get_planning_component(self, planning_component_name: str) -> PlanningComponent: ...
    def get_planning_scene_monitor(self) -> PlanningSceneMonitor: ...
    def get_robot_model(self) -> Any: ...


class Worker:
    """Turns requests into calls of MoveItPy.

    Args:
        moveit: a MoveItPy.
        new_parameters: PlanRequestParameters(moveit, "").
        frame: the base frame.
    """

    def __init__(self, moveit: MoveItPy, new_parameters: Any, settings: MoveItConfig, joints: tuple[str, ...],
                 frame: str) -> None:
        from deft_motion.moveit import scene

        self._new_parameters = new_parameters
        self._settings, self._joints, self._frame, self._scenes = settings, joints, frame, scene
        self._component = moveit.get_planning_component(settings.group)
        self._group_joints = list(moveit.get_robot_model().get_joint_model_group(settings.group).active_joint_model_names)
        if sorted(self._group_joints) != sorted(joints):
            raise RuntimeError(f"group {settings.group} has the joints {self._group_joints}, the robot's YAML {list(joints)}")
        self._monitor = moveit.get_planning_scene_monitor()

    def answer(self, request: Request) -> Answer:
        """Do as asked."""
        settings = self._settings
        if request.kind == "released":
            self._change(self._scenes.detached(settings.link, self._frame))
            return Answer(request.number)
        assert request.start is not None and request.obstacles is not None
        if request.kind == "grasped":
            assert request.pose is not None
            self._change(self._scenes.attached(request.obstacles, settings.link, request.pose, settings.touch_links))
            return Answer(request.number)
        self._change(self._scenes.world(request.obstacles, self._frame, request.with_things))
        self._component.set_start_state(robot_state=self._state(request.start))
        if request.kind == "plan":
            assert request.goal is not None
            self._component.set_goal_state(robot_state=self._state(request.goal))
            return self._planned(request.number, settings.pipeline, settings.planner_id, settings.planning_time)
        self._component.set_goal_state(pose_stamped_msg=self._stamped(request.pose), pose_link=settings.link)
        return self._planned(request.number, LINE_PIPELINE, LINE_PLANNER, LINE_SECONDS)

    def _planned(self, number: int, pipeline: str, planner: str, seconds: float) -> Answer:
        from deft_core.ros import conversions as conv

        parameters: PlanParameters = self._new_parameters()
        parameters.planning_pipeline, parameters.planner_id, parameters.planning_time = pipeline, planner, seconds
        parameters.planning_attempts = self._settings.attempts
        parameters.max_velocity_scaling_factor = self._settings.velocity_scaling  # unset it means full speed
        parameters.max_acceleration_scaling_factor = self._settings.acceleration_scaling
        response = self._component.plan(single_plan_parameters=parameters)
        if not response:
            return Answer(number, int(response.error_code.val))
        trajectory = response.trajectory.get_robot_trajectory_msg().joint_trajectory
        points = trajectory.points
        return Answer(number, SUCCESS, "", tuple(trajectory.joint_names),
                      conv.trajectory_times(points), np.array([list(p.positions) for p in points]),
                      np.array([list(p.velocities) for p in points]))

    def _state(self, arm: Array) -> RobotState:
        """The arm at (n_arm,), rad, in the group's own order; all else, what the hand holds included, as MoveIt has it."""
        with self._monitor.read_only() as scene:
            state: RobotState = copy.deepcopy(scene.current_state)
        order = [self._joints.index(name) for name in self._group_joints]
        state.set_joint_group_positions(self._settings.group, np.asarray(arm, float)[order])
        state.update()
        return state

    def _stamped(self, pose: Pose | None) -> Any:
        from geometry_msgs.msg import PoseStamped

        assert pose is not None
        message = PoseStamped(pose=self._scenes.pose_msg(pose))
        message.header.frame_id = self._frame
        return message

    def _change(self, changes: list[Any]) -> None:
        for change in changes:
            if not self._monitor.new_planning_scene_message(change.scene) and change.required:
                raise RuntimeError("MoveIt refused the planning scene; its log says why")


def serve(pipe: Connection, settings: MoveItConfig, joints: tuple[str, ...], frame: str) -> None:
    """Main of the process: make MoveItPy, answer until the pipe closes, and leave without tearing it down."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes; the planner ends this one
    worker: Worker | None = None
    while True:
        try:
            request: Request = pipe.recv()
        except EOFError:
            break
        try:
            worker = worker or _started(settings, joints, frame)
            pipe.send(worker.answer(request))
        except Exception as error:  # whatever MoveIt raises is for the planner to report
            pipe.send(Answer(request.number, failure=f"{type(error).__name__}: {error}"))
    os._exit(0)  # MoveItPy may crash when it is torn down


def _started(settings: MoveItConfig, joints: tuple[str, ...], frame: str) -> Worker:
    """MoveItPy with its parameters. Raises RuntimeError for what is missing."""
    if not settings.parameters:
        raise RuntimeError("moveit.parameters in the robot's YAML names no parameter file for it")
    try:
        import rclpy
        from moveit.planning import MoveItPy as Planner
        from moveit.planning import PlanRequestParameters
    except ImportError as error:
        raise RuntimeError(f"planner moveit_py needs `sudo apt install ros-jazzy-moveit-py` ({error})") from None
    rclpy.init()  # its messages pass through rclpy; MoveItPy has a context of its own beside it
    moveit = Planner(node_name=NODE, launch_params_filepaths=[os.path.expanduser(settings.parameters)],
                     provide_planning_service=False)
    return Worker(moveit, lambda: PlanRequestParameters(moveit, ""), settings, joints, frame)
