"""Recorded sessions made by hand, for policies in tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from deft_bag.episodes import RecordedEpisode, RecordedSession
from deft_core.residual import ResidualSpace
from deft_core.types import GraspParameters

JOINTS = tuple(f"j{i}" for i in range(16))
USUAL = np.array([0.5, 0.0, 0.05])  # m
SPACE = ResidualSpace.by_group(JOINTS, (0.025, 0.22, 0.125), (0.08, 0.8, 0.5))


def xi(rng: np.random.Generator) -> GraspParameters:
    return GraspParameters(USUAL + 0.03 * rng.standard_normal(3), 0.2 * rng.standard_normal(3), JOINTS,
                           rng.uniform(0.2, 0.8, 16), "hand")


def episode(k: int, reward: float, eps: np.ndarray, grasp: GraspParameters, crop: np.ndarray | None = None,
            **changes: Any) -> RecordedEpisode:
    values: dict[str, Any] = {"episode": k, "attempt": 0, "revision": 0, "status": "scored", "reward": reward,
                              "source": "operator", "success": None, "control": False, "repeat_of": None, "note": "",
                              "xi": grasp, "executed": None,
                              "eps": eps, "crop": crop, "phases": (), "seconds": {}}
    return RecordedEpisode(**{**values, **changes})


def session(episodes: list[RecordedEpisode], task: str = "pick_cup") -> RecordedSession:
    return RecordedSession("s", task, "pick up the cup", "train", 3, "hand", "robot", "0", SPACE, tuple(episodes), ())


def noise(count: int = 30, seed: int = 0, pictures: bool = False) -> RecordedSession:
    """Residuals that have nothing to do with what was seen, as a warm-up draws them."""
    rng = np.random.default_rng(seed)
    crop = (lambda: rng.integers(0, 256, (20, 14, 3), dtype=np.uint8)) if pictures else (lambda: None)
    return session([episode(k, float(rng.uniform()), SPACE.clip(SPACE.sigma * rng.standard_normal(22)), xi(rng), crop())
                    for k in range(count)])


def dependent(count: int = 30, seed: int = 0) -> RecordedSession:
    """The best residual follows from where the object lies: it undoes 0.8 of how far the contact is from the usual place."""
    rng = np.random.default_rng(seed)
    episodes = []
    for k in range(count):
        grasp = xi(rng)
        eps = 0.1 * SPACE.sigma * rng.standard_normal(22)
        eps[:3] -= 0.8 * (grasp.contact - USUAL)
        episodes.append(episode(k, 1.0 - 0.01 * k, SPACE.clip(eps), grasp))
    return session(episodes)
