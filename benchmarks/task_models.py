"""Models of simulated tasks, made of plain draws, on which searches can be run by the hundred: benchmarks/search.py models.

The draws (`draw`) are sessions that never refit, a little wider than the first sigmas of config/finetune.yaml, on seeds that
nothing is reported on. Of a residual z the model tells how likely it is that the thing is lost, that it is held and the task
not done, and that it is done: Gaussian processes on what became of the draws, with a length scale for each number. The score
is then one of those that draws with that outcome had, with a person's noise.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from landscapes import STEP, Tried
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from deft_bench.sessions import HAND, Training, fine_tune, one_core
from deft_bench.studies import NOISE, search_of, trainings
from deft_cem.search.basis import Basis, make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.summary import read
from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError
from deft_core.types import Array

FIRST_SEED, SESSIONS, EPISODES = 300, 30, 30  # of the draws
WIDE = {"sigma": (0.013, 0.13, 0.45), "trajectory_sigma": 0.02}  # m, rad, rad; m
LOST = 0.3  # scores below: the thing is not held
OUTCOMES = (LOSES, HOLDS, DOES) = (0, 1, 2)


def search(algorithm: str) -> SearchConfig:
    """A search in the numbers of finetune.yaml."""
    return trainings({})[search_of(algorithm)].search


def basis() -> Basis:
    """Of those numbers."""
    hand = load(HandConfig, find(default_config_dir(), "hands", HAND))
    return make_basis(search("deft"), hand.motors, hand.name, default_config_dir())


def draw(job: tuple[str, int, Path]) -> None:
    """One session of draws, of a task and seed, in the folder of all of them."""
    one_core()
    task, seed, folder = job
    fine_tune(task, Training(search=search("random").model_copy(update=WIDE)), seed, EPISODES, folder / task / f"seed_{seed}")


def _process(z: Array, happened: Array) -> GaussianProcessRegressor:
    """How likely it is that something happens, by z."""
    kernel = (ConstantKernel(0.3, (1e-2, 1e1)) * RBF(np.full(z.shape[1], 3.0), (1.0, 50.0)) + WhiteKernel(0.7, (0.2, 1.0)))
    return GaussianProcessRegressor(kernel, normalize_y=True).fit(z, happened.astype(float))


class TaskModel:
    """Of one task, in z (d,)."""

    def __init__(self, task: str, folder: Path) -> None:
        sessions = sorted((folder / task).glob("seed_*/summary.json"))
        if not sessions:
            raise ConfigError(f"no draws of {task} in {folder}; make them with `search.py draws`")
        found = [e for file in sessions for e in read(file.parent)["episodes"] if e["status"] == "scored"]
        there = basis()
        z = np.array([there.to_z(np.array(e["eps"])) for e in found])
        scores = np.array([e["reward"] for e in found])
        outcome = np.where([e["success"] for e in found], DOES, np.where(scores < LOST, LOSES, HOLDS))
        self._scores = [scores[outcome == o] for o in OUTCOMES]
        self._loses, self._does = _process(z, outcome == LOSES), _process(z, outcome == DOES)

    def _likely(self, z: Array) -> Array:
        """(3,) how likely each outcome is."""
        loses = float(np.clip(self._loses.predict(z[None])[0], 0.01, 0.98))
        does = min(self.rate(z), 1.0 - loses)
        return np.array([loses, 1.0 - loses - does, does])

    def rate(self, z: Array) -> float:
        """Share of successes of a residual."""
        return float(np.clip(self._does.predict(z[None])[0], 0.0, 0.98))

    def try_out(self, z: Array, rng: np.random.Generator) -> Tried:
        """One episode."""
        outcome = rng.choice(OUTCOMES, p=self._likely(z))
        score = rng.choice(self._scores[outcome]) + NOISE * rng.standard_normal()
        return Tried(float(np.clip(round(score / STEP) * STEP, 0.0, 1.0)), outcome == DOES)


@lru_cache(maxsize=4)
def model_of(task: str, folder: Path) -> TaskModel:
    """Made once a process."""
    return TaskModel(task, folder)
