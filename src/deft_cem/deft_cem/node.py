"""The fine-tuning server: actions fine_tune and evaluate, the reward service, status for everyone."""

from __future__ import annotations

import datetime
import json
import math
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from deft_msgs.action import Evaluate, FineTune
from deft_msgs.msg import Episode, RewardRequest, SessionStatus
from deft_msgs.srv import SubmitReward
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Header

from deft_cem import __version__, codes
from deft_cem.distribution import CemConfig
from deft_cem.graph_skills import GraphSkills
from deft_cem.loop import FineTuningLoop, Progress, seconds_left
from deft_cem.methods import CemMethod, FixedMethod, Method
from deft_cem.reward_desk import Answer, RewardDesk
from deft_cem.session import EpisodeState, Session, SessionSpec
from deft_cem.skills import Interrupted
from deft_cem.summary import summarise, wilson, write
from deft_core.config import content_hash
from deft_core.descriptions import TaskConfig, load_task
from deft_core.errors import ConfigError, DeftError
from deft_core.ros import conversions as conv
from deft_core.ros import names, qos
from deft_core.ros.node import (
    declare,
    declare_config_dir,
    declare_fields,
    declare_hand,
    declare_robot,
    refuse_unknown_parameters,
    run_node,
)
from deft_core.types import GraspParameters

DEFAULT_EPISODES = 30  # N of the paper
SHUTDOWN_SECONDS = 8.0
OBJECT_SETS = ("train", "test")


@dataclass(frozen=True)
class Job:
    """A goal, understood: what to run and how."""

    spec: SessionSpec
    task: TaskConfig
    folder: Path
    method: Method


class CemServer(Node):
    """Runs one session at a time; everything it decides is in deft_cem's core modules."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("deft_cem", **kwargs)
        self._config_dir = declare_config_dir(self)
        self._robot, self._hand = declare_robot(self, self._config_dir), declare_hand(self, self._config_dir)
        self._config = declare_fields(self, CemConfig, "cem.")
        self._space = self._config.space(self._hand.motors)
        self._closing = threading.Event()
        self._reset_first = declare(self, "confirm_scene_at_start", False,
                                    "ask the operator to make the scene ready before the first episode")
        self._sessions_dir = Path(declare(self, "sessions_dir", "~/.deft/sessions", "where new sessions are put")).expanduser()
        refuse_unknown_parameters(self)
        self._busy = threading.Lock()
        self._desk = RewardDesk()
        self._clients_group = ReentrantCallbackGroup()
        self._status = self.create_publisher(SessionStatus, names.SESSION_STATUS, qos.LATCHED)
        self._requests = self.create_publisher(RewardRequest, names.REWARD_REQUEST, qos.LATCHED)
        self._episodes = self.create_publisher(Episode, names.EPISODE, qos.EPISODES)
        self.create_service(SubmitReward, names.SUBMIT_REWARD, self._submit, callback_group=MutuallyExclusiveCallbackGroup())
        for action, name, run in ((FineTune, names.FINE_TUNE, self._fine_tune), (Evaluate, names.EVALUATE, self._evaluate)):
            ActionServer(self, action, name, run, callback_group=ReentrantCallbackGroup(), goal_callback=self._accept,
                         cancel_callback=lambda _: CancelResponse.ACCEPT)

    # -- goals -----------------------------------------------------------------------------------------

    def _accept(self, _: Any) -> GoalResponse:
        """Reject at once while a session runs."""
        if self._busy.locked():
            self.get_logger().warning("goal rejected: a session is running (see deft/session_status)")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _task(self, name: str) -> TaskConfig:
        try:
            return load_task(self._config_dir, name)
        except ConfigError as error:
            raise DeftError(codes.BAD_GOAL, str(error)) from None

    def _job(self, task_name: str, method: Method, episodes: int, seed: int, object_set: str, folder: str) -> Job:
        task = self._task(task_name)
        if episodes < 1:
            raise DeftError(codes.BAD_GOAL, f"a session needs at least one episode, not {episodes}")
        if object_set not in OBJECT_SETS:
            raise DeftError(codes.BAD_GOAL, f"unknown object set '{object_set}'; valid: {', '.join(OBJECT_SETS)}")
        config_hash = content_hash(self._config, self._robot, self._hand, task,
                                   method.residual(0, 0, []).tolist() if isinstance(method, FixedMethod) else "")
        resolved = {"software_version": __version__, "task": task.model_dump(mode="json"),
                    "robot": self._robot.model_dump(mode="json"), "hand": self._hand.model_dump(mode="json"),
                    "cem": self._config.model_dump(mode="json"), "method": method.name, "seed": seed,
                    "episodes": episodes, "object_set": object_set, "config_hash": config_hash}
        spec = SessionSpec(task.name, method.name, episodes, seed, object_set, config_hash, self._space.names, resolved)
        stamp = f"{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}"
        path = Path(folder).expanduser() if folder else self._sessions_dir / task.name / f"{method.name}_{stamp}"
        return Job(spec, task, path, method)

    def _fine_tune(self, handle: ServerGoalHandle) -> FineTune.Result:
        goal = handle.request
        result = FineTune.Result(best_reward=math.nan)

        def run() -> None:
            method = CemMethod(self._space, self._config, goal.seed)
            job = self._job(goal.task, method, goal.episodes or DEFAULT_EPISODES, goal.seed, goal.object_set or "train",
                            goal.session_dir)
            self._run(handle, job, result, FineTune.Feedback)

        def fill(summary: dict[str, Any]) -> None:
            totals = summary["totals"]
            result.scored, result.infeasible = totals["scored"], totals["infeasible"]
            result.best_reward = math.nan if totals["best_reward"] is None else totals["best_reward"]
            if summary["elite_mean"]:
                result.elite_mean = conv.residual_to_msg(self._space.names, np.array(summary["elite_mean"]))

        return self._carry_out(handle, result, run, fill, offset=0)

    def _evaluate(self, handle: ServerGoalHandle) -> Evaluate.Result:
        goal = handle.request
        result = Evaluate.Result(wilson_high=1.0)

        def run() -> None:
            method = self._fixed(goal.method, goal.source_session_dir, goal.task)
            job = self._job(goal.task, method, goal.trials, goal.seed, goal.object_set or "train", goal.session_dir)
            self._run(handle, job, result, Evaluate.Feedback)

        def fill(summary: dict[str, Any]) -> None:
            totals = summary["totals"]
            result.trials, result.infeasible, result.successes = totals["scored"], totals["infeasible"], totals["successes"]
            rated = result.trials + result.infeasible
            result.success_rate = result.successes / rated if rated else math.nan
            result.wilson_low, result.wilson_high = wilson(result.successes, rated)
            result.mean_reward = math.nan if totals["mean_reward"] is None else totals["mean_reward"]

        return self._carry_out(handle, result, run, fill, offset=100)

    def _fixed(self, name: str, source: str, task: str) -> FixedMethod:
        """The method of an evaluation. Raises DeftError."""
        if name == "prior":
            return FixedMethod("prior", np.zeros(self._space.size))
        if name != "elite_mean":
            raise DeftError(codes.BAD_GOAL, f"unknown method '{name}'; valid: prior, elite_mean")
        path = Path(source).expanduser() / "summary.json"
        try:
            summary = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise DeftError(codes.BAD_GOAL, f"no fine-tuning session at '{source}': {error}") from None
        for key, wanted in (("residual_names", list(self._space.names)), ("task", task)):
            if summary.get(key) != wanted:
                raise DeftError(codes.SESSION_MISMATCH, f"{path} is of another {'hand' if key != 'task' else 'task'}: "
                                f"{summary.get(key)}")
        if not summary.get("elite_mean"):
            raise DeftError(codes.NO_RESIDUAL, f"{path} holds too few scored episodes for an elite mean")
        return FixedMethod("elite_mean", np.array(summary["elite_mean"]))

    # -- running -----------------------------------------------------------------------------------------

    def _carry_out(self, handle: ServerGoalHandle, result: Any, run: Any, fill: Any, offset: int) -> Any:
        """Claim the server, run a goal, turn its end into the result, and free the server for the next."""
        if not self._busy.acquire(blocking=False):
            result.error_code, result.error_msg = codes.BUSY + offset, "another session is running"
            handle.abort()
            return result
        try:
            self._conclude(handle, result, run, fill, offset)
        finally:
            self._busy.release()
        return result

    def _conclude(self, handle: ServerGoalHandle, result: Any, run: Any, fill: Any, offset: int) -> None:
        self._summary: dict[str, Any] | None = None
        try:
            run()
            handle.succeed()
        except Interrupted:
            result.error_msg = "cancelled; go on with the same session folder"
            if handle.is_cancel_requested:
                handle.canceled()
            else:  # the node is being shut down
                handle.abort()
        except DeftError as error:
            result.error_code = error.code + (offset if 600 <= error.code < 700 else 0)
            result.error_msg = error.message
            self.get_logger().error(error.message)
            handle.abort()
        except Exception as error:  # the server must be freed and the client told, whatever went wrong
            result.error_code, result.error_msg = codes.PIPELINE_FAILED + offset, f"internal error: {error!r}"
            self.get_logger().error(f"session failed: {error!r}")
            handle.abort()
        finally:
            if self._summary is not None:
                fill(self._summary)
            self._status.publish(SessionStatus(state="idle", session_dir=result.session_dir, message=result.error_msg,
                                               best_reward=math.nan, seconds_left=math.nan))

    def _run(self, handle: ServerGoalHandle, job: Job, result: Any, feedback: Any) -> None:
        """Open the session, run the loop, write the summary whatever happens."""
        session = Session(job.folder, job.spec)
        result.session, result.session_dir = session.id, str(job.folder)
        if session.journal.repaired:
            self.get_logger().warning(session.journal.repaired)

        def cancelled() -> bool:
            return bool(handle.is_cancel_requested or self._closing.is_set())

        skills = GraphSkills(self, self._robot.camera, job.task, job.spec.object_set, self._clients_group, self._requests,
                             job.folder / "pictures", cancelled)
        started, done_before = time.monotonic(), len(session.finished())

        def on_progress(progress: Progress) -> None:
            status = self._status_message(session, job, progress, time.monotonic() - started, done_before)
            self._status.publish(status)
            handle.publish_feedback(feedback(status=status))

        def on_finished(state: EpisodeState) -> None:
            self._episodes.publish(self._episode_message(session, job, state, skills))
            self._write_summary(job.folder, summarise(session, self._config.elites, finished=False))

        loop = FineTuningLoop(session, job.method, self._space, skills, self._desk, on_progress, on_finished,
                              cancelled, self._reset_first)
        try:
            loop.run()
        finally:
            self._summary = summarise(session, self._config.elites, finished=session.next_episode() is None)
            self._write_summary(job.folder, self._summary)
            skills.close()
            session.close()

    def _write_summary(self, folder: Path, summary: dict[str, Any]) -> None:
        """The journal is the record; a summary that cannot be written ends nothing."""
        try:
            write(folder / "summary.json", summary)
        except OSError as error:
            self.get_logger().error(f"{folder}/summary.json could not be written: {error}")

    def interrupt(self) -> None:
        """End a running session as a cancel would; it can be gone on with. Waits for its end, a few seconds at most."""
        self._closing.set()
        if self._busy.acquire(timeout=SHUTDOWN_SECONDS):
            self._busy.release()

    def destroy_node(self) -> None:
        self.interrupt()
        super().destroy_node()

    # -- the operator --------------------------------------------------------------------------------------

    def _submit(self, request: SubmitReward.Request, response: SubmitReward.Response) -> SubmitReward.Response:
        success = {SubmitReward.Request.SUCCESS_YES: True, SubmitReward.Request.SUCCESS_NO: False}.get(request.success)
        try:
            self._desk.submit(request.session, request.episode,
                              Answer(request.reward, request.voided, success, request.note))
            response.accepted, response.message = True, "saved"
        except DeftError as error:
            response.error_code, response.message = error.code, error.message
        except Exception as error:  # the service must answer, and nothing was counted
            response.error_code, response.message = codes.NOT_SAVED, f"unexpected failure: {error!r}"
            self.get_logger().error(response.message)
        return response

    # -- messages --------------------------------------------------------------------------------------------

    def _status_message(self, session: Session, job: Job, progress: Progress, elapsed: float,
                        done_before: int) -> SessionStatus:
        finished = session.finished()
        spread = job.method.spread(progress.episode, [s for s in session.scored() if s.episode < progress.episode])
        sigma = self._space.sigma
        return SessionStatus(
            session=session.id, session_dir=str(job.folder), task=job.task.name, object_set=job.spec.object_set,
            method=job.method.name, state=progress.state, episode=progress.episode, episodes=job.spec.episodes,
            scored=len(session.scored()), infeasible_samples=progress.infeasible_samples,
            statuses=[s.status for s in finished],
            rewards=[math.nan if s.reward is None else s.reward for s in finished], best_reward=session.best_reward(),
            mean_shift=float(np.linalg.norm(spread.mean / sigma)) if spread else math.nan,
            mean_sigma=float((spread.std / sigma).mean()) if spread else math.nan, seconds_elapsed=elapsed,
            seconds_left=seconds_left(session, elapsed, len(finished) - done_before), message=progress.message)

    def _episode_message(self, session: Session, job: Job, state: EpisodeState, skills: GraphSkills) -> Episode:
        executed = state.executed or {}
        message = Episode(
            header=Header(stamp=self.get_clock().now().to_msg(), frame_id=self._robot.base_frame), session=session.id,
            task=job.task.name, object_set=job.spec.object_set, episode=state.episode, attempt=state.attempt,
            seed=job.spec.seed, software_version=__version__, hand=self._hand.name, robot=self._robot.name,
            hand_hash=content_hash(self._hand), robot_hash=content_hash(self._robot),
            calibration_hash=content_hash(self._robot.camera), status=state.status, reason=state.reason,
            observation=skills.observation, affordance=skills.affordance, redraws=state.redraws,
            reward=math.nan if state.reward is None else state.reward, success=_success(state.success), note=state.note,
            image_after=skills.image_after, timing_names=list(state.seconds),
            timing_seconds=[float(s) for s in state.seconds.values()])
        if state.xi is not None:
            message.xi = conv.grasp_to_msg(self._grasp(state.xi))
        if state.eps is not None:
            message.eps = conv.residual_to_msg(self._space.names, np.array(state.eps))
        if executed:
            message.executed = conv.grasp_to_msg(self._grasp(executed["executed"]))
            message.phases = conv.phases_to_msg(executed["phases"])
        return message

    def _grasp(self, record: dict[str, Any]) -> GraspParameters:
        return GraspParameters(np.array(record["contact"]), np.array(record["wrist_rotation"]),
                               tuple(record["joint_names"]), np.array(record["joints"]), self._hand.name,
                               self._robot.base_frame)


def _success(value: bool | None) -> int:
    return {True: Episode.SUCCESS_YES, False: Episode.SUCCESS_NO, None: Episode.SUCCESS_UNKNOWN}[value]


def main() -> None:
    """Executable `cem_server`."""
    run_node(CemServer, threads=8)


if __name__ == "__main__":
    main()
