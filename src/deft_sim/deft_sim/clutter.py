"""Tables with several things on them and the true mask of each, to measure perception with and to train it on.

What the tasks put on the table (cups, a drawer, spoons on their rests...) is strewn over the object region, with
plain blocks and tins between that belong to no task. Train and test objects are never mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from deft_core.config import parse
from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.types import Pose
from deft_sim.camera import SimCamera
from deft_sim.config import RobotSim
from deft_sim.model import HAND_PREFIX, robot_spec
from deft_sim.objects.cups import CUPS, add_cup
from deft_sim.objects.drawers import DRAWERS, add_drawer
from deft_sim.objects.food import BUNCHES, LEMONS, add_lemon
from deft_sim.objects.juicers import JUICERS, add_juicer
from deft_sim.objects.shapes import SEEN, Spot, fixed_body, solid
from deft_sim.objects.spoons import SPOONS
from deft_sim.objects.stands import add_stand
from deft_sim.objects.vessels import BOWLS, POTS, add_vessel
from deft_sim.realism import draw_cell, draw_light
from deft_sim.scenes import flip_bagel, pick_grapes, pick_spoon, squeeze_lemon, stir_spoon

GAP = 0.015          # m at least between the circles round two things
SETTLE_STEPS = 150
TRIES = 200          # places tried for a thing before the table counts as full
CLUTTER = "clutter"  # name of what no task speaks of

Circle = tuple[float, float, float]
Build = Callable[[mujoco.MjSpec, Any, Spot, np.random.Generator], None]


@dataclass(frozen=True)
class Kind:
    """A sort of thing.

    Attributes:
        objects: by set.
        circles: what it covers of the table, as (forward, left, radius), m, along its heading.
        headings: rad, from and to.
    """

    build: Build
    objects: dict[str, tuple[Any, ...]]
    circles: tuple[Circle, ...]
    headings: tuple[float, float] = (-np.pi, np.pi)


def _cup(spec: mujoco.MjSpec, thing: Any, spot: Spot, rng: np.random.Generator) -> None:
    add_cup(spec, thing, spot)


def _bowl(spec: mujoco.MjSpec, thing: Any, spot: Spot, rng: np.random.Generator) -> None:
    add_vessel(spec, "bowl", thing, spot)


def _drawer(spec: mujoco.MjSpec, thing: Any, spot: Spot, rng: np.random.Generator) -> None:
    add_drawer(spec, thing, spot)


def _lemon(spec: mujoco.MjSpec, thing: Any, spot: Spot, rng: np.random.Generator) -> None:
    add_stand(spec, spot, squeeze_lemon.STAND, 0.022)
    add_lemon(spec, thing, spot.moved(up=squeeze_lemon.STAND))


def _juicer(spec: mujoco.MjSpec, thing: Any, spot: Spot, rng: np.random.Generator) -> None:
    add_juicer(spec, thing, spot)


POTS_WITH_SPOON = {name: tuple(zip(SPOONS[name], POTS[name], strict=True)) for name in POTS}
KINDS: dict[str, Kind] = {
    "cup": Kind(_cup, CUPS, ((0.0, 0.0, 0.055),)),
    "bowl": Kind(_bowl, BOWLS, ((0.0, 0.0, 0.088),)),
    "drawer": Kind(_drawer, DRAWERS, ((0.11, 0.0, 0.165), (-0.03, 0.0, 0.085)), (-0.4, 0.4)),
    "spoon": Kind(pick_spoon.build, SPOONS, ((0.0, -0.08, 0.05), (0.0, 0.0, 0.04), (0.0, 0.07, 0.04))),
    "pot": Kind(stir_spoon.build, POTS_WITH_SPOON, ((0.0, 0.0, 0.11), (0.0, 0.13, 0.03))),
    "pan": Kind(flip_bagel.build, flip_bagel.OBJECTS, ((0.0, 0.0, 0.145), (0.14, 0.14, 0.05), (-0.2, 0.0, 0.07)), (-0.6, 0.6)),
    "grapes": Kind(pick_grapes.build, BUNCHES, ((0.0, 0.0, 0.06),)),
    "lemon": Kind(_lemon, LEMONS, ((0.0, 0.0, 0.045),)),
    "juicer": Kind(_juicer, JUICERS, ((0.0, 0.0, 0.065),)),
}


@dataclass(frozen=True)
class Table:
    """One picture of a table.

    Attributes:
        rgb: (h, w, 3) uint8.
        depth: (h, w) uint16, millimetres along the optical axis, with the sensor's errors, 0 = none.
        true_depth: (h, w) float32, m, without errors.
        masks: by name (a key of KINDS, or `clutter0`...), (h, w) bool, what is visible of each thing.
        objects: by name, which object it is.
        camera: the true pose of the optical frame in the base frame.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    true_depth: NDArray[np.float32]
    masks: dict[str, NDArray[np.bool_]]
    objects: dict[str, str]
    camera: Pose


class TableSetter:
    """Sets tables, one after the other."""

    def __init__(self, robot: RobotConfig, hand: HandConfig) -> None:
        self._robot, self._hand = robot, hand
        self._realism = parse(RobotSim, robot.sim, f"robot '{robot.name}', sim").realism
        self._cell = draw_cell(robot, hand, self._realism)

    def table(self, object_set: str, count: int, clutter: int, seed: int) -> Table:
        """A table with at most `count` things of different kinds and `clutter` blocks; fewer where there is no room."""
        rng = np.random.default_rng(seed)
        spec = robot_spec(self._robot, self._hand, self._cell, draw_light(self._realism, rng))
        taken: list[Circle] = []
        objects: dict[str, str] = {}
        for noun in rng.permutation(list(KINDS))[:count]:
            kind = KINDS[str(noun)]
            spot = self._free_spot(taken, kind.circles, kind.headings, rng)
            if spot is None:
                continue
            thing = kind.objects[object_set][int(rng.integers(len(kind.objects[object_set])))]
            part = mujoco.MjSpec()
            kind.build(part, thing, spot, rng)
            spec.attach(part, prefix=f"{noun}/", frame=spec.worldbody.add_frame())
            objects[str(noun)] = (thing[0] if isinstance(thing, tuple) else thing).name
        for k in range(clutter):
            self._add_block(spec, f"{CLUTTER}{k}", taken, rng)
        return self._picture(spec, objects, seed)

    def _free_spot(self, taken: list[Circle], circles: tuple[Circle, ...], headings: tuple[float, float],
                   rng: np.random.Generator) -> Spot | None:
        """A place in the object region where the circles (m, along the heading) fit; they are then taken (base frame)."""
        low, high = np.array(self._robot.object_region.lower[:2]), np.array(self._robot.object_region.upper[:2])
        for _ in range(TRIES):
            x, y = rng.uniform(low, high)
            spot = Spot(float(x), float(y), self._robot.table_height + 0.001, float(rng.uniform(*headings)))
            here: list[Circle] = [(spot.at(a, b)[0], spot.at(a, b)[1], radius) for a, b, radius in circles]
            inside = all((low < np.array(c[:2]) - c[2]).all() and (np.array(c[:2]) + c[2] < high).all() for c in here)
            if inside and all(np.hypot(a[0] - b[0], a[1] - b[1]) > a[2] + b[2] + GAP for a in here for b in taken):
                taken.extend(here)
                return spot
        return None

    def _add_block(self, spec: mujoco.MjSpec, name: str, taken: list[Circle],
                   rng: np.random.Generator) -> None:
        """A box or a tin of any colour."""
        wide, deep, high = rng.uniform(0.02, 0.05), rng.uniform(0.02, 0.05), rng.uniform(0.015, 0.07)
        spot = self._free_spot(taken, ((0.0, 0.0, float(np.hypot(wide, deep))),), (-np.pi, np.pi), rng)
        if spot is None:
            return
        body = fixed_body(spec, f"{name}/block", spot.at(up=high), spot.quat())
        tin = rng.random() < 0.5
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER if tin else mujoco.mjtGeom.mjGEOM_BOX,
                      size=[wide, high, 0.0] if tin else [wide, deep, high], mass=0.1,
                      rgba=[*rng.uniform(0.1, 0.95, 3), 1.0], **solid(group=SEEN))

    def _picture(self, spec: mujoco.MjSpec, objects: dict[str, str], seed: int) -> Table:
        model = spec.compile()
        data = mujoco.MjData(model)
        names = [*self._robot.joint_names, *(HAND_PREFIX + n for n in self._hand.joint_names)]
        posture = [*self._robot.park, *self._hand.open_pose]
        for name, angle in zip(names, posture, strict=True):
            data.qpos[model.joint(name).qposadr[0]] = angle
            data.ctrl[model.actuator(name).id] = angle
        mujoco.mj_step(model, data, nstep=SETTLE_STEPS)
        camera = SimCamera(model, self._robot.camera, self._realism)
        try:
            rgb, depth = camera.render(data, seed)
            true_depth, owner = camera.truth(data)
        finally:
            camera.close()
        roots = [model.body(model.body_rootid[b]).name.split("/")[0] for b in model.geom_bodyid]
        visible = {name: np.isin(owner, [g for g, root in enumerate(roots) if root == name]) for name in set(roots)}
        masks = {name: mask for name, mask in visible.items() if name in objects or name.startswith(CLUTTER)}
        return Table(rgb, depth, true_depth, masks, objects, self._cell.camera)
