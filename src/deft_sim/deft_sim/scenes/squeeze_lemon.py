"""Squeeze half a lemon on a juicer: it is held firmly on top of the juicer at the end (the paper's test)."""

from __future__ import annotations

import mujoco
import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_sim.history import Moment, Verdict
from deft_sim.objects.food import LEMONS, Lemon, add_lemon
from deft_sim.objects.juicers import JUICERS, Juicer, add_juicer
from deft_sim.objects.shapes import Spot
from deft_sim.objects.stands import add_stand
from deft_sim.scenes import DOWN, FORWARD, Competent, Via
from deft_sim.scoring import Watched, ramp

OBJECTS = {name: tuple(zip(LEMONS[name], JUICERS[name], strict=True)) for name in LEMONS}
STAND = 0.070          # m, height of the stand that the lemon lies on
JUICER_LEFT = 0.17     # m from the lemon, where the demonstration had it
JUICER_STRAY = 0.005   # m, and how far off it may be
SHOWN = (Via(0.0), Via(0.8, (0.0, 0.02, 0.08)), Via(1.8, (0.0, JUICER_LEFT, 0.075)),
         Via(2.8, (0.0, JUICER_LEFT, 0.022)), Via(3.4, (0.0, JUICER_LEFT, 0.018)))


class Score(Config):
    """`score:` of the task."""

    full_lift: Positive = Field(description="m above the stand, counts as lifted all the way")
    firm: Positive = Field(description="m, that the flesh gives: success")
    over: Positive = Field(description="m, cut face beside the cone's tip: success")
    near: Positive = Field(description="m beside the juicer, where bringing it begins to count")


def build(spec: mujoco.MjSpec, thing: tuple[Lemon, Juicer], spot: Spot, rng: np.random.Generator) -> None:
    """See Scene."""
    lemon, juicer = thing
    add_stand(spec, spot, STAND, 0.022)
    add_lemon(spec, lemon, spot.moved(up=STAND))
    here = Spot(spot.x, spot.y, spot.z, 0.0)
    forward, left = rng.uniform(-JUICER_STRAY, JUICER_STRAY, 2)
    add_juicer(spec, juicer, here.moved(forward, JUICER_LEFT + left))


def judge(watched: Watched, score: Score) -> Verdict:
    """0.2 for the lift, 0.4 for bringing it over the juicer, 0.4 for pressing, while held."""
    held, end = watched.held(), watched.at_end
    aside = float(np.linalg.norm(end.position()[:2] - end.position("juicer")[:2]))
    pressed = end.joints["flesh"] if "juicer" in end.touching() else 0.0
    progress = (0.2 * ramp(watched.lifted() - STAND, score.full_lift) + 0.4 * held * ramp(-aside, 0.0, -score.near)
                + 0.4 * held * (aside < score.over) * ramp(pressed, score.firm))
    return watched.verdict(progress, held and aside < score.over and pressed >= score.firm,
                           ("squeezed", f"held, {aside * 100:.0f} cm off, {pressed * 1000:.1f} mm pressed", "dropped"))


def competent(moment: Moment) -> Competent:
    """See Scene: from above, fingers forward over the dome."""
    return Competent(moment.grasp_line.mean(axis=0), FORWARD, DOWN, "claw").moved(-0.009, -0.010)
