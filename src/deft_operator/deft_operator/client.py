"""A client of the fine-tuning server for the command line: goals, progress, rewards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from deft_msgs.action import Evaluate, FineTune, Rollout
from deft_msgs.msg import SessionStatus
from deft_msgs.srv import AmendReward, ControlSession, SubmitReward
from rclpy.callback_groups import ReentrantCallbackGroup

from deft_core.ros import names, qos
from deft_core.ros.action_client import ActionClient
from deft_core.ros.node import CallTimeout, call, wait
from deft_core.ros.spun_node import SpunNode

SERVER_SECONDS = 20.0
ROLLOUT_SECONDS = 400.0
SILENT_SECONDS = 3.0  # without a status, which comes twice a second: the server is gone
IDLE_SECONDS = 8.0  # an idle server has sent its result by then, or never had the goal


class GoalRejected(Exception):
    """The server runs another session."""


class ServerRestarted(Exception):
    """The server that ran the session died and was started again; it knows nothing of the goal.

    Attributes:
        session_dir: the folder to go on with; "" when none was told.
    """

    def __init__(self, session_dir: str) -> None:
        super().__init__("the fine-tuning server was started again")
        self.session_dir = session_dir


class OperatorClient:
    """Owns a node and its executor thread; methods block the calling thread."""

    def __init__(self) -> None:
        self._spun = SpunNode("deft_cli")
        self.node = self._spun.node
        group = ReentrantCallbackGroup()
        self._actions = {FineTune: ActionClient(self.node, FineTune, names.FINE_TUNE, callback_group=group),
                         Evaluate: ActionClient(self.node, Evaluate, names.EVALUATE, callback_group=group)}
        self._rollout = ActionClient(self.node, Rollout, names.ROLLOUT, callback_group=group)
        self._submit = self.node.create_client(SubmitReward, names.SUBMIT_REWARD, callback_group=group)
        self._amend = self.node.create_client(AmendReward, names.AMEND_REWARD, callback_group=group)
        self._control = self.node.create_client(ControlSession, names.CONTROL_SESSION, callback_group=group)
        self._idle_since: float | None = None
        self._heard = 0.0  # s, monotonic, when the server last said anything
        # The last of all: a server whose status comes here knows where to send its answers, too
        self.node.create_subscription(SessionStatus, names.SESSION_STATUS, self._watch, qos.LATCHED, callback_group=group)

    def close(self) -> None:
        """Stop spinning and give the node back."""
        self._spun.close()

    def _watch(self, status: SessionStatus) -> None:
        """Remember since when the server says that it has nothing to do."""
        self._heard = time.monotonic()
        if status.state != "idle":
            self._idle_since = None
        elif self._idle_since is None:  # it is sent again and again
            self._idle_since = time.monotonic()

    def run(self, goal: FineTune.Goal | Evaluate.Goal, on_status: Callable[[SessionStatus], None],
            cancel: threading.Event) -> tuple[Any, bool]:
        """Send a goal and wait for its end.

        Args:
            cancel: set it to cancel the goal; its end is still waited for.

        Returns:
            The action's result, and whether it succeeded.

        Raises:
            CallTimeout: no server.
            GoalRejected: it is busy.
            ServerRestarted: the goal is lost; send it again with the same session folder.
        """
        client = self._actions[FineTune if isinstance(goal, FineTune.Goal) else Evaluate]
        self._find(client)
        folder = goal.session_dir

        def feedback(message: Any) -> None:
            nonlocal folder
            folder, self._idle_since = message.feedback.status.session_dir, None
            on_status(message.feedback.status)

        sent = client.send_goal_async(goal, feedback_callback=feedback)
        wait(sent, SERVER_SECONDS, lambda: False, "the fine-tuning server")
        handle = sent.result()
        if not handle.accepted:
            raise GoalRejected("the server is running another session; see `ros2 topic echo deft/session_status`")
        finished, done = handle.get_result_async(), threading.Event()
        finished.add_done_callback(lambda _: done.set())
        cancelled, self._idle_since = False, None
        while not done.wait(0.1):
            if self._idle_since is not None and time.monotonic() - self._idle_since > IDLE_SECONDS:
                raise ServerRestarted(folder)
            if cancel.is_set() and not cancelled:
                handle.cancel_goal_async()
                cancelled = True
            if cancelled and time.monotonic() - self._heard > SILENT_SECONDS:
                raise CallTimeout(f"the fine-tuning server is gone; the session can be gone on with: {folder}")
        answer = finished.result()
        return answer.result, answer.status == GoalStatus.STATUS_SUCCEEDED

    def _find(self, client: ActionClient) -> None:
        """Wait until server and client know each other. Raises CallTimeout."""
        deadline = time.monotonic() + SERVER_SECONDS
        if not client.wait_for_server(timeout_sec=SERVER_SECONDS):
            raise CallTimeout("no fine-tuning server found: simulate the robot with --sim, or start the graph's nodes; "
                              "is ROS_DOMAIN_ID theirs?")
        while not self._heard and time.monotonic() < deadline:  # without it the answer to a goal can be lost
            time.sleep(0.02)

    def roll_out(self, goal: Rollout.Goal, cancel: threading.Event) -> tuple[Rollout.Result, bool]:
        """Execute one grasp and wait for its end: the result, and whether it succeeded.

        Args:
            cancel: set it to cancel the goal; its end is still waited for.

        Raises:
            CallTimeout: no policy node, or it does not answer.
            GoalRejected: it is busy.
        """
        if not self._rollout.wait_for_server(timeout_sec=SERVER_SECONDS):
            raise CallTimeout("no policy node found (deft_policy); is ROS_DOMAIN_ID its?")
        sent = self._rollout.send_goal_async(goal)
        wait(sent, SERVER_SECONDS, lambda: False, "the policy node")
        if not sent.result().accepted:
            raise GoalRejected("the policy node is executing another rollout")
        finished = sent.result().get_result_async()
        try:
            wait(finished, ROLLOUT_SECONDS, cancel.is_set, "the rollout")
        except CallTimeout:
            sent.result().cancel_goal_async()  # the robot holds
            wait(finished, SERVER_SECONDS, lambda: False, "the end of the rollout")
        return finished.result().result, finished.result().status == GoalStatus.STATUS_SUCCEEDED

    def submit(self, request: SubmitReward.Request) -> SubmitReward.Response:
        """Send an answer to the pending reward request. Raises CallTimeout."""
        return call(self._submit, request, SERVER_SECONDS)

    def amend(self, request: AmendReward.Request) -> AmendReward.Response:
        """Change an earlier answer of the running session. Raises CallTimeout."""
        return call(self._amend, request, SERVER_SECONDS)

    def control(self, request: ControlSession.Request) -> ControlSession.Response:
        """Pause, go on, skip, repeat or finish. Raises CallTimeout."""
        return call(self._control, request, SERVER_SECONDS)
