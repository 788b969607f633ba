"""Grapes, a bunch of them, bagels and lemons; soft where it matters."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.types import Array
from deft_sim.objects.shapes import SEEN, Rgb, Spot, free_body, look, mark_grasp, solid, wxyz

RIPE = 3.0  # softness of fruit against what touches it


@dataclass(frozen=True)
class Grapes:
    """Loose grapes: how many, radius (m), colour."""

    name: str
    count: int
    radius: float
    rgb: Rgb


GRAPES: dict[str, tuple[Grapes, ...]] = {
    "train": (
        Grapes("green_grapes", 8, 0.0110, (0.55, 0.70, 0.25)),
        Grapes("red_grapes", 8, 0.0105, (0.50, 0.10, 0.20)),
        Grapes("blue_grapes", 8, 0.0115, (0.20, 0.15, 0.40)),
        Grapes("rose_grapes", 7, 0.0110, (0.75, 0.35, 0.40)),
        Grapes("golden_grapes", 8, 0.0100, (0.80, 0.70, 0.30)),
        Grapes("small_grapes", 9, 0.0100, (0.40, 0.60, 0.20)),
    ),
    "test": (
        Grapes("black_grapes", 8, 0.0112, (0.12, 0.08, 0.18)),
        Grapes("pale_grapes", 8, 0.0104, (0.75, 0.80, 0.50)),
        Grapes("amber_grapes", 8, 0.0108, (0.85, 0.55, 0.20)),
        Grapes("violet_grapes", 9, 0.0102, (0.40, 0.15, 0.50)),
        Grapes("lime_grapes", 7, 0.0115, (0.50, 0.80, 0.20)),
        Grapes("brown_grapes", 8, 0.0106, (0.45, 0.25, 0.18)),
    ),
}


def add_loose(spec: mujoco.MjSpec, prefix: str, radius: float, mass: float, rgb: Rgb, places: Array, friction: float) -> None:
    """Spheres `<prefix>0`, `<prefix>1`, ... at places (n, 3), base frame.

    They slide but do not turn, which halves their cost.
    """
    for k, place in enumerate(places):
        body = spec.worldbody.add_body(name=f"{prefix}{k}", pos=place)
        for axis in np.eye(3):
            body.add_joint(name=f"{prefix}{k}_{'xyz'[int(axis.argmax())]}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis,
                           damping=[0.002, 0.0, 0.0])
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[radius, 0.0, 0.0], mass=mass, rgba=[*rgb, 1.0],
                      priority=1, **solid(friction, RIPE, SEEN, condim=3))  # its friction counts, not the larger of the two


@dataclass(frozen=True)
class Bunch:
    """A bunch of grapes on a stem: m, N/m; a grape gives by `stiffness` in all directions."""

    name: str
    rows: tuple[int, ...]   # grapes around the stem, from the bottom up
    radius: float
    rgb: Rgb
    stiffness: float = 200.0


BUNCHES: dict[str, tuple[Bunch, ...]] = {
    "train": (
        Bunch("green_bunch", (4, 4, 2), 0.0125, (0.55, 0.70, 0.25)),
        Bunch("red_bunch", (4, 4, 3), 0.0120, (0.50, 0.10, 0.20)),
        Bunch("blue_bunch", (4, 3, 2), 0.0130, (0.20, 0.15, 0.40)),
        Bunch("rose_bunch", (4, 4, 2), 0.0120, (0.75, 0.35, 0.40)),
        Bunch("golden_bunch", (4, 3, 3), 0.0125, (0.80, 0.70, 0.30)),
        Bunch("dense_bunch", (4, 4, 3), 0.0115, (0.40, 0.60, 0.20)),
    ),
    "test": (
        Bunch("black_bunch", (4, 4, 2), 0.0122, (0.12, 0.08, 0.18)),
        Bunch("pale_bunch", (4, 3, 2), 0.0128, (0.75, 0.80, 0.50)),
        Bunch("amber_bunch", (4, 4, 3), 0.0118, (0.85, 0.55, 0.20)),
        Bunch("violet_bunch", (4, 3, 3), 0.0122, (0.40, 0.15, 0.50)),
        Bunch("lime_bunch", (4, 4, 2), 0.0126, (0.50, 0.80, 0.20)),
        Bunch("brown_bunch", (4, 4, 3), 0.0116, (0.45, 0.25, 0.18)),
    ),
}


def add_bunch(spec: mujoco.MjSpec, bunch: Bunch, spot: Spot) -> None:
    """The stem as the free body `object`, standing on its thick end, and springy grapes `grape0`, `grape1`, ... on it."""
    r = bunch.radius
    ring, step = 1.75 * r, 1.85 * r
    height = r + step * len(bunch.rows)
    stem = free_body(spec, "object", spot.at(), spot.quat())
    stem.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.003, 0.0, 0.0], fromto=[0.0, 0.0, r, 0.0, 0.0, height + 0.015],
                  mass=0.006, rgba=[0.40, 0.45, 0.20, 1.0], **solid(group=SEEN))
    mark_grasp(stem, (0.0, 0.0, 0.4 * height), (0.0, 0.0, 0.6 * height))
    k = 0
    for row, count in enumerate(bunch.rows):
        for i in range(count):
            angle = 2 * np.pi * (i / count + 0.5 * (row % 2) / max(count, 1))
            out = ring if count > 2 else 1.2 * r
            at = [out * np.cos(angle), out * np.sin(angle), r + step * row]
            grape = stem.add_body(name=f"grape{k}", pos=at)
            for axis in np.eye(3):
                grape.add_joint(name=f"grape{k}_{'xyz'[int(axis.argmax())]}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis,
                                stiffness=[bunch.stiffness, 0.0, 0.0], damping=[0.5, 0.0, 0.0])
            grape.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[r, 0.0, 0.0], mass=1100 * 4.19 * r**3,
                           rgba=[*bunch.rgb, 1.0], **solid(group=SEEN, softness=RIPE))
            k += 1


@dataclass(frozen=True)
class Bagel:
    """A bagel: m, kg. The crust is up, the pale cut face down."""

    name: str
    radius: float     # of the ring's middle line
    thickness: float
    mass: float
    rgb: Rgb


BAGELS: dict[str, tuple[Bagel, ...]] = {
    "train": (
        Bagel("plain_bagel", 0.030, 0.026, 0.070, (0.75, 0.52, 0.28)),
        Bagel("rye_bagel", 0.031, 0.025, 0.080, (0.45, 0.28, 0.16)),
        Bagel("egg_bagel", 0.029, 0.027, 0.065, (0.88, 0.68, 0.32)),
        Bagel("big_bagel", 0.033, 0.026, 0.090, (0.70, 0.46, 0.24)),
        Bagel("toast_bagel", 0.030, 0.024, 0.060, (0.60, 0.38, 0.18)),
        Bagel("soft_bagel", 0.031, 0.027, 0.075, (0.82, 0.62, 0.38)),
    ),
    "test": (
        Bagel("sesame_bagel", 0.030, 0.025, 0.072, (0.80, 0.60, 0.36)),
        Bagel("cocoa_bagel", 0.031, 0.026, 0.078, (0.35, 0.20, 0.12)),
        Bagel("small_bagel", 0.028, 0.025, 0.055, (0.72, 0.50, 0.26)),
        Bagel("corn_bagel", 0.032, 0.025, 0.080, (0.92, 0.74, 0.30)),
        Bagel("malt_bagel", 0.029, 0.026, 0.066, (0.52, 0.33, 0.17)),
        Bagel("pale_bagel", 0.032, 0.027, 0.085, (0.86, 0.70, 0.48)),
    ),
}
BAGEL_PARTS = 8
CUT_FACE = (0.97, 0.93, 0.80)


def add_bagel(spec: mujoco.MjSpec, bagel: Bagel, spot: Spot) -> None:
    """Two halves of a ring, the free body `bagel` and a half on a springy hinge: it bends a little, as dough does."""
    half = free_body(spec, "bagel", spot.at(), spot.quat())
    other = half.add_body(name="bagel_half")
    other.add_joint(name="bagel_bend", type=mujoco.mjtJoint.mjJNT_HINGE, axis=[1.0, 0.0, 0.0], stiffness=[0.8, 0.0, 0.0],
                    damping=[0.01, 0.0, 0.0], range=[-0.5, 0.5], limited=mujoco.mjtLimited.mjLIMITED_TRUE,
                    pos=[0.0, 0.0, bagel.thickness / 2])
    for k in range(BAGEL_PARTS):
        angle = 2 * np.pi * (k + 0.5) / BAGEL_PARTS
        body = half if angle < np.pi else other
        at = np.array([bagel.radius * np.cos(angle), bagel.radius * np.sin(angle), bagel.thickness / 2])
        turn = wxyz(Rotation.from_euler("z", angle))
        size = [bagel.radius * 0.52, np.pi * bagel.radius / BAGEL_PARTS * 1.1, bagel.thickness / 2]
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, pos=at, quat=turn, mass=bagel.mass / BAGEL_PARTS,
                      size=[size[0], size[1] * 1.25, size[2]], rgba=[*bagel.rgb, 1.0],
                      **solid(friction=0.9, softness=RIPE, group=SEEN))
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, pos=[at[0], at[1], at[2] - 0.0025], quat=turn,
                      size=[size[0], size[1] * 1.25, size[2] * 0.95], rgba=[*CUT_FACE, 1.0], **look())


@dataclass(frozen=True)
class Lemon:
    """Half a lemon, cut face down: m, kg, N/m."""

    name: str
    radius: float
    height: float
    mass: float
    stiffness: float
    rgb: Rgb


LEMONS: dict[str, tuple[Lemon, ...]] = {
    "train": (
        Lemon("lemon", 0.030, 0.052, 0.060, 2000.0, (0.95, 0.85, 0.20)),
        Lemon("lime", 0.028, 0.048, 0.050, 2400.0, (0.45, 0.70, 0.20)),
        Lemon("orange", 0.034, 0.056, 0.090, 1800.0, (0.95, 0.55, 0.12)),
        Lemon("green_lemon", 0.029, 0.054, 0.060, 2200.0, (0.70, 0.80, 0.25)),
        Lemon("mandarin", 0.031, 0.048, 0.060, 1600.0, (0.95, 0.45, 0.10)),
        Lemon("big_lemon", 0.033, 0.058, 0.080, 2000.0, (0.98, 0.90, 0.35)),
    ),
    "test": (
        Lemon("grapefruit", 0.035, 0.054, 0.110, 1900.0, (0.90, 0.50, 0.40)),
        Lemon("bergamot", 0.031, 0.050, 0.065, 2100.0, (0.75, 0.78, 0.20)),
        Lemon("blood_orange", 0.032, 0.053, 0.080, 1800.0, (0.80, 0.30, 0.12)),
        Lemon("yuzu", 0.029, 0.049, 0.055, 2200.0, (0.90, 0.78, 0.15)),
        Lemon("kumquat_giant", 0.028, 0.056, 0.055, 2000.0, (0.98, 0.62, 0.20)),
        Lemon("pale_lemon", 0.033, 0.051, 0.072, 2000.0, (0.97, 0.93, 0.60)),
    ),
}


def add_lemon(spec: mujoco.MjSpec, lemon: Lemon, spot: Spot) -> None:
    """The rind as the free body `object`, origin in its cut face; in it the flesh, a disc on the spring `flesh` (m)."""
    r, h = lemon.radius, lemon.height
    rind = free_body(spec, "object", spot.at(), spot.quat())
    skin = {"rgba": [*lemon.rgb, 1.0], **solid(friction=1.0, softness=RIPE, group=SEEN)}
    side = h - 0.7 * r
    rind.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[r, side / 2 - 0.002, 0.0], pos=[0.0, 0.0, side / 2 + 0.002],
                  mass=0.5 * lemon.mass, **skin)
    rind.add_geom(type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, size=[r, r, 0.7 * r], pos=[0.0, 0.0, side],
                  mass=0.3 * lemon.mass, **skin)
    flesh = rind.add_body(name="flesh")
    flesh.add_joint(name="flesh", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0.0, 0.0, 1.0], range=[-0.001, 0.010],
                    limited=mujoco.mjtLimited.mjLIMITED_TRUE, stiffness=[lemon.stiffness, 0.0, 0.0], damping=[20.0, 0.0, 0.0])
    flesh.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[0.85 * r, 0.003, 0.0], pos=[0.0, 0.0, 0.003],
                   mass=0.2 * lemon.mass, rgba=[0.97, 0.95, 0.65, 1.0], **solid(softness=RIPE, group=SEEN))
    mark_grasp(rind, (0.0, 0.0, 0.4 * h), (0.0, 0.0, 0.7 * h))
