"""What the fine-tuning loop needs, done by the simulated robot in the caller's thread, and the person beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from deft_affordance.codes import BAD_OBSERVATION
from deft_bench.sim_robot import SimRobot
from deft_cem import codes
from deft_cem.rewards.desk import Answer, RewardDesk
from deft_cem.skills import Look, Outcome, Proposal, Request
from deft_core.errors import DeftError
from deft_core.types import Array, GraspParameters
from deft_core.vision import Picture
from deft_perception.observation import Observation
from deft_policy.fitting import Features
from deft_policy.policy import ResidualPolicy
from deft_sim.operator import OperatorConfig, judge

LETTING_GO = "release"  # phase of the executor; what is seen as it begins is the end of the grasp


def never() -> bool:
    """Nobody interrupts a study but by ending its process; its sessions are resumed."""
    return False


class Table:
    """The table of a robot as a person lays it. What the camera sees of a scene is rendered once: studies lay the same again
    and again, for one search or policy after the other."""

    def __init__(self, rig: SimRobot) -> None:
        self.rig = rig
        self._scene, self._version = ("", -1), -1
        self._seen: dict[tuple[str, int], tuple[Observation, Callable[[], None]]] = {}

    @property
    def episode(self) -> int:
        """Whose scene lies there; -1 for none."""
        return self._scene[1]

    def lay(self, objects: str, episode: int) -> None:
        """Put the objects of an episode on the table."""
        self.rig.world.reset(objects, episode)
        self._scene, self._version = (objects, episode), self.rig.world.version

    def observe(self) -> Observation:
        """See SimRobot.observe. Raises DeftError."""
        untouched = self.rig.world.version == self._version
        if untouched and self._scene in self._seen:
            seen, again = self._seen[self._scene]
            again()
            return seen
        seen = self.rig.observe()
        if untouched:
            self._seen[self._scene] = seen, self.rig.remember()
        return seen


class BenchSkills:
    """See deft_cem.skills.Skills for the methods.

    Args:
        table: with the robot at it.
        desk: where the scripted person submits.
        seed: of the world.
        crops: folder for pictures of the objects, which policies are fitted to.
        policy: that is asked for residuals; None without one.
        features: what it sees pictures by; None where it does not look.
    """

    def __init__(self, table: Table, object_set: str, desk: RewardDesk, operator: OperatorConfig, seed: int, crops: Path,
                 policy: ResidualPolicy | None = None, features: Features | None = None) -> None:
        self._table, self._rig, self._object_set, self._desk = table, table.rig, object_set, desk
        self._operator, self._seed, self._crops, self._policy = operator, seed, crops, policy
        self._features = features
        self._refused = -1  # the episode whose scene perception has refused
        self._final: Picture | None = None
        self.wants_final_picture = False

    def observe(self, task: str) -> Look:
        """See Skills."""
        self._final = None
        seen = self._observed()
        return Look(seen, {"roi": list(seen.roi), "box_centre": seen.box_centre.tolist(), "extent": seen.extent.tolist(),
                           "table_height": seen.table_height, "depth_valid_fraction": seen.depth_valid_fraction,
                           "mask_score": float(seen.mask_score), "warnings": list(seen.warnings)})

    def _observed(self) -> Observation:
        """A look. Raises DeftError; BAD_OBSERVATION, which makes the episode infeasible, where a scene that was laid again is
        refused again: the same scene looks the same."""
        try:
            return self._table.observe()
        except DeftError as error:
            episode, self._refused = self._refused, self._table.episode
            if episode == self._table.episode:
                raise DeftError(BAD_OBSERVATION, error.message) from None
            raise

    def predict(self, look: Look, task: str, seed: int) -> GraspParameters:
        """See Skills."""
        return self._rig.predict(look.handle, seed)

    def check(self, grasp: GraspParameters, look: Look, task: str) -> None:
        """See Skills."""
        self._rig.planner.plan(self._rig.goal(look.handle, grasp))

    def execute(self, grasp: GraspParameters, look: Look, task: str, seed: int, on_phase: Callable[[str], None]) -> Outcome:
        """See Skills."""
        def began(phase: str, _: float) -> None:
            if phase == LETTING_GO and self.wants_final_picture:
                self._final = self._rig.photograph()[0]

        done = self._rig.executor.execute(self._rig.goal(look.handle, grasp), seed, began, never)
        return Outcome(done.executed, done.lift, done.stop_reason, done.phases, done.planning)

    def park(self, seed: int) -> None:
        """See Skills."""
        self._rig.executor.park(seed, never)

    def final_picture(self, episode: int, attempt: int) -> Picture | None:
        """See Skills."""
        return self._final

    def residual(self, look: Look, xi: GraspParameters, seed: int) -> Array:
        """See Skills."""
        if self._policy is None:
            raise DeftError(codes.POLICY_REFUSED, "this session has no policy")
        features = self._features(self._rig.crop) if self._features else None
        return self._policy.residual(features, xi, seed)

    def fit_policy(self, seed: int, on_progress: Callable[[str], None]) -> str:
        """See Skills. Studies fit theirs afterwards, each of several kinds."""
        raise DeftError(codes.POLICY_REFUSED, "studies fit policies to finished sessions")

    def propose(self, proposal: Proposal | None) -> None:
        """See Skills. The crop is kept before the grasp is executed, as a bag would have it."""
        if proposal is not None and self._rig.crop is not None:
            self._crops.mkdir(parents=True, exist_ok=True)
            Image.fromarray(self._rig.crop).save(self._crops / f"{proposal.episode:03d}.png")

    def ask(self, request: Request | None) -> None:
        """See Skills. The person answers at once: scores what was seen, and lays the next scene."""
        if request is None:
            return
        verdict = None
        if request.outcome is not None:
            phases = {name: (start, end) for name, start, end in request.outcome["phases"]}
            verdict = judge(self._rig.world, phases, self._operator, self._seed, request.episode)
        following = request.next_episode if verdict is not None else request.episode
        if request.outcome is None:  # the robot may be stuck: a person frees it
            self._rig.world.push_back()
        if following >= 0:
            self._table.lay(self._object_set, following)
        if verdict is None:
            reason = "scene reset" if request.outcome is None else "the grasp was not seen"
            answer = Answer(math.nan, True, None, reason)
        else:
            answer = Answer(verdict.score, False, verdict.success, verdict.note)
        self._desk.submit(request.session, request.episode, answer)


def crop_of(folder: Path, episode: int) -> Picture | None:
    """The picture of an episode's object that `BenchSkills` kept; None without one."""
    try:
        return np.asarray(Image.open(folder / f"{episode:03d}.png").convert("RGB"))
    except OSError:
        return None
