"""Pour from a cup into a bowl: held throughout, and turned until the rim is lower than the base (the paper's test)."""

from __future__ import annotations

import mujoco
import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_sim.history import Moment, Verdict
from deft_sim.objects.cups import CUPS, Cup, add_cup
from deft_sim.objects.food import add_loose
from deft_sim.objects.shapes import Spot
from deft_sim.objects.vessels import BOWLS, Vessel, add_vessel
from deft_sim.scenes import Competent, Via
from deft_sim.scenes.pick_cup import competent as side_grasp
from deft_sim.scoring import Watched, ramp

OBJECTS = {name: tuple(zip(CUPS[name], BOWLS[name], strict=True)) for name in CUPS}
SHOWN = (Via(0.0), Via(0.8, (0.0, 0.03, 0.13)), Via(1.4, (0.01, 0.08, 0.14)),
         Via(2.6, (0.015, 0.105, 0.15), (-2.1, 0.0, 0.0)), Via(3.2, (0.015, 0.105, 0.15), (-2.1, 0.0, 0.0)))
BOWL_LEFT = 0.175   # m from the cup, where the demonstration had it
BOWL_STRAY = 0.01   # m, and how far off it may be
DROPS, DROP_RADIUS, DROP_MASS = 6, 0.008, 0.003  # the liquid: spheres (m, kg)


class Score(Config):
    """`score:` of the task."""

    full_lift: Positive = Field(description="m, counts as lifted all the way")


def build(spec: mujoco.MjSpec, thing: tuple[Cup, Vessel], spot: Spot, rng: np.random.Generator) -> None:
    """See Scene. The bowl stands to the robot's left of the cup, whatever way the cup is turned."""
    cup, bowl = thing
    add_cup(spec, cup, spot)
    here = Spot(spot.x, spot.y, spot.z, 0.0)
    forward, left = rng.uniform(-BOWL_STRAY, BOWL_STRAY, 2)
    add_vessel(spec, "bowl", bowl, here.moved(forward, BOWL_LEFT + left))
    layer = [[0.009 * np.cos(a), 0.009 * np.sin(a)] for a in 2 * np.pi * np.arange(2) / 2]
    places = np.array([[*(np.array([spot.x, spot.y]) + layer[k % 2]), spot.z + cup.wall + DROP_RADIUS * (1.05 + 2 * (k // 2))]
                       for k in range(DROPS)])
    add_loose(spec, "drop", DROP_RADIUS, DROP_MASS, (0.30, 0.55, 0.90), places, friction=0.15)


def in_bowl(moment: Moment) -> float:
    """Share of the drops that lie in the bowl."""
    inside = [np.linalg.norm(local[:2]) < 0.085 and local[2] < 0.07
              for local in (moment.in_thing(moment.position(f"drop{k}"), "bowl") for k in range(DROPS))]
    return float(np.mean(inside))


def judge(watched: Watched, score: Score) -> Verdict:
    """A quarter for the lift, a third for the turn while held, the rest for what lands in the bowl."""
    kept = watched.never_lost()
    turned = min((m.upright() for m in watched.after_closing()), default=1.0)
    progress = (0.25 * ramp(watched.lifted(), score.full_lift) + 0.35 * kept * ramp(-turned, 0.3, -1.0)
                + 0.4 * kept * in_bowl(watched.at_end))
    return watched.verdict(progress, kept and turned < 0.0, ("poured", "held, not turned", "dropped"))


def competent(moment: Moment) -> Competent:
    """See Scene."""
    return side_grasp(moment)
