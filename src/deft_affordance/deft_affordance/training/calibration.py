"""Do the predicted standard deviations hold? Fitted on held-out objects, and drawn as a curve."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.stats import chi

from deft_core.types import Array

AXES = (2, 3)  # of a contact in the picture, of a rotation
LEVELS = np.linspace(0.05, 0.95, 19)


def fitted(deviations: Array, errors: Array, axes: int) -> tuple[float, float]:
    """Offset and slope of log standard deviation that make the errors most likely, with heavy errors held back.

    Args:
        deviations: (n,) what was predicted, per axis.
        errors: (n,) lengths of the errors, in the same unit.
        axes: over how many axes an error's length is taken.
    """
    x, square = np.log(deviations), np.minimum(errors, np.quantile(errors, 0.95)) ** 2

    def cost(parameters: Array) -> float:
        log = parameters[0] + parameters[1] * x
        return float((square / (2 * np.exp(2 * log)) + axes * log).mean())

    best = minimize(cost, [0.5 * np.log(square.mean() / axes) - x.mean(), 1.0], method="Nelder-Mead").x
    return float(best[0]), float(best[1])


def curve(deviations: Array, errors: Array, axes: int) -> Array:
    """(len(LEVELS),): the share of errors that lie within what each of LEVELS promises."""
    within = chi.cdf(errors / deviations, axes)
    return np.array([(within <= level).mean() for level in LEVELS])


def miscalibration(deviations: Array, errors: Array, axes: int) -> float:
    """Mean distance of the curve from the diagonal."""
    return float(np.abs(curve(deviations, errors, axes) - LEVELS).mean())
