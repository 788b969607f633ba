"""Pick a spoon off its rest: it does not touch the table at the end (the paper's test).

Off a rest, because the Allegro's fingers are too thick to get under a spoon that lies flat.
"""

from __future__ import annotations

import mujoco
import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_sim.history import Moment, Verdict
from deft_sim.objects.shapes import Spot, free_body
from deft_sim.objects.spoons import SPOONS, Spoon, shape_spoon
from deft_sim.objects.stands import add_rest
from deft_sim.scenes import DOWN, FORWARD, Competent, Via, on_handle
from deft_sim.scoring import Watched, ramp

OBJECTS = SPOONS
SHOWN = (Via(0.0), Via(1.2, (0.0, 0.0, 0.15)))
REST_AT, REST_HEIGHT, REST_WIDTH = 0.085, 0.055, 0.040  # m: along the handle, its top, across the handle
GRIP = (0.145, 0.175)  # m from the middle of the head


class Score(Config):
    """`score:` of the task."""

    full_lift: Positive = Field(description="m, counts as lifted all the way")


def build(spec: mujoco.MjSpec, thing: Spoon, spot: Spot, rng: np.random.Generator) -> None:
    """See Scene. The spot is the rest; the handle rises to the robot's left."""
    rise = float(np.arcsin((REST_HEIGHT + thing.handle_radius - 0.010) / REST_AT))
    along = Rotation.from_euler("z", np.pi / 2) * Rotation.from_euler("y", -rise)
    head = spot.at(left=-REST_AT * np.cos(rise), up=0.006 + 0.3 * thing.head_radius * np.sin(rise))
    body = free_body(spec, "object", head, spot.quat(along))
    shape_spoon(spec, body, thing, GRIP)
    add_rest(spec, spot, REST_HEIGHT, REST_WIDTH)


def judge(watched: Watched, score: Score) -> Verdict:
    """A third for the highest lift, the rest for the height at the end if the spoon is held there."""
    end, held = watched.at_end, watched.held()
    clear = "table" not in end.touching() and "rest" not in end.touching()
    progress = ramp(watched.lifted(), score.full_lift) / 3 + held * clear * ramp(end.bottom, score.full_lift) * 2 / 3
    return watched.verdict(progress, held and clear, ("held", "held on the table", "dropped or not lifted"))


def competent(moment: Moment) -> Competent:
    """See Scene: palm down, the fist across the handle."""
    return on_handle(moment, DOWN, FORWARD, "fist")
