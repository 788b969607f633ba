"""deft_plus: a Bayesian rank regression on all episodes, in place of the mean of five.

With 30 noisy scores and 22 numbers an elite mean is mostly noise: five draws averaged still miss by 0.45 first sigmas in
every number, and the score falls as fast with that as it rises with what was found. deft_plus asks instead what all ranks
say about where the best residual lies, and how much they say at all:

    score rank -> exponential score y,   y = a + w^T z - 1/2 sum_g c_g |z_g|^2 + noise

with g the groups of eps (contact, wrist, hand, trajectory), and normal beliefs about a, w and c. Exponential scores set
the best apart more than the worst: what lost the spoon says little about what fills it. That is the neighbourhood
of one maximum: the posterior is in closed form, and its best residual in group g is z_g = w_g / c_g. What share of the
scores the residuals explain, and scene and operator do not, is not known beforehand: the answers for several shares are
averaged by how well each predicts the scores that were given (their marginal likelihood). Where the scores say little the
best residual stays near 0: near the prior's grasp. Samples are drawn around it, with less than the first sigmas.
docs/search.md has what each choice is worth.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve

from deft_cem.search.gaussian import Gaussian
from deft_cem.search.search import Search
from deft_core.config import Config
from deft_core.descriptions import Positive
from deft_core.types import Array

Groups = tuple[Positive, Positive, Positive]
LEVEL = 2.0       # belief about a: its standard deviation, in scores of ranks
SPREAD = 0.5      # belief about c: its standard deviation, as a share of its mean
SHARES = (0.03, 0.06, 0.12, 0.25, 0.40, 0.55, 0.70)  # of the scores' variance that residuals explain, equally likely before
USUAL_SHARE = 0.36  # the one that `gain` and `fall` are said for


class DeftPlusConfig(Config):
    """Beliefs before the first episode, for contact, wrist and hand (the trajectory has the contact's)."""

    warmup: int = Field(default=6, ge=2, description="episodes around the prior before the regression leads")
    explore: Groups = Field(default=(0.7, 0.7, 0.4),
                            description="standard deviation of the samples during the warm-up, in first sigmas")
    follow: Groups = Field(default=(0.6, 0.6, 0.34), description="and after it, around the best residual so far")
    gain: Groups = Field(default=(0.65, 0.44, 0.40),
                         description="by how much the score of the rank changes, root mean square, along the slope of a group "
                         "that is drawn with its first sigma")
    fall: Groups = Field(default=(0.45, 0.30, 0.64), description="and how far it falls on the mean, because of the curvature")
    prior_first: bool = Field(default=True, description="the first episode executes the prior's own grasp")


def exponential_scores(rewards: Array) -> Array:
    """Ranks as expected order statistics of an exponential distribution (Savage scores), (n,) -> (n,).

    Only the order of rewards counts, so that nobody's scale of scores does. Mean 0 and deviation 1; equal rewards share the
    mean of their places; all 0 when all are equal.
    """
    expected = np.cumsum(1.0 / np.arange(len(rewards), 0, -1))
    values, place, equal = np.unique(rewards, return_inverse=True, return_counts=True)
    if len(values) < 2:
        return np.zeros(len(rewards))
    scores = (np.bincount(np.sort(place), weights=expected) / equal)[place]
    return np.asarray((scores - scores.mean()) / scores.std())


class DeftPlusSearch(Search):
    """See above.

    Args:
        groups: where contact, wrist, hand and, where it is varied, the trajectory stand in z.
    """

    name = "deft_plus"

    def __init__(self, groups: tuple[slice, ...], seed: int, config: DeftPlusConfig) -> None:
        super().__init__(groups[-1].stop, seed)
        self._groups, self._config = groups, config
        self._sizes = np.array([g.stop - g.start for g in groups])
        self._explore, self._follow = self._each(self._of_groups(config.explore)), self._each(self._of_groups(config.follow))
        self._slope = self._each(self._of_groups(config.gain) / np.sqrt(self._sizes))
        self._curvature = 2.0 * self._of_groups(config.fall) / self._sizes
        self._centre = np.zeros(self.size)

    def _of_groups(self, values: Groups) -> Array:
        """One value a group."""
        return np.array([*values, values[0]][:len(self._groups)])

    def _each(self, values: Array) -> Array:
        """One value a number of z, (size,), from one a group."""
        return np.repeat(values, self._sizes)

    @property
    def leads_from(self) -> int:
        """See Search."""
        return self._config.warmup

    def _learn(self) -> None:
        """The best residual under the posterior mean."""
        rewards = np.array([s.reward for s in self._scored])
        if len(set(rewards)) < 2:
            self._centre = np.zeros(self.size)
            return
        z = np.array([s.z for s in self._scored])
        bends = [-0.5 * (z[:, g] ** 2).sum(axis=1, keepdims=True) for g in self._groups]
        features = np.hstack([np.ones((len(z), 1)), z, *bends])
        scores = exponential_scores(rewards)
        answers = [self._posterior(features, scores, share) for share in SHARES]
        likely = np.array([evidence for evidence, _ in answers])
        weights = np.exp(likely - likely.max())
        weights /= weights.sum()
        slope, curvature = np.split(weights @ np.array([mean for _, mean in answers])[:, 1:], [self.size])
        # No flatter than believed: a maximum that is seen from one side only would else be sought far away.
        least = self._curvature * float(weights @ np.sqrt(np.array(SHARES) / USUAL_SHARE))
        self._centre = slope / self._each(np.maximum(curvature, least))

    def _posterior(self, features: Array, scores: Array, share: float) -> tuple[float, Array]:
        """Log marginal likelihood and posterior mean (1 + size + groups,) of a, w and c when residuals explain a share."""
        scale = np.sqrt(share / USUAL_SHARE)
        mean = np.concatenate([np.zeros(1 + self.size), scale * self._curvature])
        deviation = np.concatenate([[LEVEL], scale * self._slope, scale * SPREAD * self._curvature])
        off = scores - features @ mean
        covariance = cho_factor((features * deviation**2) @ features.T + (1.0 - share) * np.eye(len(scores)), lower=True)
        solved = cho_solve(covariance, off)
        evidence = -0.5 * float(off @ solved) - float(np.log(np.diag(covariance[0])).sum())
        return evidence, mean + deviation**2 * (features.T @ solved)

    def spread(self, episode: int) -> Gaussian:
        """See Search."""
        if episode < self._config.warmup:
            return Gaussian(np.zeros(self.size), np.diag(self._explore))
        return Gaussian(self._centre, np.diag(self._follow))

    def ask(self, episode: int, draw: int) -> Array:
        """See Search."""
        if episode == 0 and draw == 0 and self._config.prior_first:
            return np.zeros(self.size)
        return self.spread(episode).sample(self._rng(episode, draw))

    def result(self) -> Array | None:
        """See Search: what the posterior mean recommends; the prior alone where nothing is known."""
        return self._centre.copy() if len(self._scored) >= 2 else None
