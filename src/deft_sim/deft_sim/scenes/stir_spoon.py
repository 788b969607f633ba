"""Stir with a spoon in a pot: it goes round by at least 180 degrees while it is held (the paper's test)."""

from __future__ import annotations

import mujoco
import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_sim.history import Moment, Verdict
from deft_sim.objects.shapes import Spot
from deft_sim.objects.spoons import SPOONS, Spoon
from deft_sim.objects.vessels import POTS, Vessel
from deft_sim.scenes import Competent, Via
from deft_sim.scenes.in_pot import add_pot_with_spoon, tilted_grasp
from deft_sim.scoring import Watched, ramp

OBJECTS = {name: tuple(zip(SPOONS[name], POTS[name], strict=True)) for name in POTS}
CIRCLE = 0.056   # m, radius that the head is led round the pot
UP = 0.036       # m, the spoon is made steeper and must not press on the floor
STEEPER = 0.35   # rad
INSIDE = (0.10, 0.08)  # m: the head so near to the axis and so low is in the pot
MIDDLE = 0.015   # m, so near to the middle of the pot the angle means nothing
AHEAD, ASIDE = 0.022, -0.100  # m forward and left, brings the head over the middle of the pot


class Score(Config):
    """`score:` of the task."""

    enough: Positive = Field(description="rad, turn round the middle of the pot: success and full score")


def _shown() -> tuple[Via, ...]:
    """Steeper, to the middle, once round (and a bit)."""
    turn = (STEEPER, 0.0, 0.0)
    circle = [Via(1.4 + 0.25 * k, (AHEAD + CIRCLE * np.sin(a), ASIDE + CIRCLE * np.cos(a), UP), turn)
              for k, a in enumerate(np.linspace(0.0, 2.4 * np.pi, 13))]
    return (Via(0.0), Via(0.7, (0.8 * AHEAD, 0.8 * ASIDE, UP), (0.8 * STEEPER, 0.0, 0.0)), *circle)


SHOWN = _shown()


def build(spec: mujoco.MjSpec, thing: tuple[Spoon, Vessel], spot: Spot, rng: np.random.Generator) -> None:
    """See Scene."""
    add_pot_with_spoon(spec, thing[1], thing[0], spot)


def angle_round(watched: Watched) -> float:
    """rad, the most that the head went round in the pot; near the middle itself it goes round nothing."""
    heads = np.array([m.in_thing(m.position(), "pot") for m in watched.after_closing()]).reshape(-1, 3)
    if not len(heads):
        return 0.0
    distance = np.linalg.norm(heads[:, :2], axis=1)
    away = (distance > MIDDLE) & (distance < INSIDE[0]) & (heads[:, 2] < INSIDE[1])
    rounds = np.split(np.arange(len(heads)), np.flatnonzero(np.diff(away.astype(int))) + 1)
    angles = np.arctan2(heads[:, 1], heads[:, 0])
    return max((float(np.ptp(np.unwrap(angles[part]))) for part in rounds if away[part[0]]), default=0.0)


def judge(watched: Watched, score: Score) -> Verdict:
    """0.3 for the hold, the rest for the angle."""
    held, angle = watched.held(), angle_round(watched)
    progress = 0.3 * held + 0.7 * ramp(angle, score.enough) * (1.0 if held else 0.5)
    return watched.verdict(progress, held and angle >= score.enough,
                           ("stirred", f"held, {np.degrees(angle):.0f} degrees", "lost the spoon"))


def competent(moment: Moment) -> Competent:
    """See Scene."""
    return tilted_grasp(moment)
