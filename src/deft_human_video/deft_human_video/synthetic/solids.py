"""Solids that things are made of: the distance to their surface for grasping, and how MuJoCo draws them. Metres."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.types import Array

AROUND = 36  # segments of a turned surface
Point = tuple[float, float, float]


class Shape(Protocol):
    """Anything that has a surface."""

    def distance(self, points: Array) -> Array:
        """Signed distance (...), m, of points (..., 3): negative inside."""
        ...


class Solid(Shape, Protocol):
    """A solid in the frame of its thing."""

    def bounds(self) -> Array:
        """Two opposite corners (2, 3), m, of an upright box round it."""
        ...

    def draw(self, spec: mujoco.MjSpec, body: mujoco.MjsBody, material: str) -> None:
        """Add its looks to a body whose frame is the thing's."""
        ...


@dataclass(frozen=True)
class Capsule:
    """A round bar from a to b."""

    a: Point
    b: Point
    radius: float

    def distance(self, points: Array) -> Array:
        a, along = np.array(self.a), np.array(self.b) - self.a
        share = np.clip((points - a) @ along / (along @ along), 0.0, 1.0)
        return np.asarray(np.linalg.norm(points - a - share[..., None] * along, axis=-1) - self.radius)

    def bounds(self) -> Array:
        ends = np.array([self.a, self.b])
        return np.stack([ends.min(axis=0) - self.radius, ends.max(axis=0) + self.radius])

    def draw(self, spec: mujoco.MjSpec, body: mujoco.MjsBody, material: str) -> None:
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[self.radius, 0, 0], fromto=[*self.a, *self.b],
                      material=material, contype=0, conaffinity=0)


@dataclass(frozen=True)
class Box:
    """A box about `centre`, turned by `yaw` about z and then `pitch` about its y, rad."""

    centre: Point
    half: Point
    yaw: float = 0.0
    pitch: float = 0.0

    def _rotation(self) -> Rotation:
        return Rotation.from_euler("ZY", [self.yaw, self.pitch])

    def distance(self, points: Array) -> Array:
        beyond = np.abs((points - self.centre) @ self._rotation().as_matrix()) - self.half
        return np.asarray(np.linalg.norm(np.maximum(beyond, 0.0), axis=-1) + np.minimum(beyond.max(axis=-1), 0.0))

    def bounds(self) -> Array:
        reach = np.abs(self._rotation().as_matrix()) @ self.half
        return np.array([self.centre - reach, self.centre + reach])

    def draw(self, spec: mujoco.MjSpec, body: mujoco.MjsBody, material: str) -> None:
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=list(self.half), pos=list(self.centre),
                      quat=self._rotation().as_quat(scalar_first=True), material=material, contype=0, conaffinity=0)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid about `centre` with half-axes along x, y, z."""

    centre: Point
    half: Point

    def distance(self, points: Array) -> Array:
        local, half = points - np.array(self.centre), np.array(self.half)
        k0 = np.linalg.norm(local / half, axis=-1)
        k1 = np.linalg.norm(local / half**2, axis=-1)
        return np.asarray(k0 * (k0 - 1.0) / np.maximum(k1, 1e-9))  # first order: exact at the surface, which is what matters

    def bounds(self) -> Array:
        return np.array([np.subtract(self.centre, self.half), np.add(self.centre, self.half)])

    def draw(self, spec: mujoco.MjSpec, body: mujoco.MjsBody, material: str) -> None:
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, size=list(self.half), pos=list(self.centre), material=material,
                      contype=0, conaffinity=0)


@dataclass(frozen=True)
class Turned:
    """A wall: the line through `profile`, points (radius, z), turned about the vertical through `centre`, `wall` thick."""

    profile: tuple[tuple[float, float], ...]
    wall: float
    centre: Point = (0.0, 0.0, 0.0)

    def distance(self, points: Array) -> Array:
        local = points - np.array(self.centre)
        flat = np.stack([np.hypot(local[..., 0], local[..., 1]), local[..., 2]], axis=-1)
        corners = np.array(self.profile)
        nearest = np.full(flat.shape[:-1], np.inf)
        for a, b in itertools.pairwise(corners):
            share = np.clip((flat - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
            nearest = np.minimum(nearest, np.linalg.norm(flat - a - share[..., None] * (b - a), axis=-1))
        return nearest - self.wall / 2

    def bounds(self) -> Array:
        reach, line = max(r for r, _ in self.profile) + self.wall / 2, [z for _, z in self.profile]
        return np.array([[-reach, -reach, min(line) - self.wall / 2], [reach, reach, max(line) + self.wall / 2]]) + self.centre

    def draw(self, spec: mujoco.MjSpec, body: mujoco.MjsBody, material: str) -> None:
        line = np.array(self.profile)
        along = np.gradient(line, axis=0)
        across = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
        outline = np.concatenate([line + across * self.wall / 2, (line - across * self.wall / 2)[::-1]])
        outline[:, 0] = np.maximum(outline[:, 0], 0.0)
        angles = np.linspace(0.0, 2 * np.pi, AROUND, endpoint=False)
        rings = np.stack([np.outer(outline[:, 0], np.cos(angles)), np.outer(outline[:, 0], np.sin(angles)),
                          np.repeat(outline[:, 1:], AROUND, axis=1)], axis=-1)
        corner = np.arange(len(outline) * AROUND).reshape(len(outline), AROUND)
        here, beside = corner, np.roll(corner, -1, axis=1)
        above, diagonal = np.roll(here, -1, axis=0), np.roll(beside, -1, axis=0)
        faces = np.concatenate([np.stack([here, beside, diagonal], -1), np.stack([here, diagonal, above], -1)]).reshape(-1, 3)
        name = f"turned{len(spec.meshes)}"
        spec.add_mesh(name=name, uservert=rings.ravel(), userface=faces.ravel(),
                      inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, pos=list(self.centre), material=material, contype=0,
                      conaffinity=0)


def distance(solids: Sequence[Shape], points: Array) -> Array:
    """Signed distance (...), m, of points (..., 3) to the nearest of the solids; infinite without solids."""
    nearest = np.full(points.shape[:-1], np.inf)
    for solid in solids:
        nearest = np.minimum(nearest, solid.distance(points))
    return nearest
