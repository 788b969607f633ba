"""Open a drawer that stands slightly open: at the end it is at least 1 cm further open (the paper's test)."""

from __future__ import annotations

import mujoco
import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_sim.history import Moment, Verdict
from deft_sim.objects.drawers import DRAWERS, Drawer, add_drawer
from deft_sim.objects.shapes import Spot
from deft_sim.scenes import DOWN, FORWARD, Competent, Via, on_handle
from deft_sim.scoring import Watched, ramp

OBJECTS = DRAWERS
SHOWN = (Via(0.0), Via(1.5, (-0.11, 0.0, 0.0)))


class Score(Config):
    """`score:` of the task."""

    enough: Positive = Field(description="m, further open than at the start: success")
    full: Positive = Field(description="m, further open: the full score")


def build(spec: mujoco.MjSpec, thing: Drawer, spot: Spot, rng: np.random.Generator) -> None:
    """See Scene."""
    add_drawer(spec, thing, spot)


def judge(watched: Watched, score: Score) -> Verdict:
    """How far it is opened; fingers on the handle are the grip that all tasks score."""
    opened = watched.at_end.joints["drawer"] - watched.first.joints["drawer"]
    success = opened >= score.enough
    return watched.verdict(ramp(opened, score.full), success and watched.finished,
                           (f"opened by {opened * 100:.0f} cm",) * 2 + ("not opened",))


def competent(moment: Moment) -> Competent:
    """See Scene: fingers down behind the bar, palm towards the front."""
    return on_handle(moment, FORWARD, DOWN, "hook")
