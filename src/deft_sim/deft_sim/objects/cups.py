"""Cups and mugs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import mujoco

from deft_sim.objects.shapes import SEEN, Rgb, Spot, add_disc, add_turned, add_wall, free_body, mark_grasp, solid

WALL_BOXES = 14


@dataclass(frozen=True)
class Cup:
    """A hollow cup: metres, kg; `handle` is how far the handle stands out (0 = none)."""

    name: str
    height: float
    bottom_radius: float
    top_radius: float
    wall: float
    mass: float
    rgb: Rgb
    handle: float = 0.0

    def radius(self, z: float) -> float:
        """Outer radius at height z above the bottom, m."""
        return self.bottom_radius + (self.top_radius - self.bottom_radius) * z / self.height


CUPS: dict[str, tuple[Cup, ...]] = {
    "train": (
        Cup("party_cup", 0.120, 0.030, 0.042, 0.004, 0.060, (0.80, 0.10, 0.10)),
        Cup("tumbler", 0.110, 0.035, 0.035, 0.004, 0.120, (0.15, 0.30, 0.75)),
        Cup("mug", 0.095, 0.040, 0.040, 0.005, 0.250, (0.92, 0.92, 0.88), handle=0.028),
        Cup("tall_cup", 0.140, 0.031, 0.037, 0.004, 0.090, (0.90, 0.75, 0.15)),
        Cup("paper_cup", 0.100, 0.028, 0.038, 0.004, 0.040, (0.75, 0.60, 0.45)),
        Cup("beaker", 0.125, 0.036, 0.038, 0.004, 0.150, (0.35, 0.65, 0.90)),
    ),
    "test": (
        Cup("steel_tumbler", 0.130, 0.033, 0.033, 0.004, 0.200, (0.55, 0.57, 0.60)),
        Cup("small_mug", 0.085, 0.037, 0.039, 0.005, 0.220, (0.15, 0.50, 0.25), handle=0.025),
        Cup("wide_cup", 0.100, 0.034, 0.045, 0.004, 0.100, (0.50, 0.20, 0.60)),
        Cup("slim_glass", 0.130, 0.029, 0.031, 0.004, 0.180, (0.10, 0.55, 0.60)),
        Cup("bell_cup", 0.110, 0.025, 0.041, 0.004, 0.080, (0.95, 0.50, 0.10)),
        Cup("latte_glass", 0.145, 0.030, 0.039, 0.005, 0.240, (0.25, 0.22, 0.20)),
    ),
}


def add_cup(spec: mujoco.MjSpec, cup: Cup, spot: Spot) -> None:
    """The cup as the free body `object`, its origin at the middle of its bottom, z up."""
    body = free_body(spec, "object", spot.at(), spot.quat())
    add_turned(spec, body, "cup_look", [(cup.bottom_radius, 0.0), (cup.top_radius, cup.height),
                                        (cup.top_radius - cup.wall, cup.height),
                                        (cup.bottom_radius - cup.wall, cup.wall)], cup.rgb)
    mass = cup.mass / (WALL_BOXES + 1 + (3 if cup.handle else 0))
    # the walls stand on the bottom plate, not on the table: fewer contacts, same cup
    add_wall(body, (cup.radius(cup.wall), cup.wall), (cup.top_radius, cup.height), cup.wall, WALL_BOXES, mass, solid())
    add_disc(body, cup.bottom_radius, cup.wall, mass, solid())
    if cup.handle:
        _add_handle(body, cup, mass)
    mark_grasp(body, (0.0, 0.0, 0.35 * cup.height), (0.0, 0.0, 0.75 * cup.height))


def _add_handle(body: mujoco.MjsBody, cup: Cup, mass: float) -> None:
    """Three capsules: out, down, and back to the wall."""
    out = cup.radius(cup.height / 2) + cup.handle
    top, bottom = 0.78 * cup.height, 0.25 * cup.height
    corners = [(cup.radius(top) - cup.wall, top), (out, top), (out, bottom), (cup.radius(bottom) - cup.wall, bottom)]
    for (r0, z0), (r1, z1) in itertools.pairwise(corners):
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.0055, 0.0, 0.0], fromto=[r0, 0, z0, r1, 0, z1],
                      mass=mass, rgba=[*cup.rgb, 1.0], **solid(group=SEEN))
