"""Reads off the simulation, each tick, what a person beside the robot would see and feel."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from deft_core.descriptions import HandConfig
from deft_core.types import Array
from deft_sim.history import DIGITS, Moment
from deft_sim.model import HAND_PREFIX

GRASPED = "object"  # the thing that the hand is to grasp, with all that hangs on it
SCALAR_JOINTS = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))


class Watcher:
    """Knows which body of a compiled model belongs to what.

    Args:
        grasp_frame: (4, 4), the hand's grasp frame in its base link.
        table_height: m, base frame.
    """

    def __init__(self, model: mujoco.MjModel, hand: HandConfig, grasp_frame: Array, table_height: float) -> None:
        self._model, self._grasp_frame, self._table_height = model, grasp_frame, table_height
        self._palm = model.body(HAND_PREFIX + hand.base_link).id
        labels = [self._label(b) for b in range(model.nbody)]
        self._names = sorted(set(labels))
        of_body = np.array([self._names.index(label) for label in labels])
        self._label_of_geom = of_body[model.geom_bodyid]
        robot = {"arm", *DIGITS}
        self._is_robot = np.array([name in robot for name in self._names])
        self._is_thing = np.array([name not in robot | {"table"} for name in self._names])
        bodies = [b for b in range(model.nbody) if labels[b] not in robot | {"table"}]
        self._bodies = np.array(bodies)
        self._things = {model.body(b).name: row for row, b in enumerate(bodies)}
        thing_joints = [j for j in range(model.njnt) if model.jnt_bodyid[j] in bodies
                        and model.jnt_type[j] in SCALAR_JOINTS]
        self._joints = [(model.joint(j).name, int(model.jnt_qposadr[j])) for j in thing_joints]
        self._line = np.array([model.site("grasp_start").id, model.site("grasp_end").id])
        own = self._names.index(GRASPED)
        self._shapes = np.flatnonzero((self._label_of_geom == own) & (model.geom_contype > 0))
        self._edges, self._radii = _extents(model, self._shapes)
        self._wrench = np.zeros(6)
        self._pairs = np.zeros((0, 2), int)
        self._of_robot: NDArray[np.bool_] = np.zeros(0, bool)

    def _label(self, body: int) -> str:
        """A digit of the hand, `arm`, `table`, or the thing that a body belongs to."""
        m = self._model
        if body == 0:
            return "table"
        chain = [body]
        while m.body_parentid[chain[-1]] != 0:
            chain.append(int(m.body_parentid[chain[-1]]))
        if self._palm in chain:
            above = chain[:chain.index(self._palm)]
            roots = [b for b in range(m.nbody) if m.body_parentid[b] == self._palm]
            return DIGITS[1 + roots.index(above[-1])] if above else "palm"
        if m.body_rootid[body] == m.body_rootid[self._palm]:
            return "arm"
        names = [m.body(b).name for b in chain]
        return GRASPED if GRASPED in names else names[0]

    def look(self, data: mujoco.MjData) -> None:
        """Find out what touches what; what follows is about the data as they were then."""
        self._pairs = np.sort(self._label_of_geom[data.contact.geom], axis=1) if data.ncon else self._pairs[:0]
        self._of_robot = np.asarray(self._is_robot[self._pairs].any(axis=1))

    def moment(self, data: mujoco.MjData, time: float) -> Moment:
        """What is to be seen now; `time` is the robot clock, s."""
        palm = data.xmat[self._palm].reshape(3, 3)
        touches, penetration = self._contacts(data)
        return Moment(time, data.xpos[self._palm] + palm @ self._grasp_frame[:3, 3], palm @ self._grasp_frame[:3, :3],
                      self._things, data.xpos[self._bodies], data.xmat[self._bodies].reshape(-1, 3, 3),
                      {name: float(data.qpos[at]) for name, at in self._joints}, data.site_xpos[self._line],
                      touches, self._bottom(data) - self._table_height, penetration)

    def _contacts(self, data: mujoco.MjData) -> tuple[frozenset[tuple[str, str]], float]:
        """Pairs that touch, and the robot's deepest overlap with anything, m."""
        pairs, names = self._pairs, self._names
        if not len(pairs):
            return frozenset(), 0.0
        deepest = float(np.max(-data.contact.dist[self._of_robot], initial=0.0))
        codes = set((pairs[:, 0] * len(names) + pairs[:, 1])[self._is_thing[pairs].any(axis=1)].tolist())
        return frozenset((names[c // len(names)], names[c % len(names)]) for c in codes), deepest

    def robot_touches(self) -> bool:
        """True when any robot part touches anything."""
        return bool(self._of_robot.any())

    def robot_force(self, data: mujoco.MjData) -> float:
        """N, the largest contact force on any robot part."""
        largest = 0.0
        for i in np.flatnonzero(self._of_robot):
            mujoco.mj_contactForce(self._model, data, int(i), self._wrench)
            largest = max(largest, float(np.linalg.norm(self._wrench[:3])))
        return largest

    def _bottom(self, data: mujoco.MjData) -> float:
        """m, z of the lowest point of the object's collision shapes."""
        up = data.geom_xmat[self._shapes].reshape(-1, 3, 3)[:, 2]
        reach = (np.abs(up) * self._edges).sum(axis=1) + np.sqrt(((up * self._radii) ** 2).sum(axis=1))
        return float((data.geom_xpos[self._shapes, 2] - reach).min())


def _extents(model: mujoco.MjModel, geoms: NDArray[np.intp]) -> tuple[Array, Array]:
    """Each shape as a box swept by an ellipsoid: half edges (n, 3) and radii (n, 3), m; exact for all that scenes use."""
    edges, radii = np.zeros((len(geoms), 3)), np.zeros((len(geoms), 3))
    kinds = mujoco.mjtGeom
    for row, geom in enumerate(geoms):
        kind, size = int(model.geom_type[geom]), model.geom_size[geom]
        if kind == int(kinds.mjGEOM_SPHERE):
            radii[row] = size[0]
        elif kind == int(kinds.mjGEOM_ELLIPSOID):
            radii[row] = size
        elif kind == int(kinds.mjGEOM_CAPSULE):
            edges[row, 2], radii[row] = size[1], size[0]
        elif kind == int(kinds.mjGEOM_CYLINDER):
            edges[row, 2], radii[row, :2] = size[1], size[0]
        elif kind == int(kinds.mjGEOM_BOX):
            edges[row] = size
        else:
            raise ValueError(f"collision shape {geom} is no sphere, ellipsoid, capsule, cylinder or box")
    return edges, radii
