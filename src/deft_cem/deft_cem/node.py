"""The fine-tuning server: actions fine_tune and evaluate, the reward service, status for everyone."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from deft_msgs.action import Evaluate, FineTune
from deft_msgs.msg import Episode, GraspProposal, RewardRequest, SessionStatus
from deft_msgs.srv import AmendReward, AnswerProposal, ControlSession, SubmitReward
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray

from deft_cem import codes
from deft_cem.approval import Approval, ApprovalDesk, Decision
from deft_cem.asking import Asking
from deft_cem.control import SessionControl
from deft_cem.episode_records import EpisodeRecords, status_message
from deft_cem.gate import wilson
from deft_cem.graph_skills import GraphSkills
from deft_cem.jobs import Job, Jobs
from deft_cem.loop import FineTuningLoop, Progress
from deft_cem.policy_client import PolicyClient
from deft_cem.recorder import Recorder
from deft_cem.recording import RecordConfig
from deft_cem.rewards.automatic import Judge, make_judge
from deft_cem.rewards.config import RewardConfig
from deft_cem.rewards.desk import Answer, RewardDesk
from deft_cem.rewards.ranking import BETTER, EQUAL, WORSE
from deft_cem.search.basis import make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.session import EpisodeState, Session
from deft_cem.summary import summarise, write
from deft_core.descriptions import TaskConfig
from deft_core.errors import ConfigError, DeftError, Interrupted
from deft_core.ros import conversions as conv
from deft_core.ros import markers, names, qos
from deft_core.ros.camera_pose import CameraPose
from deft_core.ros.node import (
    DeftNode,
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
TRANSFORM_SECONDS = 2.0  # for tf2 to say where the camera is, when a session begins
SAMPLING_POLICY = "cvae"  # whose samples differ: what an elite mean or a regression says would repeat itself
STATUS_SECONDS = 0.5  # the status is sent again this often, so that panels notice when it stops
SAID = {SubmitReward.Request.SUCCESS_YES: True, SubmitReward.Request.SUCCESS_NO: False}
COMPARED = {SubmitReward.Request.COMPARED_BETTER: BETTER, SubmitReward.Request.COMPARED_WORSE: WORSE,
            SubmitReward.Request.COMPARED_EQUAL: EQUAL}
DECISIONS = {AnswerProposal.Request.APPROVE: Decision.approve, AnswerProposal.Request.REJECT: Decision.reject,
             AnswerProposal.Request.SKIP: Decision.skip}


@dataclass(frozen=True)
class Running:
    """The session that runs, for the services that speak of it."""

    session: Session
    job: Job
    control: SessionControl
    recorder: Recorder


class CemServer(DeftNode):
    """Runs one session at a time; everything it decides is in deft_cem's core modules."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("deft_cem", **kwargs)
        self._config_dir = declare_config_dir(self)
        self._robot, self._hand = declare_robot(self, self._config_dir), declare_hand(self, self._config_dir)
        self._config = declare_fields(self, SearchConfig, "search.")
        self._rewards = declare_fields(self, RewardConfig, "rewards.")
        self._recording = declare_fields(self, RecordConfig, "record.")
        basis = make_basis(self._config, self._hand.motors, self._hand.name, self._config_dir)
        self._space = basis.space
        self._camera_pose = CameraPose(self, self._robot)
        self._records = EpisodeRecords(self._robot, self._hand, self._space, self.get_clock())
        self._judges: dict[str, Judge] = {}
        self._running: Running | None = None
        self._fitted = ""  # policy of the last session
        self._closing = threading.Event()
        self._reset_first = declare(self, "confirm_scene_at_start", False,
                                    "ask the operator to make the scene ready before the first episode")
        self._fit_policy = declare(self, "fit_policy", True, "fit the residual policy when the last episode is finished")
        requires_approval = declare(self, "require_approval", False, "every grasp waits for a person's approval "
                                    "(answer_proposal) before the robot executes it")
        sessions_dir = Path(declare(self, "sessions_dir", "~/.deft/sessions", "where new sessions are put")).expanduser()
        refuse_unknown_parameters(self)
        self._jobs = Jobs(self._config_dir, self._robot, self._hand, self._config, self._rewards, basis, sessions_dir,
                          lambda: self._camera_pose.now(TRANSFORM_SECONDS))
        self._busy, self._summarising = threading.Lock(), threading.Lock()
        self._desk = RewardDesk()
        self._approvals = ApprovalDesk() if requires_approval else None
        self._clients_group = ReentrantCallbackGroup()
        self._status = self.create_publisher(SessionStatus, names.SESSION_STATUS, qos.LATCHED)
        self._requests = self.create_publisher(RewardRequest, names.REWARD_REQUEST, qos.LATCHED)
        self._episodes = self.create_publisher(Episode, names.EPISODE, qos.EPISODES)
        self._proposals = self.create_publisher(GraspProposal, names.GRASP_PROPOSAL, qos.LATCHED)
        self._residuals = self.create_publisher(MarkerArray, names.RESIDUAL_MARKERS, qos.LATCHED)
        self._configurations = self.create_publisher(String, names.SESSION_CONFIG, qos.LATCHED)
        for service, name, answer in ((SubmitReward, names.SUBMIT_REWARD, self._submit),
                                      (AmendReward, names.AMEND_REWARD, self._amend),
                                      (ControlSession, names.CONTROL_SESSION, self._control),
                                      (AnswerProposal, names.ANSWER_PROPOSAL, self._answer_proposal)):
            self.create_service(service, name, answer, callback_group=MutuallyExclusiveCallbackGroup())
        for action, name, run in ((FineTune, names.FINE_TUNE, self._fine_tune), (Evaluate, names.EVALUATE, self._evaluate)):
            ActionServer(self, action, name, run, callback_group=ReentrantCallbackGroup(), goal_callback=self._accept,
                         cancel_callback=lambda _: CancelResponse.ACCEPT)
        self._newest = SessionStatus()
        self.create_timer(STATUS_SECONDS, lambda: self._status.publish(self._newest),
                          callback_group=MutuallyExclusiveCallbackGroup())

    def begin(self) -> None:
        """Nothing runs: who waits for an earlier server's session learns of it. See DeftNode."""
        self._tell_idle("", "")

    def _tell_status(self, status: SessionStatus) -> None:
        self._newest = status
        self._status.publish(status)

    def _tell_proposal(self, proposal: GraspProposal, shown: Sequence[Marker] = ()) -> None:
        """What is executed next, and its residual as markers."""
        self._proposals.publish(proposal)
        self._residuals.publish(markers.fresh(proposal.header, shown))

    def _tell_idle(self, session_dir: str, message: str) -> None:
        """For everyone: nothing runs."""
        self._tell_status(SessionStatus(state="idle", session_dir=session_dir, message=message, best_reward=math.nan,
                                        seconds_left=math.nan))

    # -- goals -----------------------------------------------------------------------------------------

    def _accept(self, _: Any) -> GoalResponse:
        """Reject at once while a session runs."""
        if self._busy.locked():
            self.get_logger().warning("goal rejected: a session is running (see deft/session_status)")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _fine_tune(self, handle: ServerGoalHandle) -> FineTune.Result:
        goal = handle.request
        result = FineTune.Result(best_reward=math.nan)

        def run() -> None:
            if self._config.next_sample == "policy" and not self._recording.bag:
                raise DeftError(codes.BAD_GOAL, "search.next_sample: policy needs the bag to fit it from; set record.bag true")
            job = self._jobs.fine_tuning(goal.task, goal.episodes or DEFAULT_EPISODES, goal.seed, goal.object_set or "train",
                                         goal.session_dir, goal.force)
            self._run(handle, job, result, FineTune.Feedback)

        def fill(summary: dict[str, Any]) -> None:
            totals = summary["totals"]
            result.scored, result.infeasible = totals["scored"], totals["infeasible"]
            result.best_reward = math.nan if totals["best_reward"] is None else totals["best_reward"]
            result.gate = summary["gate"]["words"] if summary["gate"] else ""
            result.policy_file = self._fitted
            if summary["tuned"]:
                result.tuned = conv.residual_to_msg(self._space, np.array(summary["tuned"]))

        return self._carry_out(handle, result, run, fill, offset=0)

    def _evaluate(self, handle: ServerGoalHandle) -> Evaluate.Result:
        goal = handle.request
        result = Evaluate.Result(wilson_high=1.0)

        def run() -> None:
            job = self._jobs.evaluation(goal.task, goal.method, goal.source_session_dir, goal.policy_file, goal.trials,
                                        goal.seed, goal.object_set or "train", goal.session_dir)
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
        self._tell_status(SessionStatus(state="starting", session_dir=str(job.folder), task=job.task.name,
                                        method=job.method.name, best_reward=math.nan, seconds_left=math.nan))
        judge = self._judge(job.task)
        session = Session(job.folder, job.spec, job.force)
        result.session, result.session_dir = session.id, str(job.folder)
        if session.journal.repaired:
            self.get_logger().warning(session.journal.repaired)

        def cancelled() -> bool:
            return bool(handle.is_cancel_requested or self._closing.is_set())

        recorder = Recorder(self, job.folder / "bag", self._robot, self._recording)
        policy = PolicyClient(self, self._space, self._clients_group, session.id, job.folder, job.policy_file,
                              SAMPLING_POLICY if job.method.asks_policy and job.method.learns else "", cancelled)
        skills = GraphSkills(self, self._robot.camera, job.task, job.spec.object_set, self._clients_group, self._requests,
                             self._tell_proposal, self._space, job.folder / "pictures", recorder, policy, cancelled)
        control = SessionControl(session, self._desk)
        self._running = running = Running(session, job, control, recorder)
        started, done_before = time.monotonic(), len(session.finished())

        def on_progress(progress: Progress) -> None:
            status = status_message(session, job.method, progress, control, self._space, time.monotonic() - started,
                                    done_before, self._config.deft.elites, self._approvals is not None)
            self._tell_status(status)
            recorder.keep(recorder.status, status)
            handle.publish_feedback(feedback(status=status))

        def on_executed(state: EpisodeState) -> None:
            self._tell_episode(running, state, skills, seen=True)

        def on_finished(state: EpisodeState) -> None:
            self._tell_episode(running, state, skills, seen=state.executed is None)
            self._write_summary(session, job)

        asking = Asking(session, self._desk, skills, control, self._rewards, judge, cancelled, self._approvals)
        loop = FineTuningLoop(session, job.method, self._space, skills, asking, control, on_progress, on_executed, on_finished,
                              cancelled, self._reset_first, self._fit_policy)
        self._tell_opening(running)
        try:
            loop.run()
        finally:
            self._running = None
            self._fitted = policy.policy_file if job.method.learns else ""
            self._summary = self._write_summary(session, job)
            skills.close()
            recorder.close()
            session.close()

    def _tell_opening(self, running: Running) -> None:
        """What the session works with, and what is known of its episodes: the bag may have missed the end of a killed run."""
        configuration = String(data=yaml.safe_dump(running.job.spec.resolved, sort_keys=False))
        self._configurations.publish(configuration)
        running.recorder.keep(running.recorder.configuration, configuration)
        for state in [*running.session.finished(), *running.session.taken_back()]:
            running.recorder.keep(running.recorder.episode, self._records.message(running.session, state))

    def _tell_episode(self, running: Running, state: EpisodeState, skills: GraphSkills | None = None,
                      seen: bool = False) -> None:
        """Publish and keep the record of an episode."""
        message = self._records.message(running.session, state, skills, seen)
        self._episodes.publish(message)
        running.recorder.keep(running.recorder.episode, message, flush=True)

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
        self._camera_pose.close()
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
                self._tell_episode(running, state)
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
            said = actions[request.command](request.note)
            if request.command == kinds.REPEAT:
                self._tell_taken_back(running)
            return said

        return self._answered(response, command, codes.CONTROL_NOT_SAVED)

    def _answer_proposal(self, request: AnswerProposal.Request,
                         response: AnswerProposal.Response) -> AnswerProposal.Response:
        def answer() -> str:
            if request.answer not in DECISIONS:
                raise DeftError(codes.BAD_DECISION, f"unknown answer {request.answer}; valid: 1 approve, 2 reject, 3 skip")
            if self._approvals is None:
                raise DeftError(codes.NOTHING_PROPOSED, "grasps need no approval here (parameter require_approval)")
            return self._approvals.submit(request.session, request.episode, request.attempt, request.draw,
                                          Approval(DECISIONS[request.answer], request.note))

        return self._answered(response, answer, codes.APPROVAL_NOT_SAVED)

    def _tell_taken_back(self, running: Running) -> None:
        """Records of episodes that were finished and are to be done again: who has the earlier record learns of it."""
        for state in running.session.taken_back():
            self._tell_episode(running, state)

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
