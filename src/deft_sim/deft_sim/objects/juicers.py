"""Lemon juicers. They stand fast on the table."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from deft_sim.objects.shapes import SEEN, Rgb, Spot, add_turned, fixed_body, solid

PART_MASS = 0.1  # kg; of no effect on what does not move


@dataclass(frozen=True)
class Juicer:
    """A cone on a jar: m."""

    name: str
    height: float       # of the jar
    radius: float       # of the jar
    cone_radius: float
    cone_height: float
    rgb: Rgb


JUICERS: dict[str, tuple[Juicer, ...]] = {
    "train": (
        Juicer("yellow_juicer", 0.065, 0.050, 0.020, 0.032, (0.90, 0.80, 0.25)),
        Juicer("glass_juicer", 0.070, 0.048, 0.019, 0.030, (0.65, 0.75, 0.75)),
        Juicer("green_juicer", 0.062, 0.052, 0.021, 0.034, (0.45, 0.65, 0.30)),
        Juicer("white_juicer", 0.068, 0.050, 0.018, 0.030, (0.93, 0.93, 0.90)),
        Juicer("tall_juicer", 0.075, 0.046, 0.020, 0.032, (0.55, 0.60, 0.75)),
        Juicer("wide_juicer", 0.064, 0.054, 0.022, 0.033, (0.80, 0.55, 0.35)),
    ),
    "test": (
        Juicer("orange_juicer", 0.066, 0.049, 0.020, 0.033, (0.95, 0.55, 0.15)),
        Juicer("steel_juicer", 0.069, 0.051, 0.019, 0.031, (0.60, 0.62, 0.65)),
        Juicer("blue_juicer", 0.063, 0.048, 0.021, 0.032, (0.25, 0.40, 0.70)),
        Juicer("red_juicer", 0.072, 0.047, 0.018, 0.031, (0.75, 0.20, 0.20)),
        Juicer("black_juicer", 0.067, 0.053, 0.020, 0.030, (0.15, 0.15, 0.17)),
        Juicer("wood_juicer", 0.065, 0.050, 0.022, 0.034, (0.60, 0.45, 0.30)),
    ),
}


def add_juicer(spec: mujoco.MjSpec, juicer: Juicer, spot: Spot) -> None:
    """The juicer as the fixed body `juicer`, its origin at the tip of the cone."""
    tip = juicer.height + juicer.cone_height
    body = fixed_body(spec, "juicer", spot.at(up=tip), spot.quat())
    rgba = [*juicer.rgb, 1.0]
    jar = {"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "pos": [0.0, 0.0, juicer.height / 2 - tip], "mass": PART_MASS}
    body.add_geom(size=[juicer.radius, juicer.height / 2, 0.0], rgba=rgba, **jar, **solid(group=SEEN))
    ribs = [(juicer.cone_radius, -juicer.cone_height), (0.75 * juicer.cone_radius, -0.5 * juicer.cone_height),
            (0.35 * juicer.cone_radius, -0.08 * juicer.cone_height)]
    for radius, z in ribs:  # a blunt cone of three steps, for collisions
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[radius, -z / 2, 0.0], pos=[0.0, 0.0, z / 2],
                      mass=PART_MASS, **solid())
    red, green, blue = (0.85 * c for c in juicer.rgb)
    add_turned(spec, body, "juicer_look", [*ribs, (0.001, 0.0)], (red, green, blue))
