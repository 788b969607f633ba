"""Episodes and the state of a session as messages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from deft_msgs.msg import Episode, SessionStatus
from rclpy.clock import Clock
from std_msgs.msg import Header

from deft_cem import __version__
from deft_cem.control import SessionControl
from deft_cem.loop import Progress, recorded_grasp, seconds_left
from deft_cem.methods import Method
from deft_cem.search.gaussian import best
from deft_cem.session import EpisodeState, Session
from deft_core.config import content_hash
from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.residual import ResidualSpace
from deft_core.ros import conversions as conv
from deft_core.types import GraspParameters

if TYPE_CHECKING:
    from deft_cem.graph_skills import GraphSkills

AWAITED, RETRY = "executed", "retry"  # statuses of episodes that have no final one


def status_message(session: Session, method: Method, progress: Progress, control: SessionControl, space: ResidualSpace,
                   elapsed: float, done_before: int, elites: int, requires_approval: bool) -> SessionStatus:
    """Where the session stands; `elapsed` s since it was opened here, with `done_before` episodes finished then.

    Args:
        space: where eps lives.
        elites: how many of the best episodes are named.
    """
    finished, rewards, scored, spec = session.finished(), session.rewards(), session.scored(), session.spec
    spread = method.spread(progress.episode, scored)
    unknown = [math.nan] * space.size
    return SessionStatus(
        session=session.id, session_dir=str(session.folder), task=spec.task, object_set=spec.object_set,
        method=method.name, state=progress.state, episode=progress.episode, episodes=spec.episodes,
        scored=len(rewards), infeasible_samples=progress.infeasible_samples, finished_episodes=[s.episode for s in finished],
        statuses=[s.status for s in finished],
        rewards=[rewards.get(s.episode, math.nan) for s in finished], best_reward=session.best_reward(),
        rejected_samples=progress.rejected_samples, requires_approval=requires_approval,
        successes=[success_value(s.success) for s in finished],
        elites=[s.episode for s in best(scored, elites)], residual_names=list(space.names),
        residual_sigma=space.sigma.tolist(), residuals=[v for s in finished for v in (unknown if s.eps is None else s.eps)],
        mean_shift=float(np.linalg.norm(spread.mean)) if spread else math.nan,
        mean_sigma=float(spread.std.mean()) if spread else math.nan, seconds_elapsed=elapsed,
        seconds_left=seconds_left(session, elapsed, len(finished) - done_before), pausing=control.pausing,
        message=progress.message)


class EpisodeRecords:
    """Makes Episode messages for one robot and hand; `space` is where eps lives."""

    def __init__(self, robot: RobotConfig, hand: HandConfig, space: ResidualSpace, clock: Clock) -> None:
        self._robot, self._hand, self._space, self._clock = robot, hand, space, clock

    def message(self, session: Session, state: EpisodeState, skills: GraphSkills | None = None, seen: bool = False) -> Episode:
        """The record of an episode.

        Args:
            skills: has the pictures; None for a later answer, since an earlier record has them.
            seen: with observation and affordance.
        """
        executed, reward = state.executed or {}, session.rewards().get(state.episode, math.nan)
        message = Episode(
            header=Header(stamp=self._clock.now().to_msg(), frame_id=self._robot.base_frame), session=session.id,
            task=session.spec.task, object_set=session.spec.object_set, episode=state.episode, attempt=state.attempt,
            seed=session.spec.seed, software_version=__version__, hand=self._hand.name, robot=self._robot.name,
            hand_hash=content_hash(self._hand), robot_hash=content_hash(self._robot),
            calibration_hash=session.spec.calibration_hash, reason=state.reason,
            status=state.status or (AWAITED if executed else RETRY),
            redraws=state.redraws, reward=reward, reward_source=state.source, revision=len(state.history),
            suggested_reward=math.nan if state.suggested is None else state.suggested,
            repeat_of=-1 if state.repeat_of is None else state.repeat_of, control=state.control,
            success=success_value(state.success), note=state.note, timing_names=list(state.seconds),
            timing_seconds=[float(s) for s in state.seconds.values()])
        if skills is not None:
            if seen:
                message.observation, message.affordance = skills.observation, skills.affordance
            message.image_end, message.image_after = skills.image_end, skills.image_after
        if state.xi is not None:
            message.xi = conv.grasp_to_msg(self._grasp(state.xi))
        if state.eps is not None:
            message.eps = conv.residual_to_msg(self._space, np.array(state.eps))
        if executed:
            message.executed = conv.grasp_to_msg(self._grasp(executed["executed"]))
            message.phases = conv.phases_to_msg(executed["phases"])
        return message

    def _grasp(self, record: dict[str, Any]) -> GraspParameters:
        return recorded_grasp(record, self._hand.name, self._robot.base_frame)


def success_value(value: bool | None) -> int:
    """Whether the task succeeded, as Episode says it."""
    return {True: Episode.SUCCESS_YES, False: Episode.SUCCESS_NO, None: Episode.SUCCESS_UNKNOWN}[value]
