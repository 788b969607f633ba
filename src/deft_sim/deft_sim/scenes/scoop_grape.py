"""Scoop a grape out of a pot: at the end one is in the spoon and the spoon is held (the paper's test)."""

from __future__ import annotations

import mujoco
import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_sim.history import Moment, Verdict
from deft_sim.objects.food import GRAPES, Grapes, add_loose
from deft_sim.objects.shapes import Spot
from deft_sim.objects.spoons import SPOONS, Spoon
from deft_sim.objects.vessels import POTS, Vessel
from deft_sim.scenes import Competent, Via
from deft_sim.scenes.in_pot import add_pot_with_spoon, tilted_grasp
from deft_sim.scoring import Watched, ramp

OBJECTS = {name: tuple(zip(SPOONS[name], POTS[name], GRAPES[name], strict=True)) for name in POTS}
AHEAD = 0.019  # m forward, where the closing hand takes the handle
LEVEL = (0.0, -0.32, -0.385)  # rad, turns the open side back that rolled away as the hand closed


def _tilted(lean: float) -> tuple[float, float, float]:
    """rad, levelled and with the handle leaning further by `lean`."""
    return (-lean, LEVEL[1], LEVEL[2])


SHOWN = (Via(0.0), Via(0.5, (AHEAD, 0.0, -0.001), LEVEL), Via(1.6, (AHEAD, -0.111, -0.001), LEVEL),
         Via(2.4, (AHEAD, -0.090, -0.014), _tilted(0.435)), Via(3.4, (AHEAD, -0.064, 0.13), _tilted(0.65)),
         Via(4.0, (AHEAD, -0.064, 0.14), _tilted(0.65)))
GRAPE_MASS = 0.006  # kg


class Score(Config):
    """`score:` of the task."""

    clear: Positive = Field(description="m, head above the pot's bottom that counts as out of the pot")


def build(spec: mujoco.MjSpec, thing: tuple[Spoon, Vessel, Grapes], spot: Spot, rng: np.random.Generator) -> None:
    """See Scene. The grapes lie where the spoon will go, at random."""
    spoon, pot, grapes = thing
    add_pot_with_spoon(spec, pot, spoon, spot)
    places = []
    for k in range(grapes.count):
        across = (k % 3 - 1) * 2.3 * grapes.radius + rng.uniform(-0.002, 0.002)
        back = -0.012 - (k // 3) * 2.3 * grapes.radius - rng.uniform(0.0, 0.004)
        places.append(spot.at(across, back, pot.wall + grapes.radius + 0.002))
    add_loose(spec, "grape", grapes.radius, GRAPE_MASS, grapes.rgb, np.array(places), friction=0.5)


def in_spoon(moment: Moment) -> int:
    """How many grapes lie in the head of the spoon."""
    names = [n for n in moment.things if n.startswith("grape")]
    local = np.array([moment.in_thing(moment.position(n)) for n in names])
    inside = (np.linalg.norm(local[:, :2], axis=1) < 0.036) & (local[:, 2] > 0.0) & (local[:, 2] < 0.035)
    return int(inside.sum())


def judge(watched: Watched, score: Score) -> Verdict:
    """0.2 for the hold, 0.3 for leaving the pot, half for a grape in the spoon."""
    held, end = watched.held(), watched.at_end
    out = ramp(end.position()[2] - end.position("pot")[2], score.clear, 0.02)
    grapes = in_spoon(end) if out >= 1.0 else 0
    progress = held * (0.2 + 0.3 * out + 0.5 * (grapes > 0))
    return watched.verdict(progress, held and grapes > 0, (f"{grapes} in the spoon", "empty spoon", "lost the spoon"))


def competent(moment: Moment) -> Competent:
    """See Scene."""
    return tilted_grasp(moment)
