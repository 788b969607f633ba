"""Pick a cup: off the table and held to the end of the trial (the paper's test)."""

from __future__ import annotations

import mujoco
import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_sim.history import Moment, Verdict
from deft_sim.objects.cups import CUPS, Cup, add_cup
from deft_sim.objects.shapes import Spot
from deft_sim.scenes import FORWARD, LEFT, Competent, Via
from deft_sim.scoring import Watched, ramp

OBJECTS = CUPS
SHOWN = (Via(0.0), Via(1.2, (0.0, 0.0, 0.15)))
GRASP_HEIGHT = 0.065  # m, the hand's edge clears the table


class Score(Config):
    """`score:` of the task."""

    full_lift: Positive = Field(description="m, counts as lifted all the way")
    off_table: Positive = Field(description="m under the cup that counts as off the table")


def build(spec: mujoco.MjSpec, thing: Cup, spot: Spot, rng: np.random.Generator) -> None:
    """See Scene."""
    add_cup(spec, thing, spot)


def judge(watched: Watched, score: Score) -> Verdict:
    """A third for the highest lift, the rest for the height at the end, times how upright, if the cup is held there."""
    end, held = watched.at_end, watched.held()
    kept = held * ramp(end.bottom, score.full_lift) * max(end.upright(), 0.0)
    progress = ramp(watched.lifted(), score.full_lift) / 3 + kept * 2 / 3
    return watched.verdict(progress, held and end.bottom > score.off_table,
                           ("held", "held on the table", "dropped" if watched.lifted() > score.off_table else "not lifted"))


def competent(moment: Moment) -> Competent:
    """See Scene: from the side, fingers forward, palm to the left."""
    x, y, bottom = moment.position()
    return Competent(np.array([x, y, bottom + GRASP_HEIGHT]), FORWARD, LEFT, "wrap")
