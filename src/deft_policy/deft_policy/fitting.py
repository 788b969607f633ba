"""From a recorded session to a policy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from deft_bag.episodes import RecordedEpisode, RecordedSession
from deft_core.errors import DeftError
from deft_core.neural import one_thread
from deft_core.types import Array, GraspParameters
from deft_core.vision import Picture, PooledEncoder
from deft_policy import codes
from deft_policy.condition import Condition
from deft_policy.config import Encoder, PolicyConfig, PolicyKind
from deft_policy.policy import Provenance, ResidualPolicy, make_network
from deft_policy.training import Examples, OnStep, Scale, fit

GREY = 128
LEAST = 3  # scored episodes with a residual that any policy needs


def silent(step: int, steps: int, loss: float) -> None:
    """Progress that nobody wants to see."""


class Features:
    """phi: features of the object's picture, computed once for each.

    Raises:
        ConfigError: the encoder's checkpoint is missing or is none of it.
    """

    def __init__(self, config: PolicyConfig) -> None:
        self._encoder = (None if config.encoder is Encoder.none or config.kind is PolicyKind.elite_mean
                         else PooledEncoder(config.encoder.value, config.checkpoint, "policy.checkpoint"))

    def __call__(self, picture: Picture | None) -> Array | None:
        """(f,); None without a picture, or where nothing looks at it."""
        if self._encoder is None or picture is None:
            return None
        with one_thread():  # the same picture gives the same digits, live and offline
            return self._encoder.features(_squared(picture))


def _squared(picture: Picture) -> Picture:
    """A picture in the middle of a grey square: the whole object is seen, in its own proportions."""
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), GREY, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top:top + height, left:left + width] = picture
    return square


def fit_policy(session: RecordedSession, config: PolicyConfig, seed: int, features: Features | None = None,
               on_step: OnStep = silent) -> ResidualPolicy:
    """Fit a policy to the elites of a session.

    Args:
        features: an encoder that is loaded already.

    Raises:
        DeftError: TOO_FEW; NOT_FINITE, the fit diverged; BAD_GOAL, the encoder's checkpoint is wrong.
    """
    elites = session.elites(config.mean_elites if config.kind is PolicyKind.elite_mean else config.elites)
    if len(elites) < LEAST:
        raise DeftError(codes.TOO_FEW, f"session {session.id} has {len(elites)} scored episodes with a residual; a policy "
                        f"needs at least {LEAST}")
    if config.kind is PolicyKind.elite_mean:
        return _elite_mean(session, config, seed, elites)
    usable = [e for e in session.episodes if e.xi is not None and np.all(np.isfinite(e.xi.joints))]
    encoder = features or Features(config)
    seen = {e.episode: encoder(e.crop) for e in usable}
    condition = Condition.fitted(session.space, list(seen.values()), [_xi(e) for e in usable],
                                 config.picture_components, config.joint_components)
    learned = [e for e in usable if e.learnable] if config.kind is PolicyKind.transformer else elites
    rows = {e.episode: k for k, e in enumerate(learned)}
    examples = Examples(np.array([condition(seen[e.episode], _xi(e)) for e in learned]),
                        np.array([e.reward for e in learned]), _targets(session, config, condition, learned),
                        tuple(rows[e.episode] for e in elites))
    fitted = fit(lambda: make_network(config, session.space.size), examples, config, seed, on_step)
    provenance = _provenance(session, seed, elites, fitted.step, fitted.loss, fitted.errors, fitted.mean_errors)
    return ResidualPolicy(config, session.space, provenance, fitted.scale, condition, fitted.weights)


def _xi(episode: RecordedEpisode) -> GraspParameters:
    """The prior's grasp; every episode with a residual has one."""
    assert episode.xi is not None
    return episode.xi


def _targets(session: RecordedSession, config: PolicyConfig, condition: Condition,
             episodes: Sequence[RecordedEpisode]) -> Array:
    """(n, d) in sigmas: residuals, or for direct the grasps themselves."""
    if config.kind is PolicyKind.direct:
        return np.array([condition.grasps.vector(session.space.apply(_xi(e), e.eps)) for e in episodes])
    return np.array([e.eps / session.space.sigma for e in episodes])


def _elite_mean(session: RecordedSession, config: PolicyConfig, seed: int, elites: list[RecordedEpisode]) -> ResidualPolicy:
    """The mean of the best residuals."""
    targets = np.array([e.eps / session.space.sigma for e in elites])
    others = [np.delete(targets, k, axis=0).mean(axis=0) for k in range(len(elites))]
    errors = np.sqrt(((np.array(others) - targets)**2).mean(axis=1))
    provenance = _provenance(session, seed, elites, 0, math.nan, errors, errors)
    return ResidualPolicy(config, session.space, provenance, Scale.of(targets))


def _provenance(session: RecordedSession, seed: int, elites: Sequence[RecordedEpisode], step: int, loss: float, errors: Array,
                mean_errors: Array) -> Provenance:
    def together(each: Array) -> float:
        return float(np.sqrt((each**2).mean()))

    return Provenance(session.task, session.hand, session.id, seed, tuple(e.episode for e in elites),
                      tuple(e.reward for e in elites), step, loss, together(errors), together(mean_errors))
