"""What a thing is served on, so that a hand gets round it. Stands stand fast on the table."""

from __future__ import annotations

import mujoco

from deft_sim.objects.shapes import SEEN, Spot, fixed_body, look, solid

WOOD = {"mass": 0.1, **solid(group=SEEN)}


def add_rest(spec: mujoco.MjSpec, spot: Spot, height: float, width: float) -> None:
    """A block that the handle of a spoon lies on, with two pins that keep it from rolling off; along the spot's y axis."""
    body = fixed_body(spec, "rest", spot.at(), spot.quat())
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[width / 2, 0.012, height / 2], pos=[0.0, 0.0, height / 2],
                  rgba=[0.45, 0.30, 0.18, 1.0], **WOOD)
    for side in (-1.0, 1.0):
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.003, 0.012, 0.005], rgba=[0.45, 0.30, 0.18, 1.0], **WOOD,
                      pos=[side * (width / 2 - 0.003), 0.0, height + 0.005])


def add_stand(spec: mujoco.MjSpec, spot: Spot, height: float, radius: float) -> None:
    """A round stand, the fixed body `stand`."""
    body = fixed_body(spec, "stand", spot.at(), spot.quat())
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[radius, height / 2, 0.0], pos=[0.0, 0.0, height / 2],
                  rgba=[0.50, 0.36, 0.24, 1.0], **WOOD)
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[radius * 1.3, 0.004, 0.0], pos=[0.0, 0.0, 0.004],
                  rgba=[0.42, 0.30, 0.20, 1.0], **look())
