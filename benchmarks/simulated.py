"""Sessions on the simulated robot without ROS, kept in files, so that several studies can use the same ones.

The cores are those of the graph: perception, prior, retargeting, planning, gate, simulator, searches. What is seen of a scene
is kept, since it is the same whenever the scene is laid again.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process a core

import numpy as np
from PIL import Image

from deft_bag.episodes import RecordedEpisode, RecordedSession
from deft_cem.search import make_search
from deft_cem.search.basis import Basis, make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.search.gaussian import Scored
from deft_core.config import default_config_dir
from deft_core.descriptions import HandConfig
from deft_core.residual import SHARES, ResidualSpace
from deft_core.types import GraspParameters

EPISODES, MAX_DRAWS = 30, 20
SCENE_OF_TRIALS = 900_000  # episode number from which scenes are kept for trials
STEP = 0.05                # in which the scripted operator scores


@dataclass(frozen=True)
class Tried:
    """A grasp that was executed: its score as the operator gives it, and whether the task succeeded."""

    reward: float
    success: bool


@dataclass(frozen=True)
class Look:
    """A scene as perception and the prior see it: the observation, the grasp xi, (h, w, 3) RGB of the object."""

    seen: Any
    xi: GraspParameters
    crop: np.ndarray


class Robot:
    """The simulated robot on one task: grasps of scenes."""

    def __init__(self, task: str) -> None:
        from deft_bench.sim_robot import load_rig
        from deft_core.neural import import_torch

        import_torch().set_num_threads(1)
        self.task, self.rig = task, load_rig(task, seed=0)
        self._looks: dict[tuple[str, int], Look | None] = {}

    def basis(self, config: SearchConfig) -> Basis:
        """Where the search works."""
        return make_basis(config, self.rig.hand.motors, self.rig.hand.name, default_config_dir())

    def look(self, objects: str, episode: int) -> Look | None:
        """Lay a scene and look at it; None where perception refuses it."""
        from deft_bringup.rehearsal import lay
        from deft_core.errors import DeftError

        lay(self.rig, objects, episode)
        if (objects, episode) not in self._looks:
            try:
                seen, xi = self.rig.look()
                self._looks[objects, episode] = Look(seen, xi, self.rig.crop)
            except DeftError:
                self._looks[objects, episode] = None
        return self._looks[objects, episode]

    def execute(self, seen: Any, grasp: GraspParameters, episode: int) -> Tried | None:
        """Execute on the scene that lies there; None where the robot cannot."""
        from deft_core.errors import DeftError

        try:
            verdict = self.rig.execute(seen, grasp, episode)[1]
        except DeftError:
            return None
        return Tried(float(np.clip(round(verdict.score / STEP) * STEP, 0.0, 1.0)), bool(verdict.success))

    def grasp(self, basis: Basis, objects: str, episode: int, z: np.ndarray) -> Tried | None:
        """Score and success of a residual on a scene; None where the robot cannot execute it."""
        look = self.look(objects, episode)
        return None if look is None else self.execute(look.seen, basis.space.apply(look.xi, basis.to_eps(z)), episode)


    def deploy(self, space: ResidualSpace, objects: str, episode: int, eps: np.ndarray) -> Tried | None:
        """Execute a residual as trials do: the largest share of it that the robot can execute; None where not even xi."""
        for share in SHARES:
            look = self.look(objects, episode)
            tried = self.execute(look.seen, space.apply(look.xi, share * eps), episode) if look else None
            if tried is not None or look is None:
                return tried
        return None


def scenes_of_trials(objects: str, count: int) -> list[tuple[str, int]]:
    """Scenes that no session was trained on."""
    return [(objects, SCENE_OF_TRIALS + k) for k in range(count)]


def session(robot: Robot, config: SearchConfig, seed: int, folder: Path) -> dict[str, Any]:
    """A session of 30 episodes from its file, or run now: arrays by name, a row an episode.

    `z`, `eps`, `reward`, `success`, `executed` (False: no sample could be), `contact`, `wrist`, `joints` (of xi), `crop` (PNG).
    """
    path = folder / f"{robot.task}_{config.algorithm}_{seed}.npz"
    if path.exists():
        return dict(np.load(path, allow_pickle=True))
    basis = robot.basis(config)
    search = make_search(config, basis, seed)
    scored: list[Scored] = []
    rows: list[dict[str, Any]] = []
    for k in range(EPISODES):
        search.tell(scored)
        look = robot.look("train", scene := 1000 * (seed + 1) + k)
        tried, z = None, np.zeros(basis.size)
        for draw in range(MAX_DRAWS if look else 0):
            z = basis.to_z(basis.to_eps(search.ask(k, draw)))
            if (tried := robot.grasp(basis, "train", scene, z)) is not None:
                scored.append(Scored(k, z, tried.reward))
                break
        rows.append(_row(basis, len(robot.rig.hand.joint_names), look, z, tried))
    data = {name: np.array([row[name] for row in rows], dtype=object if name == "crop" else None) for name in rows[0]}
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez_compressed(temporary, **data)
    temporary.replace(path)
    return data


def _row(basis: Basis, joints: int, look: Look | None, z: np.ndarray, tried: Tried | None) -> dict[str, Any]:
    png = io.BytesIO()
    if look is not None:
        Image.fromarray(look.crop).save(png, "PNG")
    xi = look.xi if look else None
    return {"z": z, "eps": basis.to_eps(z), "reward": tried.reward if tried else np.nan,
            "success": bool(tried and tried.success), "executed": tried is not None, "crop": png.getvalue(),
            "contact": xi.contact if xi else np.full(3, np.nan), "wrist": xi.wrist_rotation if xi else np.full(3, np.nan),
            "joints": xi.joints if xi else np.full(joints, np.nan)}


def recorded(robot: Robot, config: SearchConfig, seed: int, data: dict[str, Any]) -> RecordedSession:
    """A session as its bag would give it."""
    rows = [{name: values[k] for name, values in data.items()} for k in range(EPISODES)]
    episodes = tuple(_episode(k, row, robot.rig.hand) for k, row in enumerate(rows))
    return RecordedSession(f"{robot.task}-{seed}", robot.task, robot.rig.task.text, "train", seed, robot.rig.hand.name,
                           robot.rig.robot.name, "", robot.basis(config).space, episodes, ())


def _episode(number: int, row: dict[str, Any], hand: HandConfig) -> RecordedEpisode:
    xi = None
    if np.isfinite(row["contact"]).all():
        xi = GraspParameters(row["contact"], row["wrist"], hand.joint_names, row["joints"], hand.name)
    crop = np.asarray(Image.open(io.BytesIO(row["crop"]))) if row["crop"] else None
    status = "scored" if row["executed"] else "infeasible"
    return RecordedEpisode(number, 0, 0, status, float(row["reward"]), "operator", bool(row["success"]), False, None, "", xi,
                           None, row["eps"], crop, (), {})
