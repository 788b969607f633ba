"""The steps from a look to a grasp as calls to the running graph, for whoever decides what is executed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from deft_msgs.action import ExecuteGrasp, Park
from deft_msgs.msg import Affordance, ObjectObservation
from deft_msgs.srv import CheckGrasp, Observe, PredictAffordance, RetargetHand
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from deft_core.descriptions import TaskConfig
from deft_core.errors import NODE_LOST, DeftError, Interrupted
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.action_client import ActionClient
from deft_core.ros.heartbeat import Pulses
from deft_core.ros.node import CallTimeout, call, wait, wait_for_server
from deft_core.types import GraspParameters

SERVICE_SECONDS = 30.0
ACTION_SECONDS = 300.0     # a whole grasp, in wall time
MATCHING_SECONDS = 1.5     # for DDS to match a node that was started again
BUSY_SECONDS = 60.0        # waited while the motion node finishes something else


class GraspGraph:
    """Clients of perception, affordance, retargeting and motion.

    All methods block the calling worker thread. They raise DeftError with the code of the interface that refused, or with
    `failure` where nobody answered, and Interrupted once `cancelled` is true.

    Args:
        group: a reentrant callback group of the node.
        failure: the caller's code for a graph that does not answer.
        cancelled: polled while waiting.
    """

    def __init__(self, node: Node, task: TaskConfig, group: CallbackGroup, failure: int, cancelled: Callable[[], bool]) -> None:
        self._node, self._task, self._failure, self._cancelled = node, task, failure, cancelled
        self._pulses = Pulses(node)
        self._observe = node.create_client(Observe, names.OBSERVE, callback_group=group)
        self._predict = node.create_client(PredictAffordance, names.PREDICT_AFFORDANCE, callback_group=group)
        self._retarget = node.create_client(RetargetHand, names.RETARGET_HAND, callback_group=group)
        self._check = node.create_client(CheckGrasp, names.CHECK_GRASP, callback_group=group)
        self._execute = ActionClient(node, ExecuteGrasp, names.EXECUTE_GRASP, callback_group=group)
        self._park = ActionClient(node, Park, names.PARK, callback_group=group)

    def close(self) -> None:
        """Give the clients back to the node."""
        self._pulses.close()
        for client in (self._observe, self._predict, self._retarget, self._check):
            self._node.destroy_client(client)
        for action in (self._execute, self._park):
            action.destroy()

    def observe(self) -> ObjectObservation:
        """A fresh look at the task's object."""
        return self.call(self._observe, Observe.Request(task=self._task.name)).observation

    def predict(self, seen: ObjectObservation, seed: int) -> tuple[Affordance, GraspParameters]:
        """The prior's answer, and its grasp xi after retargeting."""
        request = PredictAffordance.Request(observation=seen, text=self._task.text, wrist=self._task.heuristic_wrist, seed=seed)
        affordance = self.call(self._predict, request).affordance
        return affordance, conv.grasp_from_msg(self.call(self._retarget, RetargetHand.Request(affordance=affordance)).grasp)

    def check(self, grasp: GraspParameters, seen: ObjectObservation) -> CheckGrasp.Response:
        """The motion node's answer when the grasp can be executed: after clearance from the table, with a preview."""
        return self.call(self._check, CheckGrasp.Request(**self._grasp_fields(grasp, seen)))

    def execute(self, grasp: GraspParameters, seen: ObjectObservation, seed: int,
                on_phase: Callable[[str], None]) -> ExecuteGrasp.Result:
        """Execute and park."""
        goal = ExecuteGrasp.Goal(seed=seed, **self._grasp_fields(grasp, seen))
        return self._run(self._execute, goal, lambda f: on_phase(f.feedback.phase))

    def park(self, seed: int) -> None:
        """Open the hand and park the arm."""
        self._run(self._park, Park.Goal(seed=seed), lambda _: None)

    def _grasp_fields(self, grasp: GraspParameters, seen: ObjectObservation) -> dict[str, Any]:
        return {"grasp": conv.grasp_to_msg(grasp), "task": self._task.name, "table_height": seen.table_height,
                "object_centre": seen.box_centre, "object_extent": seen.extent, "surroundings": seen.surroundings}

    def call(self, client: Any, request: Any) -> Any:
        """Call a service; its error code becomes a DeftError, NODE_LOST where a node dies meanwhile."""
        self._await_all()
        lost = self._pulses.watching()
        try:
            response = call(client, request, SERVICE_SECONDS, lambda: self._cancelled() or bool(lost()))
        except CallTimeout as error:
            raise self._gone(error, lost()) from None
        if response.error_code:
            raise DeftError(response.error_code, response.error_msg)
        return response

    def _run(self, client: ActionClient, goal: Any, feedback: Callable[[Any], None]) -> Any:
        """Run an action to its end. When the caller is cancelled, so is the action; its end is waited for."""
        self._await_all()
        lost = self._pulses.watching()
        try:
            wait_for_server(client, SERVICE_SECONDS, self._cancelled)
            handle = self._accepted(client, goal, feedback, lost)
            finished = handle.get_result_async()
            cancelling = False
            started = time.monotonic()
            while not finished.done():
                if self._cancelled() and not cancelling:
                    handle.cancel_goal_async()
                    cancelling = True
                if problem := lost():  # the motion node notices, too, unless it is the one; the arm holds either way
                    handle.cancel_goal_async()
                    raise DeftError(NODE_LOST, problem)
                if time.monotonic() - started > ACTION_SECONDS:
                    handle.cancel_goal_async()
                    raise CallTimeout(f"action {client._action_name} did not end within {ACTION_SECONDS:.0f} s")
                time.sleep(0.01)
        except CallTimeout as error:
            raise self._gone(error, lost()) from None
        if cancelling:
            raise Interrupted
        result = finished.result().result
        if result.error_code:
            raise DeftError(result.error_code, result.error_msg)
        if finished.result().status != GoalStatus.STATUS_SUCCEEDED:
            raise DeftError(self._failure, f"action {client._action_name} ended without success and without a reason")
        return result

    def _await_all(self) -> None:
        """Wait for nodes that have died to be started again. DDS knows them for some 20 s yet: a call would go nowhere."""
        waited = 0.0
        while gone := self._pulses.gone():
            if self._cancelled():
                raise Interrupted
            if waited > SERVICE_SECONDS:
                raise DeftError(self._failure, f"{gone} It was waited for for {SERVICE_SECONDS:.0f} s")
            time.sleep(0.1)
            waited += 0.1
        if waited:
            time.sleep(MATCHING_SECONDS)

    def _gone(self, error: CallTimeout, lost: str) -> Exception:
        """What a wait that nobody answered comes to."""
        if self._cancelled():
            return Interrupted()
        return DeftError(NODE_LOST, lost) if lost else DeftError(self._failure, str(error))

    def _accepted(self, client: ActionClient, goal: Any, feedback: Callable[[Any], None], lost: Callable[[], str]) -> Any:
        """The handle of a goal, once it is taken: a motion that this process began before it died is waited for.

        Args:
            lost: which node has fallen silent, "" for none: the goal may have gone to a server that had just died.
        """
        started = time.monotonic()
        while True:
            sent = client.send_goal_async(goal, feedback_callback=feedback)
            wait(sent, SERVICE_SECONDS, lambda: bool(lost()), f"action {client._action_name}")
            handle = sent.result()
            if handle.accepted:
                return handle
            if self._cancelled():
                raise Interrupted
            if time.monotonic() - started > BUSY_SECONDS:
                raise DeftError(self._failure, "the motion node has been busy with another motion for "
                                f"{BUSY_SECONDS:.0f} s")
            time.sleep(0.2)
