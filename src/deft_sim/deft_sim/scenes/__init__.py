"""One module a task: what stands on the table, how a grasp is scored, and what a competent grasp is."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.config import Config, nearest
from deft_core.errors import ConfigError
from deft_core.types import Array
from deft_sim.history import Moment, Verdict
from deft_sim.objects.shapes import Spot
from deft_sim.scoring import Watched

SCENES = ("pick_cup", "pour_cup", "open_drawer", "pick_spoon", "scoop_grape", "stir_spoon", "pick_grapes", "flip_bagel",
          "squeeze_lemon")


@dataclass(frozen=True)
class Competent:
    """A grasp that a careful person would set by hand (base frame).

    Attributes:
        contact: (3,) m, where the hand's grasp centre goes.
        fingers, palm: (3,), where the fingers point and where the palm faces, at right angles to each other.
        posture: name of a closed hand in the hand's YAML.
    """

    contact: Array
    fingers: Array
    palm: Array
    posture: str

    def moved(self, along_fingers: float, along_palm: float) -> Competent:
        """The same grasp with the hand further along its own directions, m."""
        axes = self.rotation().as_matrix()
        return replace(self, contact=self.contact + along_fingers * axes[:, 0] + along_palm * axes[:, 2])

    def rotation(self) -> Rotation:
        """Rotation of the hand's grasp frame: x to the fingers, z out of the palm."""
        z = np.asarray(self.palm, float) / np.linalg.norm(self.palm)
        x = np.asarray(self.fingers, float) - z * (z @ self.fingers)
        x /= np.linalg.norm(x)
        return Rotation.from_matrix(np.stack([x, np.cross(z, x), z], axis=1))


FORWARD, LEFT, DOWN = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])


def on_handle(moment: Moment, palm: Array, fingers: Array, posture: str) -> Competent:
    """A hand across the object's grasp line, in its middle; palm and fingers as near to the given directions as that allows."""
    start, end = moment.grasp_line
    along = (end - start) / np.linalg.norm(end - start)
    facing = palm - along * (along @ palm)
    across = np.cross(along, facing)
    return Competent((start + end) / 2, across * np.sign(across @ fingers), facing, posture)


@dataclass(frozen=True)
class Via:
    """A point on the way of a wrist that shows the task: s since the hand closed, then as in Waypoint (base frame)."""

    t: float
    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotvec: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Scene(Protocol):
    """What a scene module offers."""

    SHOWN: tuple[Via, ...]
    """What a person who shows the task means to do with the wrist after grasping; see demonstration.py."""

    OBJECTS: dict[str, tuple[Any, ...]]
    """What can stand on the table, by object set; a thing with company is a tuple that begins with what is grasped."""

    Score: type[Config]
    """Parameters of the score and of the success test."""

    def build(self, spec: mujoco.MjSpec, thing: Any, spot: Spot, rng: np.random.Generator) -> None:
        """Put one of OBJECTS into the model, with a body `object` that carries a grasp line."""
        ...

    def judge(self, watched: Watched, score: Any) -> Verdict:
        """Score a grasp 0..1 as an attentive operator would, and apply the paper's success test."""
        ...

    def competent(self, moment: Moment) -> Competent:
        """A competent grasp of the scene as it stands at `moment`."""
        ...


def things_by_name(scene: Scene) -> dict[str, Any]:
    """Everything that a scene can put on the table, by the name of what is grasped."""
    things = [thing for group in scene.OBJECTS.values() for thing in group]
    return {(thing[0] if isinstance(thing, tuple) else thing).name: thing for thing in things}


def scene_module(name: str) -> Scene:
    """The module of a scene. Raises ConfigError with the valid names."""
    if name not in SCENES:
        raise ConfigError(f"unknown scene '{name}' in the task's sim section: {nearest(name, SCENES)}")
    return cast(Scene, importlib.import_module(f"deft_sim.scenes.{name}"))
