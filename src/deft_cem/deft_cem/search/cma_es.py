"""CMA-ES (the `cma` package) behind our ask and tell."""

from __future__ import annotations

from typing import Any

import cma
import numpy as np
from pydantic import Field

from deft_cem.search.gaussian import Gaussian
from deft_cem.search.search import Search
from deft_core.config import Config
from deft_core.types import Array


class CmaConfig(Config):
    """What of the package's defaults is worth changing for 30 episodes."""

    population: int = Field(default=10, ge=4,
                            description="episodes a generation; the package's own choice for 22 numbers is 13")
    sigma: float = Field(default=1.0, gt=0.0, description="first step size, in first sigmas")


class CmaSearch(Search):
    """Generations are filled with scored episodes in their order; one that was not scored is replaced by the next."""

    name = "cma"

    def __init__(self, size: int, seed: int, config: CmaConfig) -> None:
        super().__init__(size, seed)
        self._config = config

    @property
    def leads_from(self) -> int:
        """See Search."""
        return self._config.population

    def _learn(self) -> None:
        """See Search: everything is made from the scores when it is asked for."""

    def _strategy(self, rng: np.random.Generator) -> Any:
        """The strategy after all full generations, drawing from `rng`."""
        options = {"popsize": self._config.population, "verbose": -9, "randn": lambda *shape: rng.standard_normal(shape),
                   "seed": np.nan}
        strategy = cma.CMAEvolutionStrategy(np.zeros(self.size), self._config.sigma, options)
        generation = self._config.population
        for start in range(0, len(self._scored) - generation + 1, generation):
            told = self._scored[start:start + generation]
            strategy.ask()
            strategy.tell([s.z for s in told], [-s.reward for s in told], check_points=False)
        return strategy

    def ask(self, episode: int, draw: int) -> Array:
        """See Search."""
        return np.asarray(self._strategy(self._rng(episode, draw)).ask(1)[0], float)

    def spread(self, episode: int) -> Gaussian:
        """See Search."""
        strategy = self._strategy(self._rng(0, 0))
        return Gaussian(np.array(strategy.mean), strategy.sigma * np.linalg.cholesky(strategy.sm.C))

    def result(self) -> Array | None:
        """See Search: the mean of the search distribution, as CMA-ES recommends under noise."""
        return np.array(self._strategy(self._rng(0, 0)).mean) if len(self._scored) >= self._config.population else None
