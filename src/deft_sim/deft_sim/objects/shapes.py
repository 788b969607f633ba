"""Building blocks of procedural things: turned surfaces for looks, rings of boxes for collisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from deft_sim.model import OBJECT, ROBOT, SOLVER, TABLE

SEGMENTS = 40
Profile = Sequence[tuple[float, float]]
Rgb = tuple[float, float, float]
HIDDEN, SEEN = 3, 1  # geom groups: collision shapes that a look covers, and what the camera sees


@dataclass(frozen=True)
class Spot:
    """Where something is put: a point on the table (m, base frame; z is the table's top) and a heading (rad)."""

    x: float
    y: float
    z: float
    yaw: float

    def at(self, forward: float = 0.0, left: float = 0.0, up: float = 0.0) -> list[float]:
        """A point given along the spot's own axes, m, in the base frame."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return [float(self.x + c * forward - s * left), float(self.y + s * forward + c * left), self.z + up]

    def moved(self, forward: float = 0.0, left: float = 0.0, up: float = 0.0, turn: float = 0.0) -> Spot:
        """Another spot, given along this one's axes, m and rad."""
        x, y, z = self.at(forward, left, up)
        return Spot(x, y, z, self.yaw + turn)

    def quat(self, rotation: Rotation | None = None) -> list[float]:
        """wxyz of a body that is turned by `rotation` in the spot's own frame."""
        return wxyz(Rotation.from_euler("z", self.yaw) * (rotation or Rotation.identity()))


def wxyz(rotation: Rotation) -> list[float]:
    """MuJoCo's quaternion of a rotation."""
    return [float(q) for q in rotation.as_quat(scalar_first=True)]


def solid(friction: float = 0.85, softness: float = 1.0, group: int = HIDDEN, **more: Any) -> dict[str, Any]:
    """Arguments of a geom that collides with robot, table and other things.

    Args:
        friction: sliding coefficient.
        softness: times the solver's contact time constant; 1 is hard plastic, 3 a ripe fruit.
    """
    time, damping = SOLVER["solref"]
    return {"contype": OBJECT, "conaffinity": ROBOT | TABLE | OBJECT, "condim": 4,
            "friction": [friction, 0.02, 0.0005], "group": group, "solref": [time * softness, damping],
            "solimp": SOLVER["solimp"], **more}


def look(**more: Any) -> dict[str, Any]:
    """Arguments of a geom that is only seen."""
    return {"contype": 0, "conaffinity": 0, "mass": 0.0, "group": SEEN, **more}


def add_turned(spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, profile: Profile, rgb: Rgb) -> None:
    """The surface that a profile of (radius, z) makes when it is turned about the body's z axis; looks only.

    The profile runs from the outside bottom over the rim to the inside bottom; both ends are closed by discs.
    """
    angles = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rings = [np.column_stack([circle * r, np.full(SEGMENTS, z)]) for r, z in profile]
    points = np.vstack([*rings, [[0.0, 0.0, profile[0][1]], [0.0, 0.0, profile[-1][1]]]])
    bottom, inside, last = len(points) - 2, len(points) - 1, (len(profile) - 1) * SEGMENTS
    faces = []
    for i in range(SEGMENTS):
        j = (i + 1) % SEGMENTS
        for ring in range(len(profile) - 1):
            a, b = ring * SEGMENTS, (ring + 1) * SEGMENTS
            faces += [(a + i, a + j, b + j), (a + i, b + j, b + i)]
        faces += [(bottom, j, i), (inside, last + i, last + j)]
    mesh = spec.add_mesh(name=name, uservert=points.ravel(), userface=np.array(faces).ravel(),
                         inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh.name, rgba=[*rgb, 1.0], **look())


def add_wall(body: mujoco.MjsBody, bottom: tuple[float, float], top: tuple[float, float], thickness: float, count: int,
             mass: float, geom: dict[str, Any]) -> None:
    """A ring of boxes between two outer circles (radius, z): the side of a cup, bowl or pan.

    Args:
        count: boxes on the ring.
        mass: of one box, kg.
    """
    (r0, z0), (r1, z1) = bottom, top
    tilt = float(np.arctan2(r1 - r0, z1 - z0))
    slant = float(np.hypot(r1 - r0, z1 - z0))
    middle = (r0 + r1) / 2 - thickness / 2
    for k in range(count):
        angle = 2 * np.pi * k / count
        turn = Rotation.from_euler("z", angle) * Rotation.from_euler("y", tilt)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[thickness / 2, np.pi * max(r0, r1) / count, slant / 2],
                      quat=wxyz(turn), pos=[middle * np.cos(angle), middle * np.sin(angle), (z0 + z1) / 2], mass=mass, **geom)


def add_disc(body: mujoco.MjsBody, radius: float, thickness: float, mass: float, geom: dict[str, Any]) -> None:
    """A flat bottom whose underside is at z = 0."""
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=[radius, thickness / 2, 0.0], pos=[0.0, 0.0, thickness / 2],
                  mass=mass, **geom)


def free_body(spec: mujoco.MjSpec, name: str, position: Sequence[float], quat: Sequence[float] = (1.0, 0.0, 0.0, 0.0)
              ) -> mujoco.MjsBody:
    """A body that can move in all directions, in the base frame."""
    body = spec.worldbody.add_body(name=name, pos=list(position), quat=list(quat))
    body.add_freejoint(name=name)
    return body


def fixed_body(spec: mujoco.MjSpec, name: str, position: Sequence[float], quat: Sequence[float] = (1.0, 0.0, 0.0, 0.0)
               ) -> mujoco.MjsBody:
    """A body that stands as if glued to the table."""
    return spec.worldbody.add_body(name=name, pos=list(position), quat=list(quat))


def mark_grasp(body: mujoco.MjsBody, start: Sequence[float], end: Sequence[float]) -> None:
    """Where a competent hand closes: anywhere on a line of the body. Used for scores and the oracle only."""
    body.add_site(name="grasp_start", pos=list(start), group=5)
    body.add_site(name="grasp_end", pos=list(end), group=5)
