"""What every search is: told all scored episodes, asked for the next sample.

Searches work in z, the coordinates in which the first distribution is N(0, I) (see basis.py). What they are asked for
follows from the seed, the episode and the scored episodes alone, so that a resumed session goes on with the same
sample, and an amended score changes what follows as if it had been given at once. Therefore `tell` takes all scored
episodes every time, never one more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from deft_cem.search.gaussian import Gaussian, Scored
from deft_core.types import Array


class Search(ABC):
    """Ask and tell, in z.

    Attributes:
        size: numbers in z.
    """

    name: str

    def __init__(self, size: int, seed: int) -> None:
        self.size, self._seed = size, seed
        self._scored: tuple[Scored, ...] = ()

    def tell(self, scored: Sequence[Scored]) -> None:
        """Take all scored episodes there are, in place of those told before.

        Raises:
            ValueError: a reward that is not a number from 0 to 1, a z that is not finite or of another size, or an
                episode that is told twice. Nothing is taken then.
        """
        for s in scored:
            if not (math.isfinite(s.reward) and 0.0 <= s.reward <= 1.0):
                raise ValueError(f"episode {s.episode} has the reward {s.reward}; only rewards from 0 to 1 are learned from")
            if s.z.shape != (self.size,) or not np.isfinite(s.z).all():
                raise ValueError(f"episode {s.episode} has a sample of shape {s.z.shape}, not {self.size} finite numbers")
        if len({s.episode for s in scored}) < len(scored):
            raise ValueError("an episode was told twice")
        self._scored = tuple(sorted(scored, key=lambda s: s.episode))
        self._learn()

    @property
    @abstractmethod
    def leads_from(self) -> int:
        """The first episode (0-based) whose samples follow from scores."""

    @abstractmethod
    def _learn(self) -> None:
        """Prepare for `ask` and `result` after `tell`."""

    @abstractmethod
    def ask(self, episode: int, draw: int) -> Array:
        """z (size,) for an episode (0-based); `draw` counts samples that the robot could not execute."""

    @abstractmethod
    def spread(self, episode: int) -> Gaussian:
        """The distribution that the episode's samples come from, or come near."""

    @abstractmethod
    def result(self) -> Array | None:
        """z (size,) to go on with when the search ends now; None while too little is known."""

    def _rng(self, episode: int, draw: int) -> np.random.Generator:
        """Each (seed, episode, draw) has a generator of its own."""
        return np.random.default_rng(np.random.SeedSequence([self._seed, episode, draw]))
