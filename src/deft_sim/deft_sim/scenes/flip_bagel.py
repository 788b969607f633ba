"""Flip a bagel with a spatula in a pan: the other side is up at the end (the paper's test)."""

from __future__ import annotations

import mujoco
import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_sim.history import Moment, Verdict
from deft_sim.objects.food import BAGELS, Bagel, add_bagel
from deft_sim.objects.shapes import Spot, free_body
from deft_sim.objects.spoons import SPATULAS, Spatula, shape_spatula
from deft_sim.objects.vessels import PANS, Vessel, add_handle, add_vessel
from deft_sim.scenes import DOWN, LEFT, Competent, Via, on_handle
from deft_sim.scoring import Watched, ramp

OBJECTS = {name: tuple(zip(SPATULAS[name], PANS[name], BAGELS[name], strict=True)) for name in PANS}
LIFT, LOW, LEFT_BY, TURN = 0.062, 0.049, 0.026, 2.25  # m, m, m, rad: the blade stays over the pan while it turns
ABOUT = (-0.913, 0.0, 0.407)  # the handle's direction in the demonstration


def _shown() -> tuple[Via, ...]:
    """Lift, then turn about the handle, pushing the bagel over to the left."""
    turning = [Via(1.0 + 1.4 * q, (0.0, LEFT_BY * q * q, LIFT + (LOW - LIFT) * q),
                   (ABOUT[0] * TURN * q, 0.0, ABOUT[2] * TURN * q)) for q in (0.25, 0.5, 0.75, 1.0)]
    end = turning[-1]
    return (Via(0.0), Via(1.0, (0.0, 0.0, LIFT)), *turning, Via(end.t + 0.6, end.xyz, end.rotvec))


SHOWN = _shown()
IN_PAN = (0.12, 0.05)  # m: the bagel so near to the pan's middle and so low lies in it
GRIP = (0.180, 0.230)  # m along the spatula from the middle of its blade


class Score(Config):
    """`score:` of the task."""

    full_lift: Positive = Field(description="m, of the bagel")
    turned: Positive = Field(description="cosine, so far must the bagel's axis point down: success")


def build(spec: mujoco.MjSpec, thing: tuple[Spatula, Vessel, Bagel], spot: Spot, rng: np.random.Generator) -> None:
    """See Scene. The blade lies under the bagel, the handle on the rim, towards the robot."""
    spatula, pan, bagel = thing
    add_handle(add_vessel(spec, "pan", pan, spot, boxes=20), pan, (0.7, 0.7), 0.12)
    blade = spot.moved(up=pan.wall + 0.001, turn=np.pi)
    body = free_body(spec, "object", blade.at(), blade.quat())
    shape_spatula(body, spatula, GRIP)
    add_bagel(spec, bagel, blade.moved(forward=-0.005, up=0.005))


def judge(watched: Watched, score: Score) -> Verdict:
    """0.15 for the hold, 0.25 for lifting the bagel, 0.6 for how far it is turned over at the end."""
    held, end = watched.held(), watched.at_end
    highest = max((m.position("bagel")[2] for m in watched.after_closing()), default=0.0) - watched.first.position("bagel")[2]
    turned = 0.5 * (1.0 - end.upright("bagel"))
    place = end.in_thing(end.position("bagel"), "pan")
    on_pan = float(np.linalg.norm(place[:2])) < IN_PAN[0] and place[2] < IN_PAN[1]
    progress = 0.15 * held + 0.25 * ramp(highest, score.full_lift) + 0.6 * turned * (1.0 if on_pan else 0.5)
    return watched.verdict(progress, end.upright("bagel") < -score.turned and watched.finished and on_pan,
                           ("flipped", "not flipped", "lost the spatula"))


def competent(moment: Moment) -> Competent:
    """See Scene: palm down, fingers to the left, the fist across the handle."""
    return on_handle(moment, DOWN, LEFT, "fist")
