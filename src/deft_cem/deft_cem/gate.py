"""Is it better than the prior? Two success rates, and whether the data can tell them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deft_cem.session import EpisodeState

Z95 = 1.96


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a success rate; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    p, n = successes / trials, trials
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Rate:
    """Successes among trials; what could not be executed is a trial without success."""

    successes: int
    trials: int

    @property
    def value(self) -> float:
        """0..1; NaN without trials."""
        return self.successes / self.trials if self.trials else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval."""
        return wilson(self.successes, self.trials)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.successes}/{self.trials} ({low:.2f}-{high:.2f})"


@dataclass(frozen=True)
class Gate:
    """The comparison of what was learned with the prior.

    Attributes:
        difference: of the rates, tuned less prior.
        low, high: its 95 % interval (Newcombe's, from the two Wilson intervals).
    """

    prior: Rate
    tuned: Rate
    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """better | worse | not shown."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "not shown"

    def __str__(self) -> str:
        words = {"better": "better than the prior", "worse": "WORSE than the prior",
                 "not shown": "NOT SHOWN to be better than the prior"}[self.verdict]
        return (f"{words}: {self.tuned} against {self.prior}, difference {self.difference:+.2f} ({self.low:+.2f} to "
                f"{self.high:+.2f}, 95 %)")

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return {"verdict": self.verdict, "words": str(self), "prior": [self.prior.successes, self.prior.trials],
                "tuned": [self.tuned.successes, self.tuned.trials], "difference": self.difference,
                "difference_95": [self.low, self.high]}


def compare(prior: Rate, tuned: Rate) -> Gate | None:
    """The gate; None where one of them has no trials."""
    if not prior.trials or not tuned.trials:
        return None
    (l0, u0), (l1, u1) = prior.interval, tuned.interval
    d = tuned.value - prior.value
    return Gate(prior, tuned, d, max(-1.0, d - math.hypot(tuned.value - l1, u0 - prior.value)),
                min(1.0, d + math.hypot(u1 - tuned.value, prior.value - l0)))


def rate(states: Sequence[EpisodeState]) -> Rate:
    """Of episodes that were scored, with success said or not, or could not be executed."""
    rated = [s for s in states if s.status in ("scored", "infeasible")]
    return Rate(sum(bool(s.success) for s in rated), len(rated))


def of_episodes(states: Sequence[EpisodeState], first: int) -> Gate | None:
    """Prior-only episodes against the others from episode `first` on; None where there are none of either.

    In a fine-tuning session the others still explore, so that they say less for the tuned residual than trials of it.
    """
    said = any(s.success is not None for s in states)
    return compare(rate([s for s in states if s.control]),
                   rate([s for s in states if not s.control and s.episode >= first])) if said else None
