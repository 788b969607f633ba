"""A stand-in for MoveIt's move_group: its action and services, and its ways to answer that a client can be caught by."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from moveit_msgs.action import MoveGroup
from moveit_msgs.msg import CollisionObject, MoveItErrorCodes
from moveit_msgs.srv import ApplyPlanningScene, GetCartesianPath
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from deft_core.ros.conversions import pose_from_msg
from deft_core.types import Array, Pose
from deft_motion.kinematics import ArmHandModel
from deft_motion.paths import JointPath, time_optimal


class MoveGroupStandIn(Node):
    """Plans with whatever it is given.

    Args:
        model: for inverse kinematics of Cartesian paths.
        plan: joints start -> goal, (n,) rad; None: a straight line in joint space.

    Attributes:
        code: MoveIt's error code to answer a plan with.
        fraction: of Cartesian paths; below 1 the path is cut, and the error code is SUCCESS all the same.
        spoil: changes a planned trajectory before it is sent.
        rejects: goals are not accepted.
        seconds: that planning takes; it can be cancelled.
        objects, held: ids in the world, and in the hand; `lost` is set where a scene without is_diff came, which clears both.
        mistakes: what a request had that move_group would silently take for something else.
    """

    def __init__(self, model: ArmHandModel, plan: Callable[[Array, Array], JointPath] | None = None, **kwargs: Any) -> None:
        super().__init__("move_group", **kwargs)
        self._model, self._joints = model, model.robot.joint_names
        self._plan = plan or self._line
        self.code, self.fraction, self.seconds, self.rejects = MoveItErrorCodes.SUCCESS, 1.0, 0.0, False
        self.spoil: Callable[[JointTrajectory], None] = lambda _: None
        self.objects: dict[str, CollisionObject] = {}
        self.held: dict[str, Any] = {}
        self.lost, self.cancelled = False, threading.Event()
        self.mistakes: list[str] = []
        group = ReentrantCallbackGroup()
        self.action = ActionServer(self, MoveGroup, "/move_action", self._move, callback_group=group,
                                   goal_callback=lambda _: GoalResponse.REJECT if self.rejects else GoalResponse.ACCEPT,
                                   cancel_callback=lambda _: CancelResponse.ACCEPT)
        self.create_service(GetCartesianPath, "/compute_cartesian_path", self._cartesian, callback_group=group)
        self.create_service(ApplyPlanningScene, "/apply_planning_scene", self._apply, callback_group=group)

    def _line(self, start: Array, goal: Array) -> JointPath:
        robot = self._model.robot
        return time_optimal(np.linspace(start, goal, 20), np.array(robot.velocity_limits), np.array(robot.acceleration_limits))

    def _start(self, state: Any) -> Array:
        if not state.is_diff:
            self.mistakes.append("start_state.is_diff is false: attached bodies are cleared")
        of = dict(zip(state.joint_state.name, state.joint_state.position, strict=True))
        return np.array([of[name] for name in self._joints])

    def _move(self, handle: Any) -> MoveGroup.Result:
        request, options, result = handle.request.request, handle.request.planning_options, MoveGroup.Result()
        if not options.plan_only:
            self.mistakes.append("plan_only is false: the arm would have moved outside the gate")
        if not (options.planning_scene_diff.is_diff and options.planning_scene_diff.robot_state.is_diff):
            self.mistakes.append("planning_scene_diff is no difference")
        for factor in (request.max_velocity_scaling_factor, request.max_acceleration_scaling_factor):
            if not 0 < factor <= 1:
                self.mistakes.append(f"a scaling factor of {factor} means full speed")
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            if handle.is_cancel_requested:
                self.cancelled.set()
                result.error_code.val = MoveItErrorCodes.PREEMPTED
                handle.canceled()
                return result
            time.sleep(0.01)
        result.error_code.val = self.code
        if self.code != MoveItErrorCodes.SUCCESS:
            result.error_code.message = "as the test wanted"
            handle.abort()
            return result
        goal = {c.joint_name: c.position for c in request.goal_constraints[0].joint_constraints}
        path = self._plan(self._start(request.start_state), np.array([goal[name] for name in self._joints]))
        result.planned_trajectory.joint_trajectory = self._message(path.times, path.positions, path.velocities)
        self.spoil(result.planned_trajectory.joint_trajectory)
        handle.succeed()
        return result

    def _message(self, times: Array, positions: Array, velocities: Array | None) -> JointTrajectory:
        """In another order than ours, as MoveIt's own model may have it."""
        out = JointTrajectory(joint_names=list(self._joints)[::-1])
        for k, t in enumerate(times):
            point = JointTrajectoryPoint(positions=positions[k][::-1].tolist(),
                                         velocities=[] if velocities is None else velocities[k][::-1].tolist())
            point.time_from_start.sec, point.time_from_start.nanosec = int(t), int((t % 1) * 1e9)
            out.points.append(point)
        return out

    def _cartesian(self, request: GetCartesianPath.Request, response: GetCartesianPath.Response) -> GetCartesianPath.Response:
        response.error_code.val = self.code
        if request.max_step <= 0:
            self.mistakes.append("max_step is 0")
        start = self._start(request.start_state)
        robot = self._model.robot
        to_palm = robot.hand_mount.pose() @ self._model.hand.grasp_frame.pose()
        poses = [self._model.grasp_pose(start), *(pose_from_msg(p) @ to_palm for p in request.waypoints)]
        dense = [poses[0]]
        for a, b in itertools.pairwise(poses):
            steps = max(1, int(np.ceil(np.linalg.norm(b.position - a.position) / request.max_step)))
            dense += [Pose(a.position + (b.position - a.position) * k / steps, b.rotation) for k in range(1, steps + 1)]
        path = self._model.follow(dense, start)
        response.fraction = self.fraction if path is not None else 0.0
        rows = [] if path is None else path[:max(1, round(response.fraction * len(path)))]
        response.solution.joint_trajectory = self._message(np.arange(len(rows)) * 0.1, np.array(rows), None)
        self.spoil(response.solution.joint_trajectory)
        return response

    def _apply(self, request: ApplyPlanningScene.Request, response: ApplyPlanningScene.Response) -> ApplyPlanningScene.Response:
        scene, unknown = request.scene, False
        if not (scene.is_diff and scene.robot_state.is_diff):
            self.lost = True
        for item in scene.world.collision_objects:
            if item.operation == CollisionObject.ADD:
                self.objects[item.id] = item
            elif self.objects.pop(item.id, None) is None:
                unknown = True
        for attached in scene.robot_state.attached_collision_objects:
            if attached.object.operation == CollisionObject.ADD:
                self.held[attached.object.id] = attached
                self.objects.pop(attached.object.id, None)
            elif attached.object.id in self.held:  # a detached body goes back into the world
                self.objects[attached.object.id] = self.held.pop(attached.object.id).object
            else:
                unknown = True
        response.success = not unknown  # the rest is done all the same
        return response
