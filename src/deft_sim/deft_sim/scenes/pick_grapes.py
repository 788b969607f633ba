"""Pick up a bunch of grapes: every grape held above the table; one that falls off is a failure (the paper's test)."""

from __future__ import annotations

import mujoco
import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_sim.history import Moment, Verdict
from deft_sim.objects.food import BUNCHES, Bunch, add_bunch
from deft_sim.objects.shapes import Spot
from deft_sim.objects.stands import add_stand
from deft_sim.scenes import DOWN, FORWARD, Competent, Via
from deft_sim.scoring import Watched, ramp

OBJECTS = BUNCHES
SHOWN = (Via(0.0), Via(1.4, (0.0, 0.0, 0.14)))
STAND = 0.060          # m, height of the stand that the bunch is served on


class Score(Config):
    """`score:` of the task."""

    full_lift: Positive = Field(description="m, counts as lifted all the way")
    off_stand: Positive = Field(description="m, lowest grape above the stand: success")
    tears: Positive = Field(description="m, a grape pulled this far off its place has come off its stalk")


def build(spec: mujoco.MjSpec, thing: Bunch, spot: Spot, rng: np.random.Generator) -> None:
    """See Scene."""
    add_stand(spec, spot, STAND, 0.030)
    add_bunch(spec, thing, spot.moved(up=STAND))


def torn(moments: list[Moment], first: Moment, tears: float) -> int:
    """How many grapes were at any time pulled further from their place on the stem than their stalks bear."""
    rows = [row for name, row in first.things.items() if name.startswith("grape")]
    place = (first.positions[rows] - first.position()) @ first.matrix()
    lost = np.zeros(len(rows), bool)
    for moment in moments:
        now = (moment.positions[rows] - moment.position()) @ moment.matrix()
        lost |= np.linalg.norm(now - place, axis=1) > tears
    return int(lost.sum())


def judge(watched: Watched, score: Score) -> Verdict:
    """A third for the highest lift, the rest for the height at the end, less what was torn off."""
    held, end = watched.held(), watched.at_end
    lost = torn(watched.since_closing_began(), watched.first, score.tears)
    count = sum(name.startswith("grape") for name in end.things)
    progress = (ramp(watched.lifted() - STAND, score.full_lift) / 3
                + held * ramp(end.bottom - STAND, score.full_lift) * (1.0 - lost / count) ** 2 * 2 / 3)
    return watched.verdict(progress, held and not lost and end.bottom > STAND + score.off_stand,
                           ("all held", f"{lost} grapes torn off" if lost else "held low", "dropped or not lifted"))


def competent(moment: Moment) -> Competent:
    """See Scene: from above, fingers forward over the bunch."""
    return Competent(moment.grasp_line.mean(axis=0), FORWARD, DOWN, "cradle").moved(0.027, 0.007)
