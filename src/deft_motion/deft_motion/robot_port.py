"""The robot's topics behind the safety gate: the only publishers of arm and hand commands in DEFT."""

from __future__ import annotations

import threading
import time

import numpy as np
from builtin_interfaces.msg import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.ros.conversions import stamp_msg, stamp_seconds
from deft_core.ros.qos import COMMAND, SENSOR
from deft_core.types import Array
from deft_motion.gate import RobotState, SafetyGate
from deft_motion.paths import JointPath, still

START_DELAY = 0.15   # s from the latest joint state to the start of a command, so that arm and hand start together
HOLD_SECONDS = 0.02


class GatedRobot:
    """RobotPort over topics. Joint states are mapped by name; publishers may be several (arm, hand)."""

    def __init__(self, node: Node, robot: RobotConfig, hand: HandConfig, gate: SafetyGate) -> None:
        self._gate = gate
        self._parts = {"arm": robot.joint_names, "hand": hand.joint_names}
        self._condition = threading.Condition()
        self._positions: dict[str, tuple[float, float, float]] = {}  # name -> position, stamp, received
        self._arm = node.create_publisher(JointTrajectory, robot.arm_command_topic, COMMAND)
        self._hand = node.create_publisher(JointTrajectory, robot.hand_command_topic, COMMAND)
        # Joint states come hundreds of times a second. rclpy's executors look at every entity of a node at each
        # wake-up, so this one subscription has a node and a thread of its own.
        self._listener = Node(f"{node.get_name()}_states", namespace=node.get_namespace(), context=node.context,
                              start_parameter_services=False, enable_rosout=False)
        self._listener.create_subscription(JointState, robot.joint_states_topic, self._received, SENSOR)
        self._spinner = SingleThreadedExecutor(context=node.context)
        self._spinner.add_node(self._listener)
        self._thread = threading.Thread(target=self._spin, name="joint_states", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._spinner.spin()
        except ExternalShutdownException:
            pass

    def close(self) -> None:
        """Stop listening."""
        self._spinner.shutdown(timeout_sec=1)
        self._thread.join(timeout=2)
        self._listener.destroy_node()

    def _received(self, message: JointState) -> None:
        if len(message.name) != len(message.position):
            return
        stamp, now = stamp_seconds(message.header.stamp), time.monotonic()
        with self._condition:
            for name, position in zip(message.name, message.position, strict=True):
                self._positions[name] = (position, stamp, now)
            self._condition.notify_all()

    def latest(self) -> RobotState | None:
        """The state of all joints, as old as the oldest of them; None while joints are missing."""
        with self._condition:
            return self._assemble()

    def _assemble(self) -> RobotState | None:
        wanted = [*self._parts["arm"], *self._parts["hand"]]
        if any(name not in self._positions for name in wanted):
            return None
        rows = np.array([self._positions[name] for name in wanted])
        n = len(self._parts["arm"])
        return RobotState(float(rows[:, 1].min()), rows[:n, 0], rows[n:, 0], time.monotonic() - float(rows[:, 2].min()))

    def state(self) -> RobotState:
        """See RobotPort."""
        return self._gate.require_fresh(self.latest())

    def next_state(self, after: float, timeout: float) -> RobotState | None:
        """See RobotPort."""
        deadline = time.monotonic() + timeout
        with self._condition:
            while True:
                state = self._assemble()
                if state is not None and state.stamp > after:
                    return state
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._condition.wait(left)

    def send(self, arm: JointPath | None, hand: JointPath | None) -> float:
        """See RobotPort. Passes the gate, then publishes."""
        state = self.state()
        self._gate.check(arm, hand, state)
        # Checking and packing take a while; the start is counted from what the robot says now.
        messages = self._packed(arm, hand)
        with self._gate.armed():
            start = self.state().stamp + START_DELAY
            self._publish(messages, start)
        return start

    def hold(self) -> None:
        """See RobotPort. Allowed while stopped: it commands the posture measured just now.

        Raises:
            DeftError: STALE_STATE. An old posture is not commanded: going back to it would be a jump.
        """
        state = self._gate.require_fresh(self.latest())
        self._publish(self._packed(self._stay(state.arm), self._stay(state.hand)), 0.0)

    @staticmethod
    def _stay(position: Array) -> JointPath:
        path = still(position, HOLD_SECONDS)
        return JointPath(path.times[1:], path.positions[1:], path.velocities[1:])

    def _packed(self, arm: JointPath | None, hand: JointPath | None) -> list[tuple[Publisher, JointTrajectory]]:
        packed = []
        for publisher, part, path in ((self._arm, "arm", arm), (self._hand, "hand", hand)):
            if path is not None:
                points = [JointTrajectoryPoint(positions=q.tolist(), velocities=v.tolist(), time_from_start=_duration(t))
                          for t, q, v in zip(path.times, path.positions, path.velocities, strict=True)]
                packed.append((publisher, JointTrajectory(joint_names=list(self._parts[part]), points=points)))
        return packed

    @staticmethod
    def _publish(messages: list[tuple[Publisher, JointTrajectory]], start: float) -> None:
        for publisher, message in messages:
            message.header.stamp = stamp_msg(round(start * 1e9))
            publisher.publish(message)


def _duration(seconds: float) -> Duration:
    stamp = stamp_msg(round(seconds * 1e9))
    return Duration(sec=stamp.sec, nanosec=stamp.nanosec)
