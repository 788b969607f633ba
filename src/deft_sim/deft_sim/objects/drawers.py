"""Small drawers in a cabinet."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from deft_sim.objects.shapes import SEEN, Rgb, Spot, fixed_body, mark_grasp, solid

WALL = 0.006       # m
PANEL_MASS = 0.3   # kg; of no effect on what does not move
TRAVEL = 0.16      # m
STARTS_OPEN = 0.02  # m
HANDLE_OUT = 0.055  # m, the bar's axis stands this far off the front


@dataclass(frozen=True)
class Drawer:
    """A cabinet with one drawer and a bar handle: m, kg, N. Seen from the front: width, height, and the handle's place."""

    name: str
    width: float
    depth: float
    height: float
    handle_height: float
    handle_width: float
    handle_radius: float
    mass: float
    friction: float
    rgb: Rgb
    front_rgb: Rgb


DRAWERS: dict[str, tuple[Drawer, ...]] = {
    "train": (
        Drawer("white_drawer", 0.20, 0.22, 0.18, 0.130, 0.130, 0.0075, 0.40, 1.0, (0.90, 0.90, 0.88), (0.80, 0.82, 0.84)),
        Drawer("pine_drawer", 0.22, 0.20, 0.19, 0.135, 0.120, 0.0080, 0.60, 1.5, (0.70, 0.52, 0.34), (0.78, 0.60, 0.40)),
        Drawer("grey_drawer", 0.18, 0.22, 0.17, 0.125, 0.125, 0.0070, 0.35, 1.0, (0.45, 0.46, 0.48), (0.55, 0.56, 0.58)),
        Drawer("blue_drawer", 0.21, 0.21, 0.18, 0.130, 0.140, 0.0075, 0.45, 0.8, (0.25, 0.35, 0.60), (0.35, 0.45, 0.70)),
        Drawer("tall_drawer", 0.19, 0.20, 0.21, 0.140, 0.130, 0.0080, 0.55, 1.2, (0.35, 0.22, 0.15), (0.45, 0.30, 0.20)),
        Drawer("cream_drawer", 0.23, 0.22, 0.18, 0.128, 0.135, 0.0085, 0.50, 1.4, (0.88, 0.82, 0.68), (0.75, 0.68, 0.55)),
    ),
    "test": (
        Drawer("clear_drawer", 0.20, 0.21, 0.17, 0.126, 0.128, 0.0070, 0.35, 0.9, (0.70, 0.80, 0.82), (0.62, 0.74, 0.78)),
        Drawer("black_drawer", 0.21, 0.22, 0.19, 0.134, 0.122, 0.0080, 0.60, 1.3, (0.12, 0.12, 0.13), (0.20, 0.20, 0.22)),
        Drawer("oak_drawer", 0.22, 0.20, 0.20, 0.138, 0.132, 0.0085, 0.70, 1.6, (0.60, 0.42, 0.25), (0.52, 0.36, 0.20)),
        Drawer("red_drawer", 0.18, 0.21, 0.18, 0.130, 0.118, 0.0078, 0.40, 1.0, (0.70, 0.15, 0.15), (0.80, 0.25, 0.22)),
        Drawer("green_drawer", 0.23, 0.21, 0.18, 0.132, 0.138, 0.0072, 0.45, 1.1, (0.30, 0.50, 0.35), (0.40, 0.60, 0.45)),
        Drawer("steel_drawer", 0.19, 0.22, 0.20, 0.136, 0.126, 0.0076, 0.65, 1.2, (0.62, 0.64, 0.66), (0.70, 0.72, 0.74)),
    ),
}


def add_drawer(spec: mujoco.MjSpec, drawer: Drawer, spot: Spot) -> None:
    """A fixed `cabinet` and in it the drawer `object` on the slide `drawer` (m, opens towards -x of the spot).

    The spot is where the middle of the closed drawer's front stands.
    """
    cabinet = fixed_body(spec, "cabinet", spot.at(), spot.quat())
    _box(cabinet, drawer)
    body = cabinet.add_body(name="object")
    body.add_joint(name="drawer", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[-1.0, 0.0, 0.0],
                   range=[-STARTS_OPEN, TRAVEL - STARTS_OPEN], limited=mujoco.mjtLimited.mjLIMITED_TRUE,
                   damping=[2.0, 0.0, 0.0], frictionloss=drawer.friction)
    _tray(body, drawer)


def _plate(body: mujoco.MjsBody, centre: tuple[float, float, float], size: tuple[float, float, float], rgb: Rgb,
           mass: float) -> None:
    """A visible box of full `size`."""
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[s / 2 for s in size], pos=list(centre), rgba=[*rgb, 1.0], mass=mass,
                  **solid(group=SEEN))


def _box(body: mujoco.MjsBody, d: Drawer) -> None:
    """Sides, back and top of the cabinet; its front is open."""
    rgb, mass = d.rgb, PANEL_MASS
    middle = WALL + d.depth / 2
    for side in (-1.0, 1.0):
        _plate(body, (middle, side * (d.width / 2 - WALL / 2), d.height / 2), (d.depth, WALL, d.height), rgb, mass)
    _plate(body, (middle, 0.0, d.height - WALL / 2), (d.depth, d.width - 2 * WALL, WALL), rgb, mass)
    back = WALL + d.depth - WALL / 2
    _plate(body, (back, 0.0, (d.height - WALL) / 2), (WALL, d.width - 2 * WALL, d.height - WALL), rgb, mass)


def _tray(body: mujoco.MjsBody, d: Drawer) -> None:
    """Front plate, bottom, sides and the bar handle, all drawn out by STARTS_OPEN; parts of one body do not collide."""
    x, gap = -STARTS_OPEN, 0.004
    low, high = 0.012, d.height - 0.012
    mass = d.mass / 6
    _plate(body, (x, 0.0, (low + high) / 2), (WALL, d.width, high - low), d.front_rgb, mass)
    inner = d.width - 2 * WALL - 2 * gap
    depth = d.depth - 2 * WALL - STARTS_OPEN
    for side in (-1.0, 1.0):
        _plate(body, (x + depth / 2, side * inner / 2, 0.055), (depth, 0.003, 0.07), d.front_rgb, mass / 2)
    _plate(body, (x + depth / 2, 0.0, 0.02), (depth, inner, 0.003), d.front_rgb, mass)
    half = d.handle_width / 2
    metal = {"type": mujoco.mjtGeom.mjGEOM_CAPSULE, "rgba": [0.55, 0.56, 0.58, 1.0], **solid(group=SEEN)}
    bar = x - HANDLE_OUT
    body.add_geom(size=[d.handle_radius, 0.0, 0.0], fromto=[bar, -half, d.handle_height, bar, half, d.handle_height],
                  mass=mass, **metal)
    for side in (-1.0, 1.0):
        body.add_geom(size=[0.005, 0.0, 0.0], mass=mass / 2, **metal,
                      fromto=[x, side * half, d.handle_height, bar, side * half, d.handle_height])
    mark_grasp(body, (bar, -0.25 * d.handle_width, d.handle_height), (bar, 0.25 * d.handle_width, d.handle_height))
