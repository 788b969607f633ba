"""What stir_spoon and scoop_grape share: a spoon that leans on the rim of a pot, its handle to the robot's left."""

from __future__ import annotations

import mujoco
import numpy as np

from deft_sim.history import Moment
from deft_sim.objects.shapes import Spot, free_body
from deft_sim.objects.spoons import Spoon, leaning, shape_spoon
from deft_sim.objects.vessels import Vessel, add_vessel
from deft_sim.scenes import DOWN, FORWARD, LEFT, Competent, on_handle

LEAN = 0.70  # rad from the vertical
GRIP = (0.150, 0.180)  # m from the middle of the head


def add_pot_with_spoon(spec: mujoco.MjSpec, pot: Vessel, spoon: Spoon, spot: Spot) -> None:
    """The fixed body `pot` at the spot and the spoon `object` in it."""
    add_vessel(spec, "pot", pot, spot, boxes=18)
    sin, cos = np.sin(LEAN), np.cos(LEAN)
    up = pot.wall + 0.72 * spoon.head_radius * cos + 0.001
    axis = spoon.head_depth - spoon.handle_radius / 2  # the handle's axis above the head's underside
    along = (pot.height - up - axis * sin) / cos
    rim = pot.top_radius - pot.wall - spoon.handle_radius / cos - 0.001
    body = free_body(spec, "object", spot.at(left=rim + axis * cos - along * sin, up=up), spot.quat(leaning(LEAN)))
    shape_spoon(spec, body, spoon, GRIP)


def tilted_grasp(moment: Moment) -> Competent:
    """Fingers forward, palm to the left and down, the fist across the handle."""
    return on_handle(moment, LEFT + DOWN, FORWARD, "fist").moved(0.012, -0.002)
