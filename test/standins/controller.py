"""A stand-in for ros2_controllers' JointTrajectoryController, as its action behaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory


class ControllerStandIn(Node):
    """Hands trajectories on; a new goal ends the one before as aborted, whatever that one still had to do.

    Args:
        hand_on: what follows the trajectories.
        seconds: until a goal is done.

    Attributes:
        active: an inactive controller rejects goals.
        fails: error code with which goals end, 0 for none.
        goals: that were accepted.
        cancels: that were asked for; nothing stops by them.
    """

    def __init__(self, action: str, hand_on: Callable[[JointTrajectory], None], seconds: float = 0.5, **kwargs: Any) -> None:
        super().__init__("controller", **kwargs)
        self._hand_on, self._seconds = hand_on, seconds
        self.active, self.fails, self.goals, self.cancels = True, 0, 0, 0
        self.action = ActionServer(self, FollowJointTrajectory, action, self._follow, callback_group=ReentrantCallbackGroup(),
                                   goal_callback=lambda _: GoalResponse.ACCEPT if self.active else GoalResponse.REJECT,
                                   cancel_callback=self._cancel)

    def _cancel(self, _: Any) -> CancelResponse:
        """Accepted, and the arm goes on: as move_group's /execute_trajectory has it."""
        self.cancels += 1
        return CancelResponse.ACCEPT

    def _follow(self, handle: Any) -> FollowJointTrajectory.Result:
        self.goals += 1
        number, result = self.goals, FollowJointTrajectory.Result()
        self._hand_on(handle.request.trajectory)
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline and number == self.goals and not self.fails:
            time.sleep(0.005)
        if self.fails:
            result.error_code, result.error_string = self.fails, "as the test wanted"
            handle.abort()
        elif number != self.goals:
            handle.abort()
        else:
            handle.succeed()
        return result
