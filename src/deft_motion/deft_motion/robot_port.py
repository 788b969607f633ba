"""The robot's topics behind the safety gate: the only publishers of arm and hand commands in DEFT."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Duration
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.errors import DeftError
from deft_core.ros.conversions import stamp_msg, stamp_seconds
from deft_core.ros.qos import SENSOR
from deft_core.ros.spun_node import SpunNode
from deft_core.streaming import BRAKE, CONTINUES, LEAD, START_DELAY
from deft_core.types import Array
from deft_motion import codes
from deft_motion.commands import Command, TopicCommand, arm_command
from deft_motion.gate import MAX_STATE_AGE, RobotState, SafetyGate
from deft_motion.paths import JointPath, still

HOLD_SECONDS = 0.02
FIRST_SECONDS = 5.0  # of wall time after the start of the node


@dataclass
class _Motion:
    """A motion that is being sent: paths by part, from `start` on; a brake begins at `braking_at` (s, robot clock)."""

    start: float
    paths: dict[str, JointPath]
    braking_at: float = math.inf


class GatedRobot:
    """RobotPort over topics. Joint states are mapped by name; publishers may be several (arm, hand).

    Motions go out as rolling windows (deft_core.streaming), so that the arm stops when this process dies.
    """

    def __init__(self, node: Node, robot: RobotConfig, hand: HandConfig, gate: SafetyGate) -> None:
        self._gate = gate
        self._joints = {"arm": robot.joint_names, "hand": hand.joint_names}
        self._motion: _Motion | None = None      # what is being sent
        self._failure: DeftError | None = None   # why that ended early
        self._sending = threading.RLock()        # whoever changes or sends the motion
        self._closing = False
        self._started = time.monotonic()
        self._condition = threading.Condition()
        self._unstamped: set[str] = set()
        self._positions: dict[str, tuple[float, float, float]] = {}  # name -> position, stamp, received
        self._commands: dict[str, Command] = {
            "arm": arm_command(node, robot.arm_command_topic, robot.arm_interface, self._refused),
            "hand": TopicCommand(node, robot.hand_command_topic)}
        # Joint states come hundreds of times a second. rclpy's executors look at every entity of a node at each
        # wake-up, so this one subscription has a node and a thread of its own.
        self._listener = SpunNode(f"{node.get_name()}_states", node.context, namespace=node.get_namespace(),
                                  start_parameter_services=False, enable_rosout=False)
        self._listener.node.create_subscription(JointState, robot.joint_states_topic, self._received, SENSOR)
        self._streamer = threading.Thread(target=self._stream, name="command_windows", daemon=True)
        self._streamer.start()

    def close(self) -> None:
        """Stop listening and sending."""
        self._closing = True
        with self._condition:
            self._condition.notify_all()
        self._streamer.join(timeout=2)
        self._listener.close()

    def _received(self, message: JointState) -> None:
        if len(message.name) != len(message.position):
            return
        if not (message.header.stamp.sec or message.header.stamp.nanosec):  # motions are timed by the stamps
            self._unstamped.update(message.name)
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
        wanted = [*self._joints["arm"], *self._joints["hand"]]
        if any(name not in self._positions for name in wanted):
            return None
        rows = np.array([self._positions[name] for name in wanted])
        n = len(self._joints["arm"])
        return RobotState(float(rows[:, 1].min()), rows[:n, 0], rows[n:, 0], time.monotonic() - float(rows[:, 2].min()))

    def state(self) -> RobotState:
        """See RobotPort. A node that has only just been started gives the first joint states time to arrive."""
        with self._condition:
            self._condition.wait_for(lambda: self._assemble() is not None, self._started + FIRST_SECONDS - time.monotonic())
        state = self.latest()
        wanted = {*self._joints["arm"], *self._joints["hand"]}
        bare = sorted((self._unstamped & wanted) - set(self._positions))
        if state is None and bare:
            raise DeftError(codes.STALE_STATE, f"joint states of {', '.join(bare)} carry no stamps, and motions are timed by "
                            "them: correct their publisher, or put a node between (deft_drivers' hand_node stamps them)")
        return self._gate.require_fresh(state)

    def next_state(self, after: float, timeout: float) -> RobotState | None:
        """See RobotPort."""
        deadline = time.monotonic() + timeout
        with self._condition:
            while True:
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                state = self._assemble()
                if state is not None and state.stamp > after:
                    return state
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._condition.wait(left)

    def send(self, arm: JointPath | None, hand: JointPath | None) -> float:
        """See RobotPort. Passes the gate as a whole, then its first window is published."""
        self._gate.check(arm, hand, self.state())
        # Checking takes a while; the start is counted from what the robot says now.
        start = self.state().stamp + START_DELAY
        motion = _Motion(start, {part: path for part, path in (("arm", arm), ("hand", hand)) if path is not None})
        with self._sending:
            self._motion, self._failure = motion, None
            self._send_windows(motion, start)
        return start

    def hold(self) -> None:
        """See RobotPort. Allowed while stopped: it commands the posture measured just now.

        Raises:
            DeftError: STALE_STATE, which names what could not be held, arm or hand. An old posture is not commanded: going
                back to it would be a jump.
        """
        with self._sending:  # no window may follow the hold
            self._motion = None
            problems = [problem for part in self._joints if (problem := self._held(part))]
        if problems:  # what fails for the one does not keep the other from holding
            raise DeftError(codes.STALE_STATE, "; ".join(problems))

    def _held(self, part: str) -> str:
        """Hold the arm or the hand; why that could not be sent, "" when it was."""
        state = self._part(part)
        if state is None:
            return f"the {part} was sent no hold: its joint states are old or missing"
        try:
            self._publish(part, self._stay(state), 0.0, continues=False)
        except DeftError as error:
            return f"the {part} was sent no hold: {error.message}"
        return ""

    def _part(self, part: str) -> Array | None:
        """Measured joints (n,), rad, of the arm or the hand; None where they are old, missing or not finite."""
        with self._condition:
            rows = [self._positions.get(name, (math.nan, 0.0, -math.inf)) for name in self._joints[part]]
        positions, oldest = np.array([row[0] for row in rows]), min(row[2] for row in rows)
        return positions if time.monotonic() - oldest <= MAX_STATE_AGE and np.isfinite(positions).all() else None

    @staticmethod
    def _stay(position: Array) -> JointPath:
        path = still(position, HOLD_SECONDS)
        return JointPath(path.times[1:], path.positions[1:], path.velocities[1:])

    def _publish(self, part: str, path: JointPath, start: float, continues: bool) -> None:
        """A path or a window of one, on the clock of the motion that began at `start`."""
        points = [JointTrajectoryPoint(positions=q.tolist(), velocities=v.tolist(), time_from_start=_duration(t))
                  for t, q, v in zip(path.times, path.positions, path.velocities, strict=True)]
        message = JointTrajectory(joint_names=list(self._joints[part]), points=points)
        message.header.stamp, message.header.frame_id = stamp_msg(round(start * 1e9)), CONTINUES if continues else ""
        self._commands[part].send(message)

    def _refused(self, why: str, latest: Callable[[], bool]) -> None:
        """The arm's controller has not taken what it was sent, or has given it up; unless another motion has followed."""
        with self._sending:
            if not latest():
                return
            self._motion, self._failure = None, DeftError(codes.EXECUTION_FAILED, why)
        with self._condition:
            self._condition.notify_all()

    # -- windows -------------------------------------------------------------------------------------

    def _stream(self) -> None:
        """Send the windows of the motion under way, each in time; runs in a thread of its own."""
        while not self._closing:
            with self._condition:
                self._condition.wait_for(lambda: self._closing or self._due(), timeout=0.5)
                due = self._due()
            if self._closing or due is None:
                continue
            motion, state = due
            try:
                late = state.stamp - motion.braking_at
                if late > 0:
                    raise DeftError(codes.EXECUTION_FAILED, f"the next part of the motion was {late:.2f} s late (is this "
                                    "machine overloaded?); the robot has stopped on its way")
                self._send_windows(motion, state.stamp)
            except Exception as error:  # whatever it is, the motion's owner has to hear of it, and the next motion be sent
                internal = DeftError(codes.EXECUTION_FAILED, f"internal error: {error!r}")
                failure = error if isinstance(error, DeftError) else internal
                with self._sending:
                    if self._motion is motion:
                        self._motion, self._failure = None, failure

    def _due(self) -> tuple[_Motion, RobotState] | None:
        """The motion whose next windows have to be sent, and the state that says so; None while there is time."""
        motion = self._motion
        state = self._assemble() if motion is not None else None
        return (motion, state) if motion and state and state.stamp >= motion.braking_at - LEAD else None

    def _send_windows(self, motion: _Motion, now: float) -> None:
        """What comes next of each part, `now` in s of robot clock. Raises DeftError STOPPED."""
        with self._sending, self._gate.armed():
            if self._motion is not motion:  # stopped, or followed by another, meanwhile
                return
            braking = math.inf
            for part, path in motion.paths.items():
                window, whole = path.window(max(0.0, now - motion.start))
                self._publish(part, window, motion.start, continues=not whole)
                if not whole:
                    braking = min(braking, motion.start + float(window.times[-1]) - BRAKE)
            motion.braking_at = braking
            if braking == math.inf:
                self._motion = None


def _duration(seconds: float) -> Duration:
    stamp = stamp_msg(round(seconds * 1e9))
    return Duration(sec=stamp.sec, nanosec=stamp.nanosec)
