"""The policy node: `fit_policy`, `predict_residual`, `rollout`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from deft_msgs.action import FitPolicy, Rollout
from deft_msgs.msg import ObjectObservation
from deft_msgs.srv import PredictResidual
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup

from deft_bag.episodes import read_session
from deft_core.config import parse
from deft_core.descriptions import load_task
from deft_core.errors import ConfigError, DeftError, Interrupted
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.grasp_graph import GraspGraph
from deft_core.ros.node import (
    DeftNode,
    answering,
    declare,
    declare_config_dir,
    declare_fields,
    refuse_unknown_parameters,
    run_node,
)
from deft_core.types import Array, GraspParameters
from deft_policy import codes
from deft_policy.config import PolicyConfig
from deft_policy.fitting import Features, fit_policy
from deft_policy.policy import ResidualPolicy
from deft_policy.rollout import roll_out
from deft_policy.storage import restore, store

SHUTDOWN_SECONDS = 8.0


@dataclass(frozen=True)
class Loaded:
    """A policy that was read, and the file's state when it was."""

    policy: ResidualPolicy
    features: Features
    state: tuple[int, int]


class PolicyNode(DeftNode):
    """Fits policies from bags and answers for them; knows nothing of sessions in progress."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("deft_policy", **kwargs)
        self._config_dir = declare_config_dir(self)
        self._config = declare_fields(self, PolicyConfig, "policy.")
        self._file = declare(self, "policy_file", "", "a policy.yaml that is asked where a request names none", read_only=False)
        refuse_unknown_parameters(self)
        self._loaded: dict[str, Loaded] = {}
        self._loading, self._closing = threading.Lock(), threading.Event()
        self._fitting, self._rolling = threading.Lock(), threading.Lock()
        self._group = ReentrantCallbackGroup()
        self.create_service(PredictResidual, names.PREDICT_RESIDUAL, self._predict,
                            callback_group=MutuallyExclusiveCallbackGroup())
        for action, name, run, busy in ((FitPolicy, names.FIT_POLICY, self._fit, self._fitting),
                                        (Rollout, names.ROLLOUT, self._roll_out, self._rolling)):
            ActionServer(self, action, name, run, callback_group=ReentrantCallbackGroup(),
                         goal_callback=lambda _, busy=busy: self._accept(busy),
                         cancel_callback=lambda _: CancelResponse.ACCEPT)

    def _accept(self, busy: threading.Lock) -> GoalResponse:
        """One goal of a kind at a time."""
        if busy.locked():
            self.get_logger().warning("goal rejected: another one of its kind is in progress")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def interrupt(self) -> None:
        """End what is under way as a cancel would; waits for its end, a few seconds at most."""
        self._closing.set()
        for busy in (self._fitting, self._rolling):
            if busy.acquire(timeout=SHUTDOWN_SECONDS):
                busy.release()

    def destroy_node(self) -> None:
        self.interrupt()
        super().destroy_node()

    # -- fitting -----------------------------------------------------------------------------------------

    def _fit(self, handle: ServerGoalHandle) -> FitPolicy.Result:
        result = FitPolicy.Result(loss=float("nan"), leave_one_out_error=float("nan"), elite_mean_error=float("nan"))

        def on_step(step: int, steps: int, loss: float) -> None:
            if handle.is_cancel_requested or self._closing.is_set():
                raise Interrupted
            handle.publish_feedback(FitPolicy.Feedback(step=step, steps=steps, loss=loss))

        def run() -> None:
            goal = handle.request
            source = Path(goal.session_dir).expanduser()
            if not goal.session_dir or not source.exists():
                raise DeftError(codes.BAD_GOAL, f"there is no session or bag at '{goal.session_dir}'")
            config = self._config_of(goal.policy)
            session = read_session(source, goal.session)
            policy = fit_policy(session, config, goal.seed, self._features(config), on_step)
            out = Path(goal.out_dir).expanduser() if goal.out_dir else source if source.is_dir() else source.parent
            try:
                result.policy_file = str(store(policy, out))
            except OSError as error:
                raise DeftError(codes.BAD_GOAL, f"the policy cannot be written to {out}: {error.strerror}") from None
            origin = policy.provenance
            result.elites, result.warnings = list(origin.elites), list(session.warnings)
            result.loss, result.leave_one_out_error, result.elite_mean_error = origin.loss, origin.error, origin.mean_error

        return self._carry_out(handle, result, run, self._fitting, codes.BAD_GOAL, codes.BAD_GOAL)

    def _config_of(self, kind: str) -> PolicyConfig:
        """The node's parameters for a kind of policy. Raises DeftError BAD_GOAL."""
        if not kind:
            return self._config
        try:
            return parse(PolicyConfig, {**self._config.model_dump(), "kind": kind}, "policy")
        except ConfigError as error:
            raise DeftError(codes.BAD_GOAL, str(error)) from None

    @staticmethod
    def _features(config: PolicyConfig) -> Features:
        try:
            return Features(config)
        except ConfigError as error:
            raise DeftError(codes.BAD_GOAL, str(error)) from None

    # -- asking --------------------------------------------------------------------------------------------

    def _predict(self, request: PredictResidual.Request, response: PredictResidual.Response) -> PredictResidual.Response:
        with answering(self, response, codes.BAD_INPUT):
            loaded = self._policy(request.policy_file)
            xi = conv.grasp_from_msg(request.xi)
            eps = self._residual(loaded, request.observation, xi, request.seed)
            response.residual = conv.residual_to_msg(loaded.policy.space, eps)
            response.policy = loaded.policy.kind.value
        return response

    def _policy(self, file: str) -> Loaded:
        """A policy, read again when its file has changed. Raises DeftError NO_POLICY."""
        name = file or self.get_parameter("policy_file").value
        if not name:
            raise DeftError(codes.NO_POLICY, "no policy is loaded: name a policy_file in the request, or set the parameter "
                            "policy_file of deft_policy")
        path = Path(name).expanduser()
        with self._loading:
            try:
                state = path.stat().st_mtime_ns, path.stat().st_size
            except OSError:
                state = (0, 0)  # restoring says what is wrong
            known = self._loaded.get(name)
            if known is None or known.state != state:
                policy = restore(path)
                try:
                    features = Features(policy.config)
                except ConfigError as error:
                    raise DeftError(codes.NO_POLICY, f"{path} needs its encoder: {error}") from None
                known = self._loaded[name] = Loaded(policy, features, state)
            return known

    @staticmethod
    def _residual(loaded: Loaded, seen: ObjectObservation, xi: GraspParameters, seed: int) -> Array:
        """eps (n,), metres and rad. Raises DeftError BAD_INPUT or REFUSED."""
        features = None
        if loaded.policy.sees:
            try:
                features = loaded.features(conv.image_from_msg(seen.rgb_crop, "rgb8"))
            except ValueError as error:
                raise DeftError(codes.BAD_INPUT, f"the observation's crop cannot be used: {error}") from None
        return loaded.policy.residual(features, xi, seed)

    # -- rolling out -----------------------------------------------------------------------------------------

    def _roll_out(self, handle: ServerGoalHandle) -> Rollout.Result:
        result = Rollout.Result()

        def on_phase(phase: str) -> None:
            handle.publish_feedback(Rollout.Feedback(phase=phase))

        def run() -> None:
            goal = handle.request
            try:
                task = load_task(self._config_dir, goal.task)
            except ConfigError as error:
                raise DeftError(codes.ROLLOUT_BAD_GOAL, str(error)) from None
            loaded = self._policy(goal.policy_file) if goal.policy_file else None
            if loaded is not None and loaded.policy.provenance.task != task.name:
                raise DeftError(codes.ROLLOUT_BAD_GOAL, f"{goal.policy_file} is a policy of the task "
                                f"{loaded.policy.provenance.task}, not of {task.name}")

            def residual(seen: ObjectObservation, xi: GraspParameters, seed: int) -> Array:
                assert loaded is not None
                return self._residual(loaded, seen, xi, seed)

            graph = GraspGraph(self, task, self._group, codes.ROLLOUT_FAILED,
                               lambda: bool(handle.is_cancel_requested or self._closing.is_set()))
            try:
                graph.park(goal.seed)
                done = roll_out(graph, residual, loaded.policy.space if loaded else None, goal.seed, on_phase)
            finally:
                graph.close()
            result.executed, result.stop_reason = done.result.executed, done.result.stop_reason
            result.fell_back_to_prior, result.fallback_reason = loaded is not None and not done.eps.any(), done.fallback
            if done.fallback:
                self.get_logger().warning(done.fallback)
            if loaded is not None and np.isfinite(done.eps).all():
                result.residual = conv.residual_to_msg(loaded.policy.space, done.eps)

        return self._carry_out(handle, result, run, self._rolling, codes.ROLLOUT_FAILED, codes.ROLLOUT_BUSY)

    def _carry_out(self, handle: ServerGoalHandle, result: Any, run: Callable[[], None], busy: threading.Lock,
                   unknown: int, occupied: int) -> Any:
        """Run a goal and turn its end into the result. `unknown` and `occupied` are the codes for what nobody expected."""
        if not busy.acquire(blocking=False):
            result.error_code, result.error_msg = occupied, "another goal of this kind is in progress"
            handle.abort()
            return result
        try:
            run()
            handle.succeed()
        except Interrupted:
            result.error_msg = "cancelled"
            if handle.is_cancel_requested:
                handle.canceled()
            else:  # the node is being shut down
                handle.abort()
        except DeftError as error:
            result.error_code, result.error_msg = error.code, error.message
            self.get_logger().error(error.message)
            handle.abort()
        except Exception as error:  # the client must be told, whatever went wrong
            result.error_code, result.error_msg = unknown, f"internal error: {error!r}"
            self.get_logger().error(result.error_msg)
            handle.abort()
        finally:
            busy.release()
        return result


def main() -> None:
    """Executable `policy_node`."""
    run_node(PolicyNode)


if __name__ == "__main__":
    main()
