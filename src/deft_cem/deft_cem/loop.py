"""The fine-tuning loop: the iterations of Algorithm 1, with a journal, an operator and a fallible robot."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deft_cem import codes
from deft_cem.approval import Decision
from deft_cem.asking import MAX_ATTEMPTS, POLL_SECONDS, Asking
from deft_cem.control import SessionControl, SessionFinished
from deft_cem.methods import Method, Sample
from deft_cem.session import EpisodeState, Session
from deft_cem.skills import Look, Proposal, Skills
from deft_core.errors import INFEASIBLE_GRASP, ROBOT_FAULT, DeftError, Interrupted
from deft_core.residual import ResidualSpace
from deft_core.types import Array, GraspParameters

CAMERA_RETRY_SECONDS = 0.5
STOPPED = 406  # code of CheckGrasp and ExecuteGrasp


@dataclass
class Progress:
    """Where the loop stands; `message` is one line for a person."""

    state: str = "idle"
    episode: int = 0
    message: str = ""
    infeasible_samples: int = 0
    rejected_samples: int = 0


def grasp_record(grasp: GraspParameters) -> dict[str, Any]:
    """A grasp as plain values for the journal: m and rad, base frame."""
    return {"contact": grasp.contact.tolist(), "wrist_rotation": grasp.wrist_rotation.tolist(),
            "joint_names": list(grasp.joint_names), "joints": grasp.joints.tolist(),
            "trajectory_offset": grasp.trajectory_offset.tolist()}


def recorded_grasp(record: dict[str, Any], hand: str, frame: str) -> GraspParameters:
    """A grasp from `grasp_record`, of a hand and in a base frame by their names; journals of before know no offset."""
    return GraspParameters(np.array(record["contact"]), np.array(record["wrist_rotation"]), tuple(record["joint_names"]),
                           np.array(record["joints"]), hand, frame, np.array(record.get("trajectory_offset", (0.0, 0.0, 0.0))))


class FineTuningLoop:
    """Runs a session to its end, or until cancelled.

    Args:
        asking: the operator's side.
        control: what the operator may ask of the session meanwhile.
        on_progress: told whenever the state changes.
        on_executed: told of every episode when the robot is parked, before the journal knows.
        on_finished: told of every episode that got its final status.
        cancelled: polled; true ends the loop after the robot holds.
        reset_first: ask the operator to make the scene ready before the first episode.
        fit_policy: fit the residual policy when the last episode is finished.
    """

    def __init__(self, session: Session, method: Method, space: ResidualSpace, skills: Skills, asking: Asking,
                 control: SessionControl, on_progress: Callable[[Progress], None], on_executed: Callable[[EpisodeState], None],
                 on_finished: Callable[[EpisodeState], None], cancelled: Callable[[], bool], reset_first: bool,
                 fit_policy: bool = False) -> None:
        self._session, self._method, self._space = session, method, space
        self._skills, self._asking, self._control = skills, asking, control
        self._on_progress, self._on_executed, self._on_finished = on_progress, on_executed, on_finished
        self._cancelled, self._reset_first, self._fits = cancelled, reset_first, fit_policy and method.learns
        self.progress = Progress(infeasible_samples=sum(s.redraws for s in session.finished()),
                                 rejected_samples=sum(len(s.rejected) for s in session.finished()))
        self._seconds: dict[str, float] = {}
        self._policy_fitted = False

    def run(self) -> None:
        """Go on from where the journal ends, to the last episode.

        Raises:
            Interrupted: cancelled.
            DeftError: JOURNAL_FAILED, or a failure that waiting and repeating cannot mend.
        """
        ready = not (self._reset_first or (self._session.resumed and self._asking.unattended))
        try:
            while self._may_go_on() and (episode := self._session.next_episode()) is not None:
                state = self._session.episodes.get(episode)
                if state is not None and state.awaiting:
                    self._reward(episode, look=None)
                elif ready:
                    self._episode(episode, state.attempt if state else 0)
                else:
                    self._ask_reset(episode, "session start: make the scene ready")
                ready = True
        except SessionFinished:
            pass
        finally:
            self._skills.propose(None)
        ended = self._control.finishing
        if ended is not None and self._session.next_episode() is not None:
            self._session.record("ended", reason=ended)
        early = self._session.ended
        ending = "all episodes are finished" if early is None else f"ended early: {early}"
        self._tell("done", f"{ending}; {self._fit_policy()}" if self._fits else ending)

    def _fit_policy(self) -> str:
        """Fit the residual policy to the session; what came of it. A policy that cannot be fitted spoils no session."""
        self._tell("fitting_policy", "")
        try:
            return self._skills.fit_policy(self._session.spec.seed, lambda step: self._tell("fitting_policy", step))
        except DeftError as error:
            return f"no policy was fitted: {error.message}"

    def _may_go_on(self) -> bool:
        """Wait while the operator pauses the session; false when it is to end now."""
        self._check_cancelled()
        if self._control.pausing and self._control.finishing is None:
            self._tell("paused", "go on with `deft session go-on`")
            while not self._control.wait_to_go_on(POLL_SECONDS):
                self._check_cancelled()
        return self._control.finishing is None

    # -- one episode ----------------------------------------------------------------------------------

    def _episode(self, episode: int, attempt: int) -> None:
        self.progress.episode = episode
        self._seconds = {}
        try:
            with self._phase("parking"):
                self._skills.park(self._seed_of(episode))
        except DeftError as error:
            self._failed(episode, attempt, error, of_grasp=False)
            return
        try:
            with self._phase("observing"):
                look = self._observe(episode)
            with self._phase("predicting"):
                xi = self._skills.predict(look, self._session.spec.task, self._seed_of(episode))
            sample, redraws, refusal = self._approved_sample(episode, attempt, xi, look)
            if sample is None:
                self._finish(episode, attempt, "void", reason=refusal)
                self._ask_reset_after(episode, refusal)
                return
            self._session.record("sampled", episode=episode, attempt=attempt, xi=grasp_record(xi), eps=sample.eps.tolist(),
                                 redraws=redraws, control=sample.control, repeat_of=sample.repeat_of, fallback=sample.fallback,
                                 look=look.summary)
            if refusal:
                self._finish(episode, attempt, "infeasible", reason=refusal)
                self._ask_reset_after(episode, refusal)
                return
            with self._phase("executing"):
                outcome = self._skills.execute(self._space.apply(xi, sample.eps), look, self._session.spec.task,
                                               self._seed_of(episode), self._phase_message)
        except DeftError as error:
            self._failed(episode, attempt, error, of_grasp=True)
            return
        self._seconds["planning"] = round(outcome.planning, 3)
        self._seconds["executing"] = round(max(0.0, self._seconds["executing"] - outcome.planning), 3)
        executed = {"executed": grasp_record(outcome.executed), "lift": outcome.lift, "stop_reason": outcome.stop_reason,
                    "phases": [list(p) for p in outcome.phases]}
        # Told first: what was seen is kept before the journal says that the episode need not be executed again.
        with self._phase("recording"):
            self._on_executed(replace(self._session.episodes[episode], executed=executed, seconds=dict(self._seconds)))
        self._session.record("executed", episode=episode, attempt=attempt, **executed, seconds=dict(self._seconds))
        self._reward(episode, look)

    def _observe(self, episode: int) -> Look:
        """Look until there is something to see: wait for the camera, ask the operator for the object."""
        while True:
            self._check_cancelled()
            if self._control.finishing is not None:
                raise SessionFinished
            try:
                return self._skills.observe(self._session.spec.task)
            except DeftError as error:
                if error.code in codes.CAMERA_PROBLEMS:
                    self._tell("waiting_camera", error.message)
                    time.sleep(CAMERA_RETRY_SECONDS)
                elif error.code in codes.SCENE_PROBLEMS:
                    self._ask_reset(episode, error.message)
                else:
                    raise
                self._tell("observing", "")

    def _approved_sample(self, episode: int, attempt: int, xi: GraspParameters,
                         look: Look) -> tuple[Sample | None, int, str]:
        """A sample that the robot can execute and a person approves, where one is asked: see `_sample`.

        None in its place: the person skips the episode; the last value says so.
        """
        while True:
            with self._phase("sampling"):
                sample, redraws, refusal = self._sample(episode, xi, look)
            if refusal:
                return sample, redraws, refusal
            rejected = self._rejected(episode)
            proposal = Proposal(self._session.id, episode, attempt, redraws + len(rejected), xi, sample.eps, sample.control,
                                sample.repeat_of, look, self._asking.requires_approval)
            if proposal.needs_answer:
                self._tell("awaiting_approval", "approve, reject or skip the planned grasp")
            started = time.monotonic()
            decision = self._asking.approved(proposal)
            if proposal.needs_answer:
                waited = self._seconds.get("awaiting_approval", 0.0) + time.monotonic() - started
                self._seconds["awaiting_approval"] = round(waited, 3)
            if decision is Decision.approve:
                return sample, redraws, ""
            if decision is Decision.skip:
                return None, redraws, "skipped before it was executed"
            self.progress.rejected_samples += 1
            if sample.control or not self._method.learns:  # another draw would be the same
                return None, redraws, "not approved, and another draw would be the same"

    def _rejected(self, episode: int) -> list[dict[str, Any]]:
        """The samples of an episode that a person did not approve."""
        state = self._session.episodes.get(episode)
        return state.rejected if state else []

    def _sample(self, episode: int, xi: GraspParameters, look: Look) -> tuple[Sample, int, str]:
        """Draw until the robot can execute it: the sample, how many were refused, and why when all were.

        Goes on after the draws that a person has rejected.
        """
        before, rejected = self._session.episodes.get(episode), self._rejected(episode)
        again = before is not None and before.eps is not None and before.eps not in [r["eps"] for r in rejected]
        if before is not None and again:  # another attempt: the same sample, where that is possible
            sample = Sample(np.array(before.eps), before.control, before.repeat_of, before.fallback)
            if not self._refusal(sample, xi, look):
                return sample, before.redraws, ""
        scored, refusal = self._session.scored(), ""

        def policy(draw: int) -> Array:
            if self._method.asks_policy and not self._policy_fitted:  # the session was gone on with, or too little was scored
                self._fit_for_samples()
                if not self._policy_fitted:
                    raise DeftError(codes.POLICY_REFUSED, "there is no policy yet")
            return self._skills.residual(look, xi, self._seed_of(episode, 2 + draw))

        first = rejected[-1]["draw"] + 1 if rejected else 0
        refused = first - len(rejected)
        for draw in range(first, first + self._method.max_draws):
            self._check_cancelled()
            sample = self._method.sample(episode, draw, scored, policy)
            refusal = self._refusal(sample, xi, look)
            if not refusal:
                return sample, refused, ""
            refused += 1
            self.progress.infeasible_samples += 1
            if sample.control:  # another draw would be the same
                return sample, refused, refusal
        return sample, refused, f"no feasible sample in {self._method.max_draws}; the last: {refusal}"

    def _refusal(self, sample: Sample, xi: GraspParameters, look: Look) -> str:
        """Why the robot cannot execute a sample, "" when it can. Raises DeftError for what is not the grasp's fault."""
        try:
            self._skills.check(self._space.apply(xi, sample.eps), look, self._session.spec.task)
        except DeftError as error:
            if error.code not in INFEASIBLE_GRASP:
                raise
            return error.message
        return ""

    def _failed(self, episode: int, attempt: int, error: DeftError, of_grasp: bool) -> None:
        """A step failed: infeasible when it speaks of the grasp, else aborted and tried again a few times."""
        if error.code in (codes.JOURNAL_FAILED, codes.PIPELINE_FAILED):
            raise error
        if error.code in (codes.NO_POLICY, codes.BAD_POLICY_INPUT):
            raise DeftError(codes.NO_RESIDUAL, error.message)
        if error.code in (STOPPED, ROBOT_FAULT):  # somebody wants the robot to stand still: no attempt is used up
            raise DeftError(codes.PIPELINE_FAILED, f"{error.message}, then run again with the same session folder")
        if of_grasp and (error.code in INFEASIBLE_GRASP or error.code // 100 in (2, 3)):
            self._finish(episode, attempt, "infeasible", reason=error.message)
        elif attempt + 1 < MAX_ATTEMPTS:
            self._session.record("retry", episode=episode, attempt=attempt + 1, status="aborted", reason=error.message)
        else:
            self._finish(episode, attempt, "aborted", reason=error.message)
            if all(s.status == "aborted" for s in self._session.finished()[-3:]):
                raise DeftError(codes.PIPELINE_FAILED, f"episode {episode} failed {MAX_ATTEMPTS} times: {error.message}")
        self._ask_reset_after(episode, error.message)

    # -- the operator -----------------------------------------------------------------------------------

    def _reward(self, episode: int, look: Look | None) -> None:
        self.progress.episode = episode
        self._tell("awaiting_reward", "score the grasp, reset the scene, submit")
        self._asking.reward(episode, look)
        done = self._session.episodes[episode]
        if done.status:
            self._on_finished(done)
        with self._phase("refitting"):
            self._refit(episode + 1)
        if done.status == "scored" and done.source == "automatic":  # nobody was asked, so nobody has reset the scene
            self._ask_reset_after(episode, "scored from its picture; make the scene ready")

    def _refit(self, following: int) -> None:
        """Learn from the scores so far, before the next sample is asked for."""
        self._method.spread(following, self._session.scored())
        if self._method.asks_policy and following >= self._method.leads_from:
            self._fit_for_samples()

    def _fit_for_samples(self) -> None:
        """Fit the policy that the next samples come from. Where it cannot be fitted, the search's distribution draws them."""
        try:
            self._skills.fit_policy(self._session.spec.seed, lambda _: None)
            self._policy_fitted = True
        except DeftError as error:
            self._policy_fitted = False
            self._tell("refitting", f"no policy was fitted: {error.message}")

    def _ask_reset_after(self, episode: int, reason: str) -> None:
        """After an episode without a score the scene has to change, or the next would fail alike."""
        following = self._session.next_episode()
        if following is not None and self._control.finishing is None:
            self._ask_reset(following, f"episode {episode}: {reason}")

    def _ask_reset(self, episode: int, reason: str) -> None:
        self._tell("awaiting_reward", reason)
        self._asking.reset(episode, reason)

    # -- bookkeeping --------------------------------------------------------------------------------------

    def _finish(self, episode: int, attempt: int, status: str, reason: str) -> None:
        self._session.record("finished", episode=episode, attempt=attempt, status=status, reason=reason,
                             seconds=dict(self._seconds))
        self._on_finished(self._session.episodes[episode])

    def _seed_of(self, episode: int, purpose: int = 1) -> int:
        """A seed for planners and priors (1), or a draw of the policy (2 and more), by session seed and episode."""
        return int(np.random.SeedSequence([self._session.spec.seed, episode, purpose]).generate_state(1)[0])

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Announce a phase and measure its wall seconds."""
        self._tell(name, "")
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = round(self._seconds.get(name, 0.0) + time.monotonic() - started, 3)

    def _phase_message(self, phase: str) -> None:
        self._tell("executing", phase)

    def _tell(self, state: str, message: str) -> None:
        self.progress.state, self.progress.message = state, message
        self._on_progress(self.progress)

    def _check_cancelled(self) -> None:
        if self._cancelled():
            raise Interrupted


def seconds_left(session: Session, elapsed: float, done_here: int) -> float:
    """Estimate of the wall seconds left, NaN before the first episode is finished here."""
    left = session.spec.episodes - len(session.finished())
    return left * elapsed / done_here if done_here else math.nan
