"""Bowls, pots and pans. They stand fast on the table."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from deft_sim.objects.shapes import SEEN, Rgb, Spot, add_disc, add_turned, add_wall, fixed_body, solid

PLATE_MASS = 0.1  # kg; of no effect on what does not move


@dataclass(frozen=True)
class Vessel:
    """An open round vessel: m."""

    name: str
    height: float
    bottom_radius: float
    top_radius: float
    rgb: Rgb
    wall: float = 0.005


BOWLS: dict[str, tuple[Vessel, ...]] = {
    "train": (
        Vessel("soup_bowl", 0.055, 0.050, 0.080, (0.90, 0.90, 0.86)),
        Vessel("salad_bowl", 0.060, 0.055, 0.085, (0.30, 0.55, 0.30)),
        Vessel("blue_bowl", 0.050, 0.060, 0.078, (0.20, 0.30, 0.60)),
        Vessel("clay_bowl", 0.055, 0.048, 0.076, (0.60, 0.35, 0.20)),
        Vessel("mixing_bowl", 0.065, 0.055, 0.088, (0.70, 0.70, 0.72)),
        Vessel("flat_bowl", 0.045, 0.065, 0.082, (0.85, 0.75, 0.30)),
    ),
    "test": (
        Vessel("dog_bowl", 0.050, 0.070, 0.078, (0.75, 0.15, 0.20)),
        Vessel("steel_bowl", 0.060, 0.045, 0.083, (0.50, 0.52, 0.55)),
        Vessel("black_bowl", 0.055, 0.058, 0.080, (0.12, 0.12, 0.14)),
        Vessel("wood_bowl", 0.062, 0.052, 0.084, (0.55, 0.38, 0.22)),
        Vessel("pink_bowl", 0.048, 0.055, 0.077, (0.90, 0.55, 0.65)),
        Vessel("deep_bowl", 0.068, 0.060, 0.080, (0.40, 0.60, 0.65)),
    ),
}
POTS: dict[str, tuple[Vessel, ...]] = {
    "train": (
        Vessel("saucepan", 0.090, 0.100, 0.100, (0.62, 0.63, 0.66)),
        Vessel("enamel_pot", 0.088, 0.100, 0.102, (0.75, 0.20, 0.15)),
        Vessel("copper_pot", 0.092, 0.098, 0.100, (0.72, 0.45, 0.25)),
        Vessel("white_pot", 0.085, 0.102, 0.104, (0.92, 0.92, 0.90)),
        Vessel("low_pot", 0.082, 0.103, 0.103, (0.30, 0.32, 0.35)),
        Vessel("green_pot", 0.090, 0.096, 0.102, (0.25, 0.45, 0.35)),
    ),
    "test": (
        Vessel("casserole", 0.084, 0.104, 0.106, (0.20, 0.30, 0.55)),
        Vessel("milk_pot", 0.094, 0.097, 0.099, (0.85, 0.80, 0.65)),
        Vessel("black_pot", 0.088, 0.101, 0.101, (0.13, 0.13, 0.15)),
        Vessel("brass_pot", 0.090, 0.099, 0.103, (0.75, 0.62, 0.30)),
        Vessel("orange_pot", 0.086, 0.100, 0.105, (0.90, 0.45, 0.15)),
        Vessel("steel_pot", 0.092, 0.101, 0.101, (0.72, 0.74, 0.76)),
    ),
}
PANS: dict[str, tuple[Vessel, ...]] = {
    "train": (
        Vessel("iron_pan", 0.030, 0.125, 0.135, (0.15, 0.15, 0.16)),
        Vessel("teflon_pan", 0.032, 0.130, 0.140, (0.22, 0.22, 0.26)),
        Vessel("red_pan", 0.030, 0.128, 0.138, (0.60, 0.12, 0.12)),
        Vessel("crepe_pan", 0.026, 0.135, 0.142, (0.25, 0.20, 0.18)),
        Vessel("wok_pan", 0.034, 0.120, 0.138, (0.30, 0.31, 0.33)),
        Vessel("blue_pan", 0.030, 0.126, 0.134, (0.15, 0.22, 0.40)),
    ),
    "test": (
        Vessel("steel_pan", 0.031, 0.127, 0.137, (0.60, 0.61, 0.63)),
        Vessel("copper_pan", 0.029, 0.130, 0.136, (0.65, 0.40, 0.25)),
        Vessel("grey_pan", 0.033, 0.122, 0.136, (0.42, 0.43, 0.45)),
        Vessel("green_pan", 0.028, 0.132, 0.142, (0.22, 0.38, 0.30)),
        Vessel("white_pan", 0.030, 0.124, 0.134, (0.85, 0.85, 0.82)),
        Vessel("stone_pan", 0.032, 0.128, 0.140, (0.35, 0.33, 0.30)),
    ),
}


def add_vessel(spec: mujoco.MjSpec, name: str, vessel: Vessel, spot: Spot, boxes: int = 16) -> mujoco.MjsBody:
    """The vessel as a fixed body, its origin under the middle of its bottom."""
    body = fixed_body(spec, name, spot.at(), spot.quat())
    wall = vessel.wall
    add_turned(spec, body, f"{name}_look", [(vessel.bottom_radius, 0.0), (vessel.top_radius, vessel.height),
                                            (vessel.top_radius - wall, vessel.height), (vessel.bottom_radius - wall, wall)],
               vessel.rgb)
    add_wall(body, (vessel.bottom_radius, 0.0), (vessel.top_radius, vessel.height), wall, boxes, PLATE_MASS, solid())
    add_disc(body, vessel.bottom_radius, wall, PLATE_MASS, solid())
    return body


def add_handle(body: mujoco.MjsBody, vessel: Vessel, towards: tuple[float, float], length: float) -> None:
    """A straight handle that stands out sideways from under the rim; `towards` is a unit vector in the vessel's frame."""
    z = 0.8 * vessel.height
    start, end = vessel.top_radius - 0.004, vessel.top_radius + length
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.010, 0.0, 0.0], rgba=[0.1, 0.1, 0.1, 1.0], mass=PLATE_MASS,
                  fromto=[towards[0] * start, towards[1] * start, z, towards[0] * end, towards[1] * end, z + 0.01],
                  **solid(group=SEEN))
