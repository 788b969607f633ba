"""The node between deft_motion and a hand's own driver: takes JointTrajectory, gives stamped joint states."""

from __future__ import annotations

import importlib
import threading
import time
from typing import Any

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from deft_core.errors import ConfigError
from deft_core.hardware import HandState
from deft_core.ros import conversions as conv
from deft_core.ros import names, qos
from deft_core.ros.node import DeftNode, declare_config_dir, declare_hand, declare_robot, refuse_unknown_parameters, run_node
from deft_drivers.fault_word import FaultWord
from deft_drivers.hand_adapter import DriverProblem, HandAdapter

TROUBLE_PERIOD = 5.0  # s between two log lines of the same kind
ANSWER_SECONDS = 0.3  # that a driver has for an answer


class HandNode(DeftNode):
    """Subscribes the robot's hand_command_topic; publishes its joint_states_topic and `deft/hand_fault`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("deft_hand", **kwargs)
        config_dir = declare_config_dir(self)
        robot, hand = declare_robot(self, config_dir), declare_hand(self, config_dir)
        refuse_unknown_parameters(self)
        self._adapter = HandAdapter(hand)
        assert hand.interface is not None  # the adapter refuses a hand without
        self._hand, self._interface = hand, hand.interface
        self._lock = threading.Lock()
        self._measured: np.ndarray | None = None
        self._heard = 0.0  # s monotonic; 0: never
        self._fault, self._lost = "", False
        command = self._interface.command
        kind = JointState if command.type == "joint_state" else Float64MultiArray
        self._driver = self.create_publisher(kind, command.topic, qos.COMMAND)
        self._states = self.create_publisher(JointState, robot.joint_states_topic, qos.JOINT_STATE_PUBLISHER)
        self._word = FaultWord(self, names.HAND_FAULT)
        if self._interface.state.source == "none":  # it never speaks
            self._word.say("")
        self.create_subscription(JointTrajectory, robot.hand_command_topic, self._accept, qos.COMMAND,
                                 callback_group=MutuallyExclusiveCallbackGroup())
        self._listen(self._interface.state)
        self.create_timer(1.0 / command.rate, self._send, callback_group=MutuallyExclusiveCallbackGroup())
        self.create_service(Trigger, names.RECOVER_HAND, self._recover, callback_group=MutuallyExclusiveCallbackGroup())

    def _listen(self, state: HandState) -> None:
        group = ReentrantCallbackGroup()
        if state.source == "topic":
            self.create_subscription(JointState, state.topic, self._state, qos.SENSOR, callback_group=group)
        elif state.source == "service":
            package, _, name = state.service_type.split("/")
            try:
                kind = getattr(importlib.import_module(f"{package}.srv"), name)
            except (ImportError, AttributeError) as error:
                raise ConfigError(f"interface.state.service_type {state.service_type} of hand '{self._hand.name}': {error}; "
                                  "source the workspace of the hand's driver") from None
            if not hasattr(kind.Response(), state.field):
                raise ConfigError(f"interface.state.field '{state.field}' of hand '{self._hand.name}': {state.service_type} "
                                  "answers " + ", ".join(kind.Response.get_fields_and_field_types()))
            self._client = self.create_client(kind, state.service, callback_group=group)
            self._request, self._asked_at = kind.Request(), 0.0
            self._asked: Future | None = None
            self.create_timer(1.0 / state.rate, self._ask, callback_group=MutuallyExclusiveCallbackGroup())
        else:
            self.get_logger().warning(f"hand '{self._hand.name}' has no state: the commanded posture is taken for the measured "
                                      "one, and a finger that is blocked is not noticed")
            self.create_timer(1.0 / state.rate, self._echo, callback_group=MutuallyExclusiveCallbackGroup())

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    # -- commands -------------------------------------------------------------------------------------

    def _accept(self, message: JointTrajectory) -> None:
        times = conv.trajectory_times(message.points)
        rows = [list(p.positions) for p in message.points]
        try:
            if len({len(row) for row in rows}) > 1:
                raise DriverProblem("the trajectory's points differ in length")
            with self._lock:
                if self._fault:
                    raise DriverProblem(self._fault)
                if self._measured is None and self._interface.state.source != "none":
                    raise DriverProblem("the hand's driver has not said yet where the hand is")
                self._adapter.accept(message.joint_names, times, np.array(rows, float),
                                     conv.stamp_seconds(message.header.stamp), self._now())
        except DriverProblem as problem:
            self.get_logger().error(f"a command was refused: {problem}", throttle_duration_sec=TROUBLE_PERIOD)

    def _send(self) -> None:
        silent = time.monotonic() - self._heard
        if self._interface.state.source != "none" and self._heard and silent > self._interface.silence and not self._lost:
            self._report(f"hand lost: no state for {silent:.1f} s; is its driver running?", lost=True)
        with self._lock:
            numbers = None if self._lost else self._adapter.command(self._now(), self._measured)
        if numbers is None:  # a hand that comes back must not find an old posture waiting
            return
        if self._interface.command.type == "joint_state":
            message = JointState(name=list(self._adapter.driver_names), position=numbers.tolist())
            message.header.stamp = self.get_clock().now().to_msg()
        else:
            message = Float64MultiArray(data=numbers.tolist())
        self._driver.publish(message)

    # -- states ----------------------------------------------------------------------------------------

    def _state(self, message: JointState) -> None:
        if self._adapter.is_of_hand(message.name):
            self._take(message.name, message.position, message.effort)

    def _ask(self) -> None:
        """One question at a time, since drivers answer at the bus's speed; one that died with the driver is dropped."""
        if self._asked is not None:
            if time.monotonic() - self._asked_at < ANSWER_SECONDS:
                return
            self._client.remove_pending_request(self._asked)
            self._asked = None
        if self._client.service_is_ready():
            self._asked_at = time.monotonic()
            asked = self._asked = self._client.call_async(self._request)
            asked.add_done_callback(self._told)

    def _told(self, future: Future) -> None:
        answer = future.result()
        if future is self._asked:
            self._asked = None
        if answer is not None:
            self._take((), getattr(answer, self._interface.state.field), ())

    def _echo(self) -> None:
        with self._lock:
            commanded = self._adapter.commanded
        self._publish(np.array(self._hand.open_pose) if commanded is None else commanded)

    def _take(self, driver_names: Any, numbers: Any, efforts: Any) -> None:
        """The driver's numbers, made ours; the stamp is when they came: drivers leave it out, or have another clock."""
        try:
            measured = self._adapter.measured(driver_names, numbers)
        except DriverProblem as problem:
            self.get_logger().error(str(problem), throttle_duration_sec=TROUBLE_PERIOD)
            return
        with self._lock:
            first = not self._heard
            self._measured, self._heard = measured, time.monotonic()
            why = self._adapter.overload(driver_names, efforts, self._now())
        if first:
            self._word.say("")
        if why and not self._fault:
            self._report(why, lost=False)
        self._publish(measured)

    def _publish(self, positions: np.ndarray) -> None:
        message = JointState(name=list(self._hand.joint_names), position=positions.tolist())
        message.header.stamp = self.get_clock().now().to_msg()
        self._states.publish(message)

    # -- faults ----------------------------------------------------------------------------------------

    def _report(self, why: str, lost: bool) -> None:
        """deft_motion holds the arm and stops; the hand takes no commands until it has been recovered."""
        with self._lock:
            self._fault, self._lost = why, lost
            overload = self._interface.overload
            if lost:
                self._adapter.forget()
            elif overload is not None and overload.then == "open":
                self._adapter.open(self._now())
            elif self._measured is not None:
                self._adapter.hold(self._now(), self._measured)
        self._word.say(why)
        self.get_logger().error(why)

    def _recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        silent = time.monotonic() - self._heard
        if self._interface.state.source != "none" and silent > self._interface.silence:
            response.message = "the hand's driver is silent; start it first"
            return response
        with self._lock:
            if self._lost:
                self._adapter.forget()
            self._fault, self._lost = "", False
        self._word.say("")
        response.success, response.message = True, "the hand takes commands"
        return response


def main() -> None:
    """Executable `hand_node`."""
    run_node(HandNode)


if __name__ == "__main__":
    main()
