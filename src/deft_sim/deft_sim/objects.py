"""Procedural cups and mugs: a train and a test set that differ in size, shape and colour."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import mujoco
import numpy as np

from deft_sim.model import OBJECT, ROBOT, SOLVER, TABLE

WALL_BOXES = 14
SEGMENTS = 40


@dataclass(frozen=True)
class Cup:
    """A hollow cup: metres, kg; `handle` is how far the handle stands out (0 = none)."""

    name: str
    height: float
    bottom_radius: float
    top_radius: float
    wall: float
    mass: float
    rgb: tuple[float, float, float]
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
    ),
    "test": (
        Cup("steel_tumbler", 0.130, 0.033, 0.033, 0.004, 0.200, (0.55, 0.57, 0.60)),
        Cup("small_mug", 0.085, 0.037, 0.039, 0.005, 0.220, (0.15, 0.50, 0.25), handle=0.025),
        Cup("wide_cup", 0.100, 0.034, 0.045, 0.004, 0.100, (0.50, 0.20, 0.60)),
        Cup("slim_glass", 0.130, 0.029, 0.031, 0.004, 0.180, (0.10, 0.55, 0.60)),
        Cup("bell_cup", 0.110, 0.025, 0.041, 0.004, 0.080, (0.95, 0.50, 0.10)),
    ),
}


def _shell(cup: Cup) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) and faces (m, 3) of the cup's wall and bottom, for looks only."""
    angles = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # rings from the outside bottom over the rim to the inside bottom: (radius, z)
    profile = [(cup.bottom_radius, 0.0), (cup.top_radius, cup.height), (cup.top_radius - cup.wall, cup.height),
               (cup.bottom_radius - cup.wall, cup.wall)]
    vertices = [np.column_stack([circle * r, np.full(SEGMENTS, z)]) for r, z in profile]
    centres = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, cup.wall]])
    points = np.vstack([*vertices, centres])
    faces = []
    for i in range(SEGMENTS):
        j = (i + 1) % SEGMENTS
        for ring in range(len(profile) - 1):
            a, b = ring * SEGMENTS, (ring + 1) * SEGMENTS
            faces += [(a + i, a + j, b + j), (a + i, b + j, b + i)]
        bottom, inside = len(points) - 2, len(points) - 1
        last = (len(profile) - 1) * SEGMENTS
        faces += [(bottom, j, i), (inside, last + i, last + j)]
    return points, np.array(faces)


def add_cup(spec: mujoco.MjSpec, cup: Cup) -> None:
    """Add the cup as the free body `object`, its origin at the middle of its bottom, z up."""
    body = spec.worldbody.add_body(name="object")
    body.add_freejoint(name="object")
    vertices, faces = _shell(cup)
    mesh = spec.add_mesh(name="cup", uservert=vertices.ravel(), userface=faces.ravel(),
                         inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    rgba = [*cup.rgb, 1.0]
    body.add_geom(name="cup_look", type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh.name, rgba=rgba, contype=0,
                  conaffinity=0, mass=0.0, group=1)
    collide = {"contype": OBJECT, "conaffinity": ROBOT | TABLE, "condim": 4, "friction": [0.85, 0.02, 0.0005],
               "group": 3, "solref": SOLVER["solref"], "solimp": SOLVER["solimp"]}
    parts = WALL_BOXES + 1 + (3 if cup.handle else 0)
    mass = cup.mass / parts
    tilt = np.arctan2(cup.top_radius - cup.bottom_radius, cup.height)
    # the walls stand on the bottom plate, not on the table: fewer contacts, same cup
    foot = cup.wall
    middle = cup.radius((cup.height + foot) / 2) - cup.wall / 2
    width = np.pi * cup.top_radius / WALL_BOXES
    for k in range(WALL_BOXES):
        angle = 2 * np.pi * k / WALL_BOXES
        frame = np.zeros(4)
        turn = np.array([np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)])
        lean = np.array([np.cos(tilt / 2), 0.0, np.sin(tilt / 2), 0.0])
        mujoco.mju_mulQuat(frame, turn, lean)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[cup.wall / 2, width, (cup.height - foot) / 2], quat=frame,
                      pos=[middle * np.cos(angle), middle * np.sin(angle), (cup.height + foot) / 2], mass=mass, **collide)
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[cup.bottom_radius, cup.wall / 2, 0.0],
                  pos=[0.0, 0.0, cup.wall / 2], mass=mass, **collide)
    if cup.handle:
        _add_handle(body, cup, mass, rgba, collide)


def _add_handle(body: mujoco.MjsBody, cup: Cup, mass: float, rgba: list[float], collide: dict[str, object]) -> None:
    """Three capsules: out, down, and back to the wall."""
    out = cup.radius(cup.height / 2) + cup.handle
    top, bottom = 0.78 * cup.height, 0.25 * cup.height
    corners = [(cup.radius(top) - cup.wall, top), (out, top), (out, bottom), (cup.radius(bottom) - cup.wall, bottom)]
    for (r0, z0), (r1, z1) in itertools.pairwise(corners):
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.0055, 0.0, 0.0], fromto=[r0, 0, z0, r1, 0, z1],
                      mass=mass, rgba=rgba, **{**collide, "group": 1})
