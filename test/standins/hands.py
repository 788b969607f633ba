"""Stand-ins for the drivers of hands: one that is asked for its state and ignores names, one that takes bare numbers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from leap_hand.srv import LeapPosition
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray


class LeapStandIn(Node):
    """As leaphand_node: a posture by its order, whatever the names say, taken at once and never clipped; no state topic."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("leaphand_node", **kwargs)
        self.at, self.commands, self.dumb = np.full(16, 3.14159), [], False
        self.create_subscription(JointState, "cmd_leap", self._take, 10)
        self.create_service(LeapPosition, "leap_position", self._tell, callback_group=ReentrantCallbackGroup())

    def _take(self, message: JointState) -> None:
        self.at = np.array(message.position)
        self.commands.append(self.at)

    def _tell(self, _: LeapPosition.Request, response: LeapPosition.Response) -> LeapPosition.Response:
        while self.dumb:  # it never answers
            time.sleep(0.05)
        response.position = self.at.tolist()
        return response


class AllegroStandIn(Node):
    """As a forward command controller with joint_state_broadcaster: numbers without names in, unstamped states out, which
    an arm's share the topic with. `stuck` fingers push."""

    NAMES = tuple(f"ah_joint{finger}{joint}" for finger in range(4) for joint in range(4))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("allegro", **kwargs)
        self.at, self.commands, self.efforts, self.silent = np.zeros(16), [], np.zeros(16), False
        self.create_subscription(Float64MultiArray, "/hand/allegro_hand_position_controller/commands", self._take, 10)
        self._states = self.create_publisher(JointState, "/hand/joint_states", 10)
        self.create_timer(0.02, self._tell)

    def _take(self, message: Float64MultiArray) -> None:
        self.at = np.array(message.data)
        self.commands.append(self.at)

    def _tell(self) -> None:
        self._states.publish(JointState(name=["joint1"], position=[0.0]))
        if not self.silent:
            self._states.publish(JointState(name=list(self.NAMES)[::-1], position=self.at[::-1].tolist(),
                                            effort=self.efforts[::-1].tolist()))
