"""The scripted operator: scores what it saw and resets the table, through the service a person would use."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import NonNegative
from deft_sim.history import Verdict
from deft_sim.world import SimWorld


class OperatorConfig(Config):
    """How the scripted person scores."""

    resolution: float = Field(0.05, ge=0.0, le=0.5, description="scores are rounded to steps of this; 0 = not at all")
    noise: NonNegative = Field(0.0, description="standard deviation of the error of a score")
    lapse: float = Field(0.0, ge=0.0, le=1.0, description="share of scores given without looking: any "
                         "value; success and note stay true")


def judge(world: SimWorld, phases: dict[str, tuple[float, float]], config: OperatorConfig,
          seed: int, episode: int) -> Verdict | None:
    """The verdict on what happened during `phases` (s, robot clock); None when it was not seen.

    An operator that was started after the grasp (the simulator was restarted) has not seen it.
    """
    moments = world.history.moments
    if not phases or not moments or world.history.diverged:
        return None
    start, end = min(a for a, _ in phases.values()), max(b for _, b in phases.values())
    if start < moments[0].time - 1e-6 or end > moments[-1].time + 1e-6:
        return None
    verdict = world.judge(phases)
    score = verdict.score
    rng = np.random.default_rng(np.random.SeedSequence([seed, episode, 7]))
    score += config.noise * float(rng.standard_normal())
    if rng.random() < config.lapse:
        score = float(rng.random())
    if config.resolution:
        score = round(score / config.resolution) * config.resolution
    return Verdict(round(float(np.clip(score, 0.0, 1.0)), 6), verdict.success, verdict.note)
