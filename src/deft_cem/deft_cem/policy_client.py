"""The residual policy as the server asks for it: fitted from a session's folder, asked for residuals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from deft_msgs.action import FitPolicy
from deft_msgs.msg import ObjectObservation
from deft_msgs.srv import PredictResidual
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from deft_cem import codes
from deft_core.errors import DeftError, Interrupted
from deft_core.residual import ResidualSpace
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.action_client import ActionClient
from deft_core.ros.node import CallTimeout, call, wait, wait_for_server
from deft_core.types import Array, GraspParameters

FOUND_SECONDS, ANSWER_SECONDS, FIT_SECONDS = 5.0, 30.0, 600.0


class PolicyClient:
    """Blocks the calling worker thread; ends with Interrupted once `cancelled` is true.

    Args:
        session, folder: that policies are fitted to.
        policy_file: that is asked, until another one is fitted.
        kind: that is fitted; "" = what the policy node is configured for.
    """

    def __init__(self, node: Node, space: ResidualSpace, group: CallbackGroup, session: str, folder: Path, policy_file: str,
                 kind: str, cancelled: Callable[[], bool]) -> None:
        self._node, self._space, self._cancelled = node, space, cancelled
        self._session, self._folder, self._policy_file, self._kind = session, folder, policy_file, kind
        self._predict = node.create_client(PredictResidual, names.PREDICT_RESIDUAL, callback_group=group)
        self._fit = ActionClient(node, FitPolicy, names.FIT_POLICY, callback_group=group)

    @property
    def policy_file(self) -> str:
        """The one that is asked; "" when there is none."""
        return self._policy_file

    def close(self) -> None:
        """Give the clients back to the node."""
        self._node.destroy_client(self._predict)
        self._fit.destroy()

    def residual(self, seen: ObjectObservation, xi: GraspParameters, seed: int) -> Array:
        """eps (n,), metres and rad.

        Raises:
            DeftError: PredictResidual's codes; SESSION_MISMATCH, it is of another hand; PIPELINE_FAILED, nobody answers.
        """
        request = PredictResidual.Request(observation=seen, xi=conv.grasp_to_msg(xi), seed=seed,
                                          policy_file=self._policy_file)
        try:
            answer = call(self._predict, request, ANSWER_SECONDS, self._cancelled)
        except CallTimeout as error:
            raise self._gone(error) from None
        if answer.error_code:
            raise DeftError(answer.error_code, answer.error_msg)
        if tuple(answer.residual.names) != self._space.names:
            raise DeftError(codes.SESSION_MISMATCH, f"the policy {self._policy_file} is of another hand: its residual has "
                            f"{', '.join(answer.residual.names)}")
        return np.array(answer.residual.values, float)

    def fit(self, seed: int, on_progress: Callable[[str], None]) -> str:
        """Fit to the session; what came of it, in words.

        Raises:
            DeftError: FitPolicy's codes, or PIPELINE_FAILED: no policy node answers.
        """
        handle = None
        try:
            wait_for_server(self._fit, FOUND_SECONDS, self._cancelled)
            goal = FitPolicy.Goal(session_dir=str(self._folder), session=self._session, policy=self._kind, seed=seed)
            sent = self._fit.send_goal_async(goal, feedback_callback=lambda m: on_progress(
                f"step {m.feedback.step} of {m.feedback.steps}"))
            wait(sent, ANSWER_SECONDS, self._cancelled, "the policy node")
            handle = sent.result()
            if not handle.accepted:
                raise DeftError(codes.PIPELINE_FAILED, "the policy node is fitting another policy")
            finished = handle.get_result_async()
            wait(finished, FIT_SECONDS, self._cancelled, "the fit of the policy")
        except CallTimeout as error:
            if handle is not None:
                handle.cancel_goal_async()
            raise self._gone(error) from None
        result = finished.result().result
        if result.error_code:
            raise DeftError(result.error_code, result.error_msg)
        self._policy_file = result.policy_file
        for warning in result.warnings:
            self._node.get_logger().warning(warning)
        return f"policy fitted to episodes {', '.join(map(str, sorted(result.elites)))}: {result.policy_file}"

    def _gone(self, error: CallTimeout) -> Exception:
        return Interrupted() if self._cancelled() else DeftError(codes.PIPELINE_FAILED, str(error))
