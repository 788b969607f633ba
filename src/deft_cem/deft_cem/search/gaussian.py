"""A multivariate normal distribution, and a scored episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from deft_core.types import Array


@dataclass(frozen=True)
class Gaussian:
    """N(mean, factor factor^T); mean (n,), factor (n, m)."""

    mean: Array
    factor: Array

    @staticmethod
    def standard(size: int) -> Gaussian:
        """N(0, I)."""
        return Gaussian(np.zeros(size), np.eye(size))

    @property
    def std(self) -> Array:
        """(n,) standard deviations."""
        return np.sqrt((self.factor**2).sum(axis=1))

    def sample(self, rng: np.random.Generator) -> Array:
        """One draw (n,)."""
        return self.mean + self.factor @ rng.standard_normal(self.factor.shape[1])


@dataclass(frozen=True)
class Scored:
    """A scored episode: its index (0-based), where it was drawn, (n,), and its reward 0..1."""

    episode: int
    z: Array
    reward: float


class Rated(Protocol):
    """What can be ranked."""

    @property
    def episode(self) -> int:
        """0-based."""
        ...

    @property
    def reward(self) -> float:
        """0..1."""
        ...


R = TypeVar("R", bound=Rated)


def best(scored: Sequence[R], count: int) -> list[R]:
    """The `count` best of all scored episodes, best first; of equal rewards the later one wins.

    Later wins because later draws come from a distribution that was fitted to more episodes.
    """
    return sorted(scored, key=lambda s: (s.reward, s.episode), reverse=True)[:count]
