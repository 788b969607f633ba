"""move_group as the planner, over its action and services. Only plans: the arm moves through deft_motion's own gate.

Cancelling move_group's execution does not stop an arm, and its execution would go round the gate, so neither
/execute_trajectory nor plan-and-execute is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from deft_core.errors import ConfigError, DeftError
from deft_core.hardware import MoveItConfig
from deft_core.ros import conversions as conv
from deft_core.ros.action_client import ActionClient
from deft_core.ros.node import CallTimeout, call, wait, wait_for_server
from deft_core.types import Array, Pose
from deft_motion import codes
from deft_motion.executor import Cancelled
from deft_motion.kinematics import ArmHandModel
from deft_motion.moveit.results import cartesian_path, require_success, timed_path
from deft_motion.paths import JointPath

try:
    from moveit_msgs.action import MoveGroup
    from moveit_msgs.msg import Constraints, JointConstraint, RobotState
    from moveit_msgs.srv import ApplyPlanningScene, GetCartesianPath

    from deft_motion.moveit import scene as scenes
except ImportError as error:
    raise ConfigError(f"planner move_group needs MoveIt's messages ({error}): `sudo apt install ros-jazzy-moveit`") from None

SERVER_SECONDS = 10.0  # for move_group to be found, and to answer what is not planning
MARGIN_SECONDS = 5.0   # on top of the planning time
JOINT_TOLERANCE = 1e-3  # rad


class MoveGroupPlanner:
    """See deft_motion.planner.Planner. Called from one worker thread; the node's executor has to turn meanwhile.

    Args:
        cancelled: polled while MoveIt plans; true cancels it, and the call raises Cancelled.
    """

    def __init__(self, node: Node, settings: MoveItConfig, model: ArmHandModel,
                 cancelled: Callable[[], bool] = lambda: False) -> None:
        self._settings, self._model, self._cancelled = settings, model, cancelled
        self._joints, self._frame = model.robot.joint_names, model.robot.base_frame
        self._limits = np.array(model.robot.velocity_limits)
        self._log = node.get_logger()
        space, group = settings.namespace.rstrip("/"), ReentrantCallbackGroup()
        self._plan = ActionClient(node, MoveGroup, f"{space}/move_action", callback_group=group)
        self._cartesian = node.create_client(GetCartesianPath, f"{space}/compute_cartesian_path", callback_group=group)
        self._apply = node.create_client(ApplyPlanningScene, f"{space}/apply_planning_scene", callback_group=group)

    # -- Planner --------------------------------------------------------------------------------------

    def plan(self, start: Array, goal: Array, hand: Array, seed: int) -> JointPath:
        """See Planner. MoveIt's model has the hand as far as its URDF does; `hand` and `seed` do not reach it.

        Raises:
            DeftError: EXECUTION_FAILED, COLLISION, UNREACHABLE, PLANNING_FAILED, STALE_STATE or BAD_INPUT (MOVEIT_CODES).
        """
        self._show(with_things=True)
        result = self._planned(self._goal(start, goal))
        require_success(result.error_code.val, result.error_code.message, result.error_code.source)
        points = result.planned_trajectory.joint_trajectory.points
        return timed_path(result.planned_trajectory.joint_trajectory.joint_names, self._joints,
                          conv.trajectory_times(points), np.array([p.positions for p in points]),
                          np.array([p.velocities for p in points if len(p.velocities)]), start, goal, self._limits)

    def straight(self, poses: Sequence[Pose], start: Array) -> Array | None:
        """See Planner. Kept clear of the table; the hand may touch what it means to grasp.

        Raises:
            DeftError: as `plan`, for what is not the way's fault.
        """
        self._show(with_things=False)
        settings = self._settings
        request = GetCartesianPath.Request(
            start_state=self._state(start), group_name=settings.group, link_name=settings.link,
            waypoints=[scenes.pose_msg(self._model.flange_target(pose)) for pose in poses[1:]],
            max_step=settings.cartesian_step, avoid_collisions=True, max_velocity_scaling_factor=settings.velocity_scaling,
            max_acceleration_scaling_factor=settings.acceleration_scaling)
        request.header.frame_id = self._frame
        answer = self._call(self._cartesian, request)
        require_success(answer.error_code.val, answer.error_code.message, answer.error_code.source)
        trajectory = answer.solution.joint_trajectory
        return cartesian_path(answer.fraction, trajectory.joint_names, self._joints,
                              np.array([p.positions for p in trajectory.points]), start)

    def grasped(self, arm: Array) -> None:
        """See Planner: the object's box is attached to the link that MoveIt moves."""
        link_pose = self._model.flange_target(self._model.grasp_pose(arm))
        self._note(scenes.attached(self._model.obstacles(), self._settings.link, link_pose, self._settings.touch_links))

    def released(self) -> None:
        """See Planner."""
        self._note(scenes.detached(self._settings.link, self._frame))

    def _note(self, changes: list[scenes.Change]) -> None:
        """Tell MoveIt what the hand holds. Where it cannot be told, the hand opens all the same: the next plan needs it."""
        try:
            self._change(changes)
        except DeftError as error:
            self._log.warning(f"MoveIt was not told what the hand holds: {error.message}")

    def close(self) -> None:
        """See Planner: the node that owns the clients destroys them."""

    # -- requests --------------------------------------------------------------------------------------

    def _state(self, arm: Array) -> RobotState:
        """The arm at (n_arm,), rad, everything else as MoveIt knows it."""
        state = RobotState(is_diff=True)
        state.joint_state.name, state.joint_state.position = list(self._joints), np.asarray(arm, float).tolist()
        return state

    def _goal(self, start: Array, goal: Array) -> Any:
        settings, out = self._settings, MoveGroup.Goal()
        request = out.request
        request.group_name, request.pipeline_id, request.planner_id = settings.group, settings.pipeline, settings.planner_id
        request.start_state = self._state(start)
        request.num_planning_attempts, request.allowed_planning_time = settings.attempts, settings.planning_time
        request.max_velocity_scaling_factor = settings.velocity_scaling
        request.max_acceleration_scaling_factor = settings.acceleration_scaling
        request.goal_constraints = [Constraints(joint_constraints=[
            JointConstraint(joint_name=name, position=float(q), tolerance_above=JOINT_TOLERANCE,
                            tolerance_below=JOINT_TOLERANCE, weight=1.0) for name, q in zip(self._joints, goal, strict=True)])]
        out.planning_options.plan_only = True
        out.planning_options.planning_scene_diff.is_diff = True
        out.planning_options.planning_scene_diff.robot_state.is_diff = True
        return out

    def _planned(self, goal: Any) -> Any:
        """The result of a plan-only goal; cancelled when we are. Raises DeftError PLANNING_FAILED where nobody answers."""
        try:
            wait_for_server(self._plan, SERVER_SECONDS, self._cancelled)
            sent = self._plan.send_goal_async(goal)
            wait(sent, SERVER_SECONDS, self._cancelled, "action move_action")
            handle = sent.result()
            if not handle.accepted:
                raise DeftError(codes.PLANNING_FAILED, "move_group rejected the planning goal; its log says why")
            finished = handle.get_result_async()
            try:
                wait(finished, self._settings.planning_time * self._settings.attempts + MARGIN_SECONDS, self._cancelled,
                     "action move_action")
            except CallTimeout:
                handle.cancel_goal_async()
                raise
        except CallTimeout as error:
            raise self._absent(error) from None
        return finished.result().result

    def _show(self, with_things: bool) -> None:
        self._change(scenes.world(self._model.obstacles(), self._frame, with_things))

    def _change(self, changes: list[scenes.Change]) -> None:
        for change in changes:
            answer = self._call(self._apply, ApplyPlanningScene.Request(scene=change.scene))
            if change.required and not answer.success:
                raise DeftError(codes.PLANNING_FAILED, "move_group refused the planning scene; its log says why")

    def _call(self, client: Any, request: Any) -> Any:
        try:
            return call(client, request, SERVER_SECONDS, self._cancelled)
        except CallTimeout as error:
            raise self._absent(error) from None

    def _absent(self, error: CallTimeout) -> Exception:
        """What a wait that nobody answered comes to."""
        if self._cancelled():
            return Cancelled()
        return DeftError(codes.PLANNING_FAILED, f"move_group: {error}; is it started (`ros2 launch deft_bringup "
                         "robot.launch.py`), and is moveit.namespace in the robot's YAML its own?")
