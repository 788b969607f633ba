"""Algorithm 1 of the paper, read literally, and the control that never refits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from deft_cem.search.gaussian import Gaussian, Scored, best
from deft_cem.search.search import Search
from deft_core.config import Config
from deft_core.types import Array


class DeftConfig(Config):
    """Parameters of Algorithm 1. The paper gives M and N; the reasons for the rest are in docs/search.md."""

    warmup: int = Field(default=10, ge=1, description="M, episodes drawn from the first distribution")
    elites: int = Field(default=5, ge=2, description="E, best episodes that the distribution is fitted to")
    covariance: Literal["diagonal", "full", "shrunk"] = Field(
        default="diagonal", description="of the fit; shrunk is halfway between the two")
    floor: float = Field(default=0.3, ge=0.0, le=1.0, description="least standard deviation after a refit, in first sigmas")


def fit(elites: Sequence[Scored], config: DeftConfig) -> Gaussian:
    """Fit D to the elites' samples, with a floor under every standard deviation.

    The variance is the elites' mean square deviation (maximum likelihood). The floor keeps the
    search alive when elites coincide.
    """
    z = np.array([s.z for s in elites])
    centred = z - z.mean(axis=0)
    diagonal = np.diag(np.maximum((centred**2).mean(axis=0), config.floor**2))
    if config.covariance == "diagonal":
        covariance = diagonal
    else:
        full = centred.T @ centred / len(elites) + max(config.floor, 1e-3) ** 2 * np.eye(z.shape[1])
        covariance = full if config.covariance == "full" else (full + diagonal) / 2
    return Gaussian(z.mean(axis=0), np.linalg.cholesky(covariance))


class DeftSearch(Search):
    """The cross-entropy method (paper section 1.2, Algorithm 1).

    Algorithm 1 refits at the end of iteration k (1-based) when k > M, so the first refitted draw is that of 0-based
    episode M + 1. With fewer than E scored episodes D stays the first one.
    """

    name = "deft"

    def __init__(self, size: int, seed: int, config: DeftConfig) -> None:
        super().__init__(size, seed)
        self._config = config

    @property
    def leads_from(self) -> int:
        """See Search."""
        return self._config.warmup + 1

    def _learn(self) -> None:
        """See Search: everything is made from the scores when it is asked for."""

    def spread(self, episode: int) -> Gaussian:
        """See Search."""
        if episode <= self._config.warmup or len(self._scored) < self._config.elites:
            return Gaussian.standard(self.size)
        return fit(best(self._scored, self._config.elites), self._config)

    def ask(self, episode: int, draw: int) -> Array:
        """See Search."""
        return self.spread(episode).sample(self._rng(episode, draw))

    def result(self) -> Array | None:
        """See Search: the elites' mean."""
        elites = best(self._scored, self._config.elites)
        return np.mean([s.z for s in elites], axis=0) if len(elites) == self._config.elites else None


class RandomSearch(DeftSearch):
    """The control: all episodes from the first distribution, then the elites' mean."""

    name = "random"

    def spread(self, episode: int) -> Gaussian:
        """See Search."""
        return Gaussian.standard(self.size)
