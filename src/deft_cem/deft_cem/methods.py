"""What decides the residual of an episode: a search, or a fixed residual for trials."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from deft_cem import codes
from deft_cem.search import Search
from deft_cem.search.basis import Basis
from deft_cem.search.gaussian import Gaussian, Scored
from deft_cem.session import ScoredEpisode
from deft_core.errors import DeftError
from deft_core.residual import SHARES
from deft_core.types import Array


@dataclass(frozen=True)
class Sample:
    """eps (n,) of an episode, metres and rad.

    Attributes:
        control: without a residual, to measure the prior; nothing is learned from it.
        repeat_of: the earlier episode whose sample this is again, None else.
        fallback: why this is less than the residual that was wanted, down to the prior alone; "" else.
    """

    eps: Array
    control: bool = False
    repeat_of: int | None = None
    fallback: str = ""


AskPolicy = Callable[[int], Array]  # a draw -> the residual policy's eps for what is seen now; raises DeftError
POLICY_DRAWS = 3  # that are tried before the distribution is asked


class Method(Protocol):
    """Everything follows from seed and scored episodes, so that resuming repeats it."""

    name: str
    max_draws: int
    leads_from: int  # the first episode whose samples follow from scores
    learns: bool     # whether its episodes are there to be learned from
    asks_policy: bool  # whether samples come from the policy that is fitted to the episodes before

    def sample(self, episode: int, draw: int, scored: Sequence[ScoredEpisode],
               policy: AskPolicy | None = None) -> Sample:
        """For an episode (0-based); `draw` counts samples that were not feasible; `policy` answers for what is seen now."""
        ...

    def spread(self, episode: int, scored: Sequence[ScoredEpisode]) -> Gaussian | None:
        """The distribution that the episode draws from, in first sigmas; None when there is none."""
        ...

    def result(self, scored: Sequence[ScoredEpisode]) -> Array | None:
        """eps (n,) that is recommended after these episodes; None while too few are scored."""
        ...


class SearchMethod:
    """A search, interrupted by episodes of the prior alone and by repeated samples where the configuration wants them.

    Args:
        asks_policy: once the search leads, samples come from the residual policy (as in one version of Algorithm 1); from the
            search's distribution only where the robot cannot execute those.
    """

    learns = True

    def __init__(self, search: Search, basis: Basis, seed: int, max_draws: int, prior_every: int, recheck_every: int,
                 asks_policy: bool = False) -> None:
        self.name, self.max_draws, self.leads_from = search.name, max_draws, search.leads_from
        self.asks_policy = asks_policy
        self._search, self._basis, self._seed = search, basis, seed
        self._prior_every, self._recheck_every = prior_every, recheck_every
        self._told: list[tuple[int, float]] | None = None
        self._thinking = threading.Lock()  # an amendment asks for the result while the loop asks for a sample

    def _tell(self, scored: Sequence[ScoredEpisode]) -> None:
        """Once for each set of scores: a search may think for long about what it is told."""
        key = [(s.episode, s.reward) for s in scored]
        if key != self._told:
            self._search.tell([Scored(s.episode, self._basis.to_z(s.eps), s.reward) for s in scored])
            self._told = key

    def sample(self, episode: int, draw: int, scored: Sequence[ScoredEpisode],
               policy: AskPolicy | None = None) -> Sample:
        """See Method."""
        if self._prior_every and (episode + 1) % self._prior_every == 0:
            return Sample(np.zeros(self._basis.space.size), control=True)
        firsts = [s for s in scored if not self._rechecks(s.episode)] if self._recheck_every else []
        if firsts and self._rechecks(episode) and draw == 0:
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, episode, 3]))
            again = firsts[int(rng.integers(len(firsts)))]
            return Sample(again.eps, repeat_of=again.episode)
        if self.asks_policy and policy is not None and episode >= self.leads_from and draw < POLICY_DRAWS:
            try:
                return Sample(policy(draw))
            except DeftError as error:
                if error.code != codes.POLICY_REFUSED:
                    raise
        with self._thinking:
            self._tell(scored)
            return Sample(self._basis.to_eps(self._search.ask(episode, draw)))

    def _rechecks(self, episode: int) -> bool:
        """Whether an earlier sample is to be executed again: one before the prior alone would be, if both are as often."""
        return (episode + 2) % self._recheck_every == 0

    def spread(self, episode: int, scored: Sequence[ScoredEpisode]) -> Gaussian:
        """See Method."""
        with self._thinking:
            self._tell(scored)
            return self._search.spread(episode)

    def result(self, scored: Sequence[ScoredEpisode]) -> Array | None:
        """See Method."""
        with self._thinking:
            self._tell(scored)
            z = self._search.result()
        return None if z is None else self._basis.to_eps(z)


class FixedMethod:
    """Trials: the prior alone, a tuned residual, or both in turns, the prior first.

    Where the robot cannot execute the whole residual on a scene, a smaller share of it is tried, at last the prior alone: a
    residual that helps on most scenes may reach too far on one. The sample says so.
    """

    leads_from = 0
    learns = asks_policy = False

    def __init__(self, name: str, size: int, tuned: Array | None) -> None:
        self.name, self._size, self._tuned = name, size, tuned
        self.max_draws = len(SHARES)

    def sample(self, episode: int, draw: int, scored: Sequence[ScoredEpisode],
               policy: AskPolicy | None = None) -> Sample:
        """See Method."""
        if self._tuned is None or self._alone(episode):
            return Sample(np.zeros(self._size), control=True)
        return _share(self._tuned, draw)

    def _alone(self, episode: int) -> bool:
        """Whether it is the prior's turn."""
        return self.name == "versus" and episode % 2 == 0

    def spread(self, episode: int, scored: Sequence[ScoredEpisode]) -> None:
        """See Method."""
        return None

    def result(self, scored: Sequence[ScoredEpisode]) -> Array | None:
        """See Method."""
        return self._tuned


class PolicyMethod(FixedMethod):
    """Trials of a residual policy, in turns with the prior where the name is versus.

    What the policy node refuses (not finite, out of bounds) gives way to the prior alone.
    """

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size, None)

    def sample(self, episode: int, draw: int, scored: Sequence[ScoredEpisode],
               policy: AskPolicy | None = None) -> Sample:
        """See Method."""
        if policy is None or self._alone(episode):
            return Sample(np.zeros(self._size), control=True)
        try:
            return _share(policy(0), draw)
        except DeftError as error:
            if error.code != codes.POLICY_REFUSED:
                raise
            return Sample(np.zeros(self._size), fallback=error.message)


def _share(eps: Array, draw: int) -> Sample:
    """What of a residual is tried when larger shares could not be executed."""
    share = SHARES[draw]
    words = f"{share:.0%} of the residual" if share else "none of the residual: the prior is executed alone"
    return Sample(eps * share, fallback=f"the robot can execute {words}" if draw else "")
