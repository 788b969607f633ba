"""The fine-tuning server: actions fine_tune and evaluate, the reward service, status for everyone."""

from __future__ import annotations

import datetime
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from deft_msgs.action import Evaluate, FineTune
from deft_msgs.msg import Episode, RewardRequest, SessionStatus
from deft_msgs.srv import AmendReward, ControlSession, SubmitReward
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node

from deft_cem import __version__, codes
from deft_cem.asking import Asking
from deft_cem.control import SessionControl
from deft_cem.episode_records import EpisodeRecords, status_message
from deft_cem.gate import wilson
from deft_cem.graph_skills import GraphSkills
from deft_cem.loop import FineTuningLoop, Progress
from deft_cem.methods import FixedMethod, Method, SearchMethod
from deft_cem.rewards.automatic import Judge, make_judge
from deft_cem.rewards.config import RewardConfig
from deft_cem.rewards.desk import Answer, RewardDesk
from deft_cem.rewards.ranking import BETTER, EQUAL, WORSE
from deft_cem.search import make_search
from deft_cem.search.basis import make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.session import EpisodeState, Session, SessionSpec
from deft_cem.skills import Interrupted
from deft_cem.summary import read, summarise, write
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

DEFAULT_EPISODES = 30  # N of the paper
SHUTDOWN_SECONDS = 8.0
OBJECT_SETS = ("train", "test")
SAID = {SubmitReward.Request.SUCCESS_YES: True, SubmitReward.Request.SUCCESS_NO: False}
COMPARED = {SubmitReward.Request.COMPARED_BETTER: BETTER, SubmitReward.Request.COMPARED_WORSE: WORSE,
            SubmitReward.Request.COMPARED_EQUAL: EQUAL}


@dataclass(frozen=True)
class Job:
    """A goal, understood: what to run and how."""

    spec: SessionSpec
    task: TaskConfig
    folder: Path
    method: Method
    force: bool


@dataclass(frozen=True)
class Running:
    """The session that runs, for the services that speak of it."""

    session: Session
    job: Job
    control: SessionControl


class CemServer(Node):
    """Runs one session at a time; everything it decides is in deft_cem's core modules."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("deft_cem", **kwargs)
        self._config_dir = declare_config_dir(self)
        self._robot, self._hand = declare_robot(self, self._config_dir), declare_hand(self, self._config_dir)
        self._config = declare_fields(self, SearchConfig, "search.")
        self._rewards = declare_fields(self, RewardConfig, "rewards.")
        self._basis = make_basis(self._config, self._hand.motors, self._hand.name, self._config_dir)
        self._space = self._basis.space
        self._records = EpisodeRecords(self._robot, self._hand, self.get_clock())
        self._judges: dict[str, Judge] = {}
        self._running: Running | None = None
        self._closing = threading.Event()
        self._reset_first = declare(self, "confirm_scene_at_start", False,
                                    "ask the operator to make the scene ready before the first episode")
        self._sessions_dir = Path(declare(self, "sessions_dir", "~/.deft/sessions", "where new sessions are put")).expanduser()
        refuse_unknown_parameters(self)
        self._busy, self._summarising = threading.Lock(), threading.Lock()
        self._desk = RewardDesk()
        self._clients_group = ReentrantCallbackGroup()
        self._status = self.create_publisher(SessionStatus, names.SESSION_STATUS, qos.LATCHED)
        self._requests = self.create_publisher(RewardRequest, names.REWARD_REQUEST, qos.LATCHED)
        self._episodes = self.create_publisher(Episode, names.EPISODE, qos.EPISODES)
        for service, name, answer in ((SubmitReward, names.SUBMIT_REWARD, self._submit),
                                      (AmendReward, names.AMEND_REWARD, self._amend),
                                      (ControlSession, names.CONTROL_SESSION, self._control)):
            self.create_service(service, name, answer, callback_group=MutuallyExclusiveCallbackGroup())
        for action, name, run in ((FineTune, names.FINE_TUNE, self._fine_tune), (Evaluate, names.EVALUATE, self._evaluate)):
            ActionServer(self, action, name, run, callback_group=ReentrantCallbackGroup(), goal_callback=self._accept,
                         cancel_callback=lambda _: CancelResponse.ACCEPT)
        self._tell_idle("", "")

    def _tell_idle(self, session_dir: str, message: str) -> None:
        """For everyone: nothing runs. At the start, too, so that who waits for an earlier server's session learns of it."""
        self._status.publish(SessionStatus(state="idle", session_dir=session_dir, message=message, best_reward=math.nan,
                                           seconds_left=math.nan))

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

    def _job(self, task_name: str, method: Method, episodes: int, seed: int, object_set: str, folder: str,
             force: bool = False) -> Job:
        task = self._task(task_name)
        if episodes < 1:
            raise DeftError(codes.BAD_GOAL, f"a session needs at least one episode, not {episodes}")
        if object_set not in OBJECT_SETS:
            raise DeftError(codes.BAD_GOAL, f"unknown object set '{object_set}'; valid: {', '.join(OBJECT_SETS)}")
        robot = self._robot.model_dump(mode="json")
        camera = robot.pop("camera")
        tuned = method.result([]) if isinstance(method, FixedMethod) else None
        resolved = {"software_version": __version__, "task": task.model_dump(mode="json"), "robot": robot,
                    "calibration": camera, "hand": self._hand.model_dump(mode="json"),
                    "search": self._config.model_dump(mode="json"), "rewards": self._rewards.model_dump(mode="json"),
                    "tuned": None if tuned is None else tuned.tolist(), "method": method.name, "seed": seed,
                    "episodes": episodes, "object_set": object_set}
        hashed = {key: resolved[key] for key in ("task", "robot", "hand", "search", "rewards", "tuned")}
        spec = SessionSpec(task.name, method.name, episodes, seed, object_set, content_hash(hashed), content_hash(camera),
                           self._space.names, resolved, self._rewards.calibration_episodes)
        stamp = f"{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}"
        path = Path(folder).expanduser() if folder else self._sessions_dir / task.name / f"{method.name}_{stamp}"
        return Job(spec, task, path, method, force)

    def _fine_tune(self, handle: ServerGoalHandle) -> FineTune.Result:
        goal = handle.request
        result = FineTune.Result(best_reward=math.nan)

        def run() -> None:
            method = SearchMethod(make_search(self._config, self._basis, goal.seed), self._basis, goal.seed,
                                  self._config.max_draws, self._config.prior_every, self._rewards.recheck_every)
            job = self._job(goal.task, method, goal.episodes or DEFAULT_EPISODES, goal.seed, goal.object_set or "train",
                            goal.session_dir, goal.force)
            self._run(handle, job, result, FineTune.Feedback)

        def fill(summary: dict[str, Any]) -> None:
            totals = summary["totals"]
            result.scored, result.infeasible = totals["scored"], totals["infeasible"]
            result.best_reward = math.nan if totals["best_reward"] is None else totals["best_reward"]
            result.gate = summary["gate"]["words"] if summary["gate"] else ""
            if summary["tuned"]:
                result.tuned = conv.residual_to_msg(self._space.names, np.array(summary["tuned"]))

        return self._carry_out(handle, result, run, fill, offset=0)

    def _evaluate(self, handle: ServerGoalHandle) -> Evaluate.Result:
        goal = handle.request
        result = Evaluate.Result(wilson_high=1.0)

        def run() -> None:
            method = self._fixed(goal.method, goal.source_session_dir, goal.task)
            trials = goal.trials * (2 if goal.method == "versus" else 1)
            job = self._job(goal.task, method, trials, goal.seed, goal.object_set or "train", goal.session_dir)
            self._run(handle, job, result, Evaluate.Feedback)

        def fill(summary: dict[str, Any]) -> None:
            totals = summary["totals"]
            counted = [e for e in summary["episodes"] if not (e["control"] and summary["method"] == "versus")]
            result.trials = sum(e["status"] == "scored" for e in counted)
            result.infeasible = sum(e["status"] == "infeasible" for e in counted)
            result.successes, rated = totals["successes"], totals["rated"]
            result.success_rate = result.successes / rated if rated else math.nan
            result.wilson_low, result.wilson_high = wilson(result.successes, rated)
            result.gate = summary["gate"]["words"] if summary["gate"] else ""
            result.mean_reward = math.nan if totals["mean_reward"] is None else totals["mean_reward"]

        return self._carry_out(handle, result, run, fill, offset=100)

    def _fixed(self, name: str, source: str, task: str) -> FixedMethod:
        """The method of an evaluation. Raises DeftError."""
        if name == "prior":
            return FixedMethod("prior", self._space.size, None)
        if name not in ("tuned", "versus"):
            raise DeftError(codes.BAD_GOAL, f"unknown method '{name}'; valid: prior, tuned, versus")
        folder = Path(source).expanduser()
        summary = read(folder)
        for key, wanted in (("residual_names", list(self._space.names)), ("task", task)):
            if summary.get(key) != wanted:
                raise DeftError(codes.SESSION_MISMATCH, f"{folder} is of another {'hand' if key != 'task' else 'task'}: "
                                f"{summary.get(key)}")
        if not summary.get("tuned"):
            raise DeftError(codes.NO_RESIDUAL, f"{folder} holds too few scored episodes for a residual")
        return FixedMethod(name, self._space.size, np.array(summary["tuned"]))

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
            self._tell_idle(result.session_dir, result.error_msg)

    def _run(self, handle: ServerGoalHandle, job: Job, result: Any, feedback: Any) -> None:
        """Open the session, run the loop, write the summary whatever happens."""
        self._status.publish(SessionStatus(state="starting", session_dir=str(job.folder), task=job.task.name,
                                           method=job.method.name, best_reward=math.nan, seconds_left=math.nan))
        judge = self._judge(job.task)
        session = Session(job.folder, job.spec, job.force)
        result.session, result.session_dir = session.id, str(job.folder)
        if session.journal.repaired:
            self.get_logger().warning(session.journal.repaired)

        def cancelled() -> bool:
            return bool(handle.is_cancel_requested or self._closing.is_set())

        skills = GraphSkills(self, self._robot.camera, job.task, job.spec.object_set, self._clients_group, self._requests,
                             job.folder / "pictures", cancelled)
        control = SessionControl(session, self._desk)
        started, done_before = time.monotonic(), len(session.finished())

        def on_progress(progress: Progress) -> None:
            status = status_message(session, job.method, progress, control, time.monotonic() - started, done_before)
            self._status.publish(status)
            handle.publish_feedback(feedback(status=status))

        def on_finished(state: EpisodeState) -> None:
            self._episodes.publish(self._records.message(session, state, skills))
            self._write_summary(session, job)

        asking = Asking(session, self._desk, skills, control, self._rewards, judge, cancelled)
        loop = FineTuningLoop(session, job.method, self._space, skills, asking, control, on_progress, on_finished,
                              cancelled, self._reset_first)
        self._running = Running(session, job, control)
        try:
            loop.run()
        finally:
            self._running = None
            self._summary = self._write_summary(session, job)
            skills.close()
            session.close()

    def _judge(self, task: TaskConfig) -> Judge | None:
        """What rewards pictures, loaded once a task; None where people do. Raises DeftError BAD_GOAL."""
        if self._rewards.source not in ("suggested", "automatic"):
            return None
        if task.name not in self._judges:
            goal = self._config_dir / task.goal_image if task.goal_image else None
            try:
                self._judges[task.name] = make_judge(self._rewards, goal, task.text)
            except ConfigError as error:
                raise DeftError(codes.BAD_GOAL, str(error)) from None
        return self._judges[task.name]

    def _write_summary(self, session: Session, job: Job) -> dict[str, Any]:
        """Summarise and write. The journal is the record; a summary that cannot be written ends nothing."""
        folder = job.folder
        with self._summarising:  # an amendment may come while the loop finishes an episode
            summary = summarise(session, job.method)
            try:
                write(folder / "summary.json", summary)
            except OSError as error:
                self.get_logger().error(f"{folder}/summary.json could not be written: {error}")
        return summary

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
        answer = Answer(request.reward, request.voided, SAID.get(request.success), request.note,
                        COMPARED.get(request.comparison, ""), request.question)

        def submit() -> str:
            self._desk.submit(request.session, request.episode, answer)
            return "saved"

        return self._answered(response, submit, codes.NOT_SAVED)

    def _amend(self, request: AmendReward.Request, response: AmendReward.Response) -> AmendReward.Response:
        def amend() -> str:
            running = self._running
            if running is None or request.session not in ("", running.session.id):
                raise DeftError(codes.NO_SUCH_EPISODE, f"the running session is '{running.session.id}'" if running else "no "
                                "session runs; `deft amend --session FOLDER` amends one that does not")
            state = running.session.amend(request.episode, request.reward, SAID.get(request.success), request.voided,
                                          request.note)
            try:
                self._episodes.publish(self._records.message(running.session, state, None))
                self._write_summary(running.session, running.job)
            except Exception as error:  # it is saved all the same
                self.get_logger().error(f"amended, but not told to others: {error!r}")
            return f"episode {request.episode} is {state.status}; the search goes on from that"

        return self._answered(response, amend, codes.AMENDMENT_NOT_SAVED)

    def _control(self, request: ControlSession.Request, response: ControlSession.Response) -> ControlSession.Response:
        def command() -> str:
            running, kinds = self._running, ControlSession.Request
            if running is None:
                raise DeftError(codes.NO_SESSION, "no session runs")
            control = running.control
            actions = {kinds.PAUSE: control.pause, kinds.GO_ON: control.go_on, kinds.SKIP: control.skip,
                       kinds.REPEAT: control.repeat, kinds.FINISH: control.finish}
            if request.command not in actions:
                raise DeftError(codes.BAD_COMMAND, f"unknown command {request.command}; valid: 1 pause, 2 go on, 3 skip, "
                                "4 repeat, 5 finish")
            return actions[request.command](request.note)

        return self._answered(response, command, codes.CONTROL_NOT_SAVED)

    def _answered(self, response: Any, act: Callable[[], str], code: int) -> Any:
        """Fill the answer of a service: accepted with a message, or why not. `code` stands for the unexpected."""
        try:
            response.message = act()
            response.accepted = True
        except DeftError as error:
            response.error_code, response.message = error.code, error.message
        except Exception as error:  # the service must answer, and nothing was counted
            response.error_code, response.message = code, f"unexpected failure: {error!r}"
            self.get_logger().error(response.message)
        return response


def main() -> None:
    """Executable `cem_server`."""
    run_node(CemServer, threads=8)


if __name__ == "__main__":
    main()
