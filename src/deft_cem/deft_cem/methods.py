"""What decides the residual of an episode: the cross-entropy method, or a fixed residual for trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from deft_cem.distribution import CemConfig, Gaussian, Scored, distribution
from deft_core.residual import ResidualSpace
from deft_core.types import Array


class Method(Protocol):
    """Ask for residuals. Everything follows from seed and scored episodes, so that resuming repeats it."""

    name: str
    max_draws: int

    def residual(self, episode: int, draw: int, scored: Sequence[Scored]) -> Array:
        """eps (n,) for an episode (0-based); `draw` counts samples that were not feasible."""
        ...

    def spread(self, episode: int, scored: Sequence[Scored]) -> Gaussian | None:
        """The distribution that the episode draws from, None when there is none."""
        ...


class CemMethod:
    """Algorithm 1."""

    name = "cem"

    def __init__(self, space: ResidualSpace, config: CemConfig, seed: int) -> None:
        self._space, self._config, self._seed = space, config, seed
        self.max_draws = config.max_draws

    def spread(self, episode: int, scored: Sequence[Scored]) -> Gaussian:
        """See Method."""
        return distribution(scored, episode, self._space, self._config)

    def residual(self, episode: int, draw: int, scored: Sequence[Scored]) -> Array:
        """See Method. Each (seed, episode, draw) has its own generator."""
        rng = np.random.default_rng(np.random.SeedSequence([self._seed, episode, draw]))
        return self._space.clip(self.spread(episode, scored).sample(rng))


class FixedMethod:
    """The same residual every time: zero is the prior alone, the elites' mean is what was learned."""

    max_draws = 1

    def __init__(self, name: str, eps: Array) -> None:
        self.name, self._eps = name, eps

    def spread(self, episode: int, scored: Sequence[Scored]) -> None:
        """See Method."""
        return None

    def residual(self, episode: int, draw: int, scored: Sequence[Scored]) -> Array:
        """See Method."""
        return self._eps
