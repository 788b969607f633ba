"""How a JointTrajectoryController is told what to do: its topic, or its action. Only the gated robot (robot_port) uses them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from action_msgs.msg import GoalStatus
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory

from deft_core.errors import ConfigError, DeftError
from deft_core.hardware import ArmInterface
from deft_core.ros.action_client import ActionClient
from deft_core.ros.qos import COMMAND
from deft_motion import codes

# control_msgs/action/FollowJointTrajectory's results
REASONS = {-1: "the controller calls the trajectory invalid", -2: "the controller has other joints",
           -3: "the trajectory begins in the past, as the controller sees it; are the machines' clocks set by one source?",
           -4: "the arm left its path by more than the controller's tolerance", -5: "the arm did not reach the end in time"}


class Command(Protocol):
    """Takes trajectories; each replaces the one before."""

    def send(self, trajectory: JointTrajectory) -> None:
        """Hand it to the controller. Raises DeftError EXECUTION_FAILED where there is none."""
        ...


class TopicCommand:
    """The controller's topic: what it refuses is dropped there with a line in its log."""

    def __init__(self, node: Node, topic: str) -> None:
        self._publisher = node.create_publisher(JointTrajectory, topic, COMMAND)

    def send(self, trajectory: JointTrajectory) -> None:
        """See Command."""
        self._publisher.publish(trajectory)


class ActionCommand:
    """The controller's FollowJointTrajectory action, a goal for each trajectory; a new goal takes over from the one before.

    Nothing is ever cancelled to stop the arm: a trajectory that stays where it is takes over, as it does on the topic.

    Args:
        on_failure: told in words when a goal is refused or fails, with what says whether it is still the latest one.
    """

    def __init__(self, node: Node, action: str, on_failure: Callable[[str, Callable[[], bool]], None]) -> None:
        try:
            from control_msgs.action import FollowJointTrajectory
        except ImportError as error:
            raise ConfigError(f"arm_interface type action needs control_msgs ({error}): `sudo apt install "
                              "ros-jazzy-control-msgs`, or type topic") from None
        self._goal = FollowJointTrajectory.Goal
        self._action, self._on_failure = action, on_failure
        self._client = ActionClient(node, FollowJointTrajectory, action, callback_group=ReentrantCallbackGroup())
        self._lock = threading.Lock()
        self._latest = 0

    def send(self, trajectory: JointTrajectory) -> None:
        """See Command."""
        if not self._client.server_is_ready():
            raise DeftError(codes.EXECUTION_FAILED, f"there is no action {self._action}; is the controller loaded and active? "
                            "(`ros2 control list_controllers`)")
        with self._lock:
            self._latest += 1
            number = self._latest
        self._client.send_goal_async(self._goal(trajectory=trajectory)).add_done_callback(
            lambda sent: self._answered(number, sent.result()))

    def _answered(self, number: int, handle: Any) -> None:
        if handle.accepted:
            handle.get_result_async().add_done_callback(lambda finished: self._ended(number, finished.result()))
        else:
            self._failed(number, f"{self._action} refused the motion; is the controller active? (`ros2 control "
                         "list_controllers`)")

    def _ended(self, number: int, finished: Any) -> None:
        """Of a goal that another has taken over from, the end means nothing."""
        if finished.status not in (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED):
            said = f" ({finished.result.error_string})" if finished.result.error_string else ""
            self._failed(number, REASONS.get(finished.result.error_code, f"{self._action} failed") + said)

    def _failed(self, number: int, why: str) -> None:
        if number == self._latest:
            self._on_failure(why, lambda: number == self._latest)


def arm_command(node: Node, topic: str, interface: ArmInterface,
                on_failure: Callable[[str, Callable[[], bool]], None]) -> Command:
    """As the robot's YAML has it. Raises ConfigError where a package is missing."""
    if interface.type == "action":
        return ActionCommand(node, interface.action, on_failure)
    return TopicCommand(node, topic)
