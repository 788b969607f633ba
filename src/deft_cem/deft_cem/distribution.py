"""The residual's distribution D and its refit to the elites (paper section 1.2, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_core.residual import ResidualSpace
from deft_core.types import Array


class CemConfig(Config):
    """Parameters of Algorithm 1. The paper gives M and N; the rest was chosen by measurement."""

    warmup: int = Field(10, ge=1, description="M, episodes drawn from the first distribution")
    elites: int = Field(5, ge=2, description="E, best episodes that the distribution is fitted to")
    sigma: tuple[Positive, Positive, Positive] = Field(
        (0.025, 0.22, 0.125), description="first standard deviation: contact m, wrist rad, joints rad")
    bound: tuple[Positive, Positive, Positive] = Field(
        (0.08, 0.80, 0.50), description="eps is clipped to this: contact m, wrist rad, joints rad")
    covariance: Literal["diagonal", "full", "shrunk"] = Field(
        "diagonal", description="of the fit; shrunk is halfway between the two")
    floor: float = Field(0.3, ge=0.0, le=1.0, description="least standard deviation after a refit, in first sigmas")
    max_draws: int = Field(20, ge=1, description="samples tried when the robot cannot execute one")

    def space(self, joint_names: tuple[str, ...]) -> ResidualSpace:
        """The residual space of a hand."""
        return ResidualSpace.by_group(joint_names, self.sigma, self.bound)


@dataclass(frozen=True)
class Gaussian:
    """N(mean, factor factor^T); mean (n,), factor (n, n) lower-triangular, metres and rad."""

    mean: Array
    factor: Array

    @property
    def std(self) -> Array:
        """(n,) standard deviations."""
        return np.sqrt((self.factor**2).sum(axis=1))

    def sample(self, rng: np.random.Generator) -> Array:
        """One draw (n,)."""
        return self.mean + self.factor @ rng.standard_normal(len(self.mean))


@dataclass(frozen=True)
class Scored:
    """A scored episode: its index, eps (n,) and reward 0..1."""

    episode: int
    eps: Array
    reward: float


def elites(scored: Sequence[Scored], count: int) -> list[Scored]:
    """The `count` best of all scored episodes, best first; of equal rewards the later one wins."""
    return sorted(scored, key=lambda s: (s.reward, s.episode), reverse=True)[:count]


def first(space: ResidualSpace) -> Gaussian:
    """D <- N(0, sigma^2)."""
    return Gaussian(np.zeros(space.size), np.diag(space.sigma))


def fit(best: Sequence[Scored], space: ResidualSpace, config: CemConfig) -> Gaussian:
    """Fit D to the elites' residuals, with a floor under every standard deviation.

    The variance is the elites' mean square deviation (maximum likelihood). The floor keeps the
    search alive when elites coincide.
    """
    eps = np.array([s.eps for s in best]) / space.sigma  # in units of the first sigma
    mean = eps.mean(axis=0)
    centred = eps - mean
    diagonal = np.diag(np.maximum((centred**2).mean(axis=0), config.floor**2))
    if config.covariance == "diagonal":
        covariance = diagonal
    else:
        full = centred.T @ centred / len(best) + max(config.floor, 1e-3) ** 2 * np.eye(space.size)
        covariance = full if config.covariance == "full" else (full + diagonal) / 2
    return Gaussian(mean * space.sigma, space.sigma[:, None] * np.linalg.cholesky(covariance))


def distribution(scored: Sequence[Scored], episode: int, space: ResidualSpace, config: CemConfig) -> Gaussian:
    """D for drawing episode `episode` (0-based), as a function of the scored episodes before it alone.

    Algorithm 1 refits at the end of iteration k (1-based) when k > M, so the first refitted draw is
    that of 0-based episode M + 1. With fewer than E scored episodes D stays the first one.
    """
    if episode <= config.warmup or len(scored) < config.elites:
        return first(space)
    return fit(elites(scored, config.elites), space, config)
