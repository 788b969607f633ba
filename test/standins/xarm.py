"""A stand-in for an xArm's driver: robot_states and the services that are on by default."""

from __future__ import annotations

from functools import partial
from typing import Any

from controller_manager_msgs.srv import SwitchController
from rclpy.node import Node
from xarm_msgs import srv
from xarm_msgs.msg import RobotMsg


class XArmStandIn(Node):
    """Says what it is told to; set_state 0 makes it ready only where errors are cleared and the mode is set before.

    Attributes:
        calls: services that were called, with their data.
        refuses: a service that answers 7.
        silent: it says nothing.
        arm_at, controller_at: where the arm is, and where its controller would take it; `jumped` when it was let go between.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("ufactory_driver", **kwargs)
        self._word = {"state": 2, "mode": 1, "err": 0}
        self.calls: list[tuple[str, Any]] = []
        self.refuses, self.silent = "", False
        self.arm_at, self.controller_at, self.jumped = 0.0, 0.0, False
        self.create_service(SwitchController, "/controller_manager/switch_controller", self._switch)
        self._states = self.create_publisher(RobotMsg, "/xarm/robot_states", 10)
        self.create_timer(0.05, self._tell)
        for name, kind in (("clean_error", srv.Call), ("clean_warn", srv.Call), ("motion_enable", srv.SetInt16ById),
                           ("set_mode", srv.SetInt16), ("set_state", srv.SetInt16)):
            self.create_service(kind, f"/xarm/{name}", partial(self._serve, name))

    def _switch(self, request: SwitchController.Request, response: SwitchController.Response) -> SwitchController.Response:
        self.calls.append(("deactivate", list(request.deactivate_controllers)) if request.deactivate_controllers else
                          ("activate", list(request.activate_controllers)))
        if request.activate_controllers:
            self.controller_at = self.arm_at
        response.ok = True
        return response

    def say(self, **word: int) -> None:
        """Change what is told of state, mode and err."""
        self._word |= word

    def _tell(self) -> None:
        if not self.silent:
            self._states.publish(RobotMsg(**self._word))

    def _serve(self, name: str, request: Any, response: Any) -> Any:
        data = getattr(request, "data", None)
        self.calls.append((name, (request.id, data) if hasattr(request, "id") else data))
        if name == self.refuses:
            response.ret, response.message = 7, "not now"
            return response
        if name == "clean_error":
            self._word["err"] = 0
        elif name == "set_mode":  # stops inside
            self._word |= {"mode": data, "state": 4}
        elif name == "set_state":
            self.jumped = self.jumped or self.arm_at != self.controller_at
        if name == "set_state" and not self._word["err"] and self._word["mode"] == 1:
            self._word["state"] = 2
        return response
