"""The node that watches an xArm: tells deft_motion of its faults, and recovers it when a person rearms."""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from std_srvs.srv import Trigger

from deft_core.errors import ConfigError
from deft_core.ros import names, qos
from deft_core.ros.node import (
    CallTimeout,
    DeftNode,
    call,
    declare,
    declare_config_dir,
    declare_robot,
    refuse_unknown_parameters,
    run_node,
)
from deft_drivers.fault_word import FaultWord
from deft_drivers.xarm import BEFORE_MOVING, LET_MOVE, fault_of

FIRST_SECONDS = 10.0  # for the driver's first word
SERVICE_SECONDS = 3.0
LIVE_SECONDS = 0.3    # after errors are cleared until the driver reads the joints again
SETTLE_SECONDS = 3.0  # after the recovery until the arm says that it is well
POLL_SECONDS = 0.05


class XArmNode(DeftNode):
    """Publishes `deft/robot_fault` when the arm's word changes; service `deft/recover_robot`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("deft_xarm", **kwargs)
        robot = declare_robot(self, declare_config_dir(self))
        self._controller = robot.arm_command_topic.strip("/").split("/")[-2]
        space = declare(self, "hw_ns", "xarm", "namespace of the driver's topics and services").strip("/")
        self._silence = declare(self, "silence", 1.0, "s without robot_states after which the driver counts as lost", low=0.2)
        refuse_unknown_parameters(self)
        try:
            from controller_manager_msgs.srv import SwitchController
            from xarm_msgs import srv
            from xarm_msgs.msg import RobotMsg
        except ImportError as error:
            raise ConfigError(f"xarm_node needs xarm_msgs and controller_manager_msgs ({error}): `sudo apt install "
                              "ros-jazzy-ros2-control`, build github.com/xArm-Developer/xarm_ros2 (branch jazzy) in your "
                              "workspace, and source it") from None
        self._types = srv
        self._heard, self._started, self._ready = 0.0, time.monotonic(), False
        group = ReentrantCallbackGroup()
        self._services_of_arm = {name: self.create_client(getattr(srv, kind), f"/{space}/{name}", callback_group=group)
                         for name, kind, _ in (*BEFORE_MOVING, LET_MOVE)}
        self._switch, self._switch_type = self.create_client(
            SwitchController, "/controller_manager/switch_controller", callback_group=group), SwitchController
        self._word = FaultWord(self, names.ROBOT_FAULT)
        self.create_subscription(RobotMsg, f"/{space}/robot_states", self._state, qos.SENSOR, callback_group=group)
        self.create_timer(0.1, self._listen, callback_group=group)
        self.create_service(Trigger, names.RECOVER_ROBOT, self._recover, callback_group=MutuallyExclusiveCallbackGroup())

    def _state(self, message: Any) -> None:
        """A RobotMsg."""
        self._heard = time.monotonic()
        self._ready = self._ready or bool(message.err)  # an error is one at any time
        self._say(fault_of(message.state, message.mode, message.err))

    def _listen(self) -> None:
        now = time.monotonic()
        since = self._heard or self._started
        if now - since > (self._silence if self._heard else FIRST_SECONDS):
            self._say("xArm's driver has fallen silent; is it running, and the arm switched on?")

    def _say(self, fault: str) -> None:
        """Tell what has changed. While the driver starts, an arm that is not ready yet is no fault."""
        self._ready = self._ready or not fault
        if fault == self._word.text or (not self._ready and time.monotonic() - self._started < FIRST_SECONDS):
            return
        self._word.say(fault)
        self.get_logger().error(fault) if fault else self.get_logger().info("xArm is ready")

    def _recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Clear errors, enable, take the mode of ros2_control, seat the controller where the arm is, and let it move.

        A person asks for it through Rearm. Without a new start the controller would go on holding where the arm was when the
        fault began, and the arm would jump there.
        """
        if self._word.text == "":  # it would stop an arm that may be moving
            response.success, response.message = True, "xArm is ready"
            return response
        try:
            for name, kind, fields in BEFORE_MOVING:
                self._done(name, kind, fields)
            time.sleep(LIVE_SECONDS)
            self._reseat()
            self._done(*LET_MOVE)
        except (CallTimeout, Refused) as error:
            response.message = str(error)
            return response
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._word.text and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        response.success, response.message = not self._word.text, self._word.text or "xArm is ready"
        return response

    def _done(self, name: str, kind: str, fields: dict[str, int]) -> None:
        """Raises Refused, CallTimeout."""
        answer = call(self._services_of_arm[name], getattr(self._types, kind).Request(**fields), SERVICE_SECONDS)
        if answer.ret != 0:
            raise Refused(f"xArm refused {name} ({answer.ret}): {answer.message}")

    def _reseat(self) -> None:
        """Stop the arm's controller and start it: it then holds where the arm is. Raises Refused, CallTimeout."""
        kind = self._switch_type.Request
        for fields in ({"deactivate_controllers": [self._controller]}, {"activate_controllers": [self._controller]}):
            if not call(self._switch, kind(strictness=kind.BEST_EFFORT, **fields), SERVICE_SECONDS).ok:
                raise Refused(f"the controller manager could not restart {self._controller}; `ros2 control list_controllers`")


class Refused(Exception):
    """The arm, or its controller manager, did not do as asked; the message says what."""


def main() -> None:
    """Executable `xarm_node`."""
    run_node(XArmNode)


if __name__ == "__main__":
    main()
