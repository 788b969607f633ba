"""A family of landscapes that score like grasps, to compare searches on: benchmarks/search.py.

z has 22 numbers in first sigmas, as a search sees them: contact 3, wrist 3, joints 16. A landscape is drawn from a seed:
where the best residual lies (the prior's error), how much each number matters, and how far off still succeeds. What an
episode scores also depends on its scene, which shifts the best residual a little. The score is high and flat where the
grasp holds, falls at the edge where it slips, and is a plateau at 0 where the hand misses. How large the prior's error,
the scene's and the tolerances are was chosen so that the prior, half-sigma and full-sigma draws succeed about as often as
on the simulated tasks (docs/search.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deft_core.types import Array

SIZE = 22
IMPORTANCE = np.repeat([1.0, 0.7, 0.25], (3, 3, 16))  # of contact, wrist, joints, a first sigma each
TOLERANCE = 2.4           # weighted distance within which a grasp succeeds
ERROR = (0.5, 1.5)        # of the prior, in tolerances: least and most
SCENE = 0.3               # first sigmas, standard deviation of what each scene shifts
SCORE = np.array([[0.0, 1.0], [0.7, 1.0], [1.0, 0.6], [1.25, 0.15], [2.0, 0.0]])  # distance in tolerances -> score
STEP = 0.05               # in which a person scores
TRIALS = 200              # scenes by which a residual is rated
KINDS = ("hill", "plateau", "ridge", "noise", "ranks")


@dataclass(frozen=True)
class Tried:
    """What an episode gave: the score a person would say, and whether the grasp really succeeded."""

    reward: float
    success: bool


class Landscape:
    """One of a kind.

    hill: as above. plateau: nothing but 0 from 1.25 tolerances on. ridge: four times the tolerance along two directions,
    0.8 of it across. noise: twice the scene's shift, scores off by 0.15, one in ten given without looking. ranks: a
    person who says one of five values by a scale of their own.
    """

    def __init__(self, kind: str, seed: int) -> None:
        rng = np.random.default_rng([KINDS.index(kind), seed])
        self._kind, self._seed = kind, seed
        weight = IMPORTANCE * np.exp(0.3 * rng.standard_normal(SIZE))
        self._metric = np.diag(weight)
        if kind == "ridge":
            along = np.linalg.qr(rng.standard_normal((SIZE, 2)))[0]
            self._metric = (np.eye(SIZE) - 0.75 * along @ along.T) @ self._metric / 0.8
        direction = rng.standard_normal(SIZE)
        size = rng.uniform(*ERROR) * TOLERANCE
        self.optimum: Array = direction * size / np.linalg.norm(self._metric @ direction)
        self._scale = np.exp(rng.uniform(-1.0, 1.0))

    def try_out(self, z: Array, rng: np.random.Generator) -> Tried:
        """One episode with a scene from `rng`."""
        noisy = self._kind == "noise"
        scene = SCENE * (2.0 if noisy else 1.0) * rng.standard_normal(SIZE)
        distance = float(np.linalg.norm(self._metric @ (z - self.optimum - scene))) / TOLERANCE
        score = float(np.interp(distance, SCORE[:, 0], SCORE[:, 1]))
        if self._kind == "plateau" and score <= SCORE[3, 1]:
            score = 0.0
        if self._kind == "ranks":
            score = round(score**self._scale * 4) / 4
        if noisy:
            score = rng.random() if rng.random() < 0.1 else score + 0.15 * rng.standard_normal()
        return Tried(float(np.clip(round(score / STEP) * STEP, 0.0, 1.0)), distance < 1.0)

    def rate(self, z: Array) -> float:
        """Share of successes of a residual over scenes, the same ones every time."""
        rng = np.random.default_rng([self._seed, 99])
        return float(np.mean([self.try_out(z, rng).success for _ in range(TRIALS)]))
