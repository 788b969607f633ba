"""Spoons and spatulas: things with a handle. Along x from the head (at the origin) to the handle's end, open side up."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from deft_sim.objects.shapes import SEEN, Rgb, add_disc, add_turned, add_wall, mark_grasp, solid

HEAD_BOXES = 10


@dataclass(frozen=True)
class Spoon:
    """A cooking spoon: m, kg. `reach` is from the middle of the head to the end of the handle."""

    name: str
    reach: float
    handle_radius: float
    head_radius: float
    head_depth: float
    mass: float
    rgb: Rgb


SPOONS: dict[str, tuple[Spoon, ...]] = {
    "train": (
        Spoon("wooden_spoon", 0.215, 0.0090, 0.034, 0.016, 0.050, (0.72, 0.52, 0.32)),
        Spoon("metal_spoon", 0.210, 0.0080, 0.032, 0.015, 0.070, (0.70, 0.71, 0.74)),
        Spoon("red_spoon", 0.220, 0.0090, 0.035, 0.017, 0.055, (0.80, 0.15, 0.12)),
        Spoon("ladle", 0.225, 0.0085, 0.035, 0.019, 0.080, (0.55, 0.57, 0.60)),
        Spoon("stout_spoon", 0.205, 0.0100, 0.034, 0.016, 0.060, (0.55, 0.38, 0.22)),
        Spoon("nylon_spoon", 0.215, 0.0085, 0.033, 0.016, 0.045, (0.12, 0.12, 0.13)),
    ),
    "test": (
        Spoon("bamboo_spoon", 0.218, 0.0088, 0.033, 0.017, 0.045, (0.85, 0.72, 0.45)),
        Spoon("steel_ladle", 0.222, 0.0082, 0.034, 0.018, 0.085, (0.60, 0.62, 0.66)),
        Spoon("blue_spoon", 0.212, 0.0095, 0.035, 0.016, 0.055, (0.20, 0.35, 0.75)),
        Spoon("green_spoon", 0.208, 0.0086, 0.032, 0.015, 0.050, (0.25, 0.60, 0.30)),
        Spoon("dark_spoon", 0.216, 0.0098, 0.034, 0.018, 0.065, (0.30, 0.20, 0.14)),
        Spoon("white_spoon", 0.224, 0.0090, 0.033, 0.016, 0.050, (0.92, 0.92, 0.90)),
    ),
}


def shape_spoon(spec: mujoco.MjSpec, body: mujoco.MjsBody, spoon: Spoon, grip: tuple[float, float]) -> None:
    """Give a body the spoon's shape. The head's underside is at z = 0, the handle's axis at its rim's height.

    Args:
        grip: from where to where on the handle a hand should close, m from the middle of the head.
    """
    r, depth, rgba = spoon.head_radius, spoon.head_depth, [*spoon.rgb, 1.0]
    wall, bottom = 0.004, 0.72 * r
    mass = spoon.mass / (HEAD_BOXES + 3)
    add_turned(spec, body, "spoon_look", [(bottom, 0.0), (r, depth), (r - wall, depth), (bottom - wall, wall)], spoon.rgb)
    add_wall(body, (bottom, 0.0), (r, depth), wall, HEAD_BOXES, mass, solid(condim=6))
    add_disc(body, bottom, wall, mass, solid(condim=6))
    z = depth - spoon.handle_radius / 2
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[spoon.handle_radius, 0.0, 0.0], mass=2 * mass, rgba=rgba,
                  fromto=[r - 0.004 + spoon.handle_radius, 0.0, z, spoon.reach - spoon.handle_radius, 0.0, z],
                  **solid(group=SEEN))
    mark_grasp(body, (grip[0], 0.0, z), (grip[1], 0.0, z))


@dataclass(frozen=True)
class Spatula:
    """A flat blade on a handle that rises from it: m, kg, rad. `reach` is along the table to the handle's end."""

    name: str
    blade_length: float
    blade_width: float
    reach: float
    rise: float
    handle_radius: float
    mass: float
    rgb: Rgb


SPATULAS: dict[str, tuple[Spatula, ...]] = {
    "train": (
        Spatula("red_spatula", 0.090, 0.085, 0.280, 0.42, 0.0100, 0.090, (0.80, 0.12, 0.12)),
        Spatula("black_spatula", 0.095, 0.080, 0.285, 0.40, 0.0095, 0.085, (0.10, 0.10, 0.11)),
        Spatula("wood_spatula", 0.085, 0.080, 0.275, 0.44, 0.0105, 0.080, (0.65, 0.45, 0.28)),
        Spatula("steel_spatula", 0.090, 0.090, 0.280, 0.42, 0.0090, 0.120, (0.55, 0.57, 0.60)),
        Spatula("yellow_spatula", 0.088, 0.084, 0.270, 0.45, 0.0100, 0.090, (0.90, 0.75, 0.15)),
        Spatula("wide_spatula", 0.092, 0.095, 0.282, 0.41, 0.0100, 0.100, (0.30, 0.35, 0.40)),
    ),
    "test": (
        Spatula("blue_spatula", 0.091, 0.083, 0.278, 0.43, 0.0098, 0.090, (0.15, 0.30, 0.75)),
        Spatula("teal_spatula", 0.087, 0.088, 0.284, 0.41, 0.0102, 0.085, (0.10, 0.50, 0.50)),
        Spatula("bamboo_spatula", 0.094, 0.082, 0.276, 0.42, 0.0105, 0.075, (0.85, 0.72, 0.45)),
        Spatula("green_spatula", 0.089, 0.092, 0.272, 0.44, 0.0094, 0.095, (0.25, 0.55, 0.25)),
        Spatula("purple_spatula", 0.086, 0.086, 0.280, 0.43, 0.0100, 0.090, (0.45, 0.20, 0.55)),
        Spatula("grey_spatula", 0.093, 0.081, 0.286, 0.40, 0.0096, 0.110, (0.45, 0.46, 0.48)),
    ),
}


def shape_spatula(body: mujoco.MjsBody, spatula: Spatula, grip: tuple[float, float]) -> None:
    """Give a body the spatula's shape: blade centred on the origin at z = 0, handle rising along x.

    Args:
        grip: from where to where a hand should close, m along x.
    """
    length, width = spatula.blade_length, spatula.blade_width
    rgba = [*spatula.rgb, 1.0]
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[length / 2, width / 2, 0.0015], pos=[0.0, 0.0, 0.0015],
                  mass=0.4 * spatula.mass, rgba=[0.75, 0.75, 0.78, 1.0], **solid(friction=0.35, group=SEEN))
    start = np.array([length / 2 - 0.005, 0.0, 0.006])
    end = np.array([spatula.reach, 0.0, 0.006 + (spatula.reach - length / 2) * np.tan(spatula.rise)])
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.005, 0.0, 0.0], mass=0.2 * spatula.mass,
                  fromto=[*start, *(start + 0.3 * (end - start))], rgba=[0.75, 0.75, 0.78, 1.0], **solid(group=SEEN))
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[spatula.handle_radius, 0.0, 0.0], mass=0.4 * spatula.mass,
                  fromto=[*(start + 0.3 * (end - start)), *end], rgba=rgba, **solid(group=SEEN))
    on_handle = [start + (x - start[0]) / (end[0] - start[0]) * (end - start) for x in grip]
    mark_grasp(body, on_handle[0], on_handle[1])


def leaning(lean: float) -> Rotation:
    """A spoon whose handle (x) leans by `lean` (rad) from the vertical towards the left (+y), open side to the right."""
    handle = np.array([0.0, np.sin(lean), np.cos(lean)])
    open_side = np.array([0.0, -np.cos(lean), np.sin(lean)])
    return Rotation.from_matrix(np.stack([handle, np.cross(open_side, handle), open_side], axis=1))


