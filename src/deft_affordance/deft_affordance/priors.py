"""The predictors by the name that a parameter gives them."""

from __future__ import annotations

from pathlib import Path

from deft_affordance.heuristic import HeuristicPredictor
from deft_affordance.predictor import AffordancePredictor
from deft_core.config import nearest
from deft_core.errors import ConfigError

PRIORS = ("learned", "heuristic")


def make_predictor(prior: str, weights: str = "") -> AffordancePredictor:
    """The predictor of a name.

    Args:
        weights: file for the learned one; empty: those of the package.

    Raises:
        ConfigError: no such prior, or its weights are missing or damaged.
    """
    if prior == "heuristic":
        return HeuristicPredictor()
    if prior != "learned":
        raise ConfigError(f"unknown prior '{prior}': {nearest(prior, PRIORS)}")
    from deft_affordance.learned import LearnedPredictor  # PyTorch takes seconds to import, and the heuristic needs none

    return LearnedPredictor(Path(weights).expanduser()) if weights else LearnedPredictor()
