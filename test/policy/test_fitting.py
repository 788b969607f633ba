"""Policies of all kinds, fitted to sessions where something can be learned, and where nothing can."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from policy.sessions import SPACE, USUAL, dependent, episode, noise, session, xi

from deft_core.errors import DeftError
from deft_policy import codes
from deft_policy.config import Encoder, PolicyConfig, PolicyKind
from deft_policy.fitting import fit_policy

KINDS = list(PolicyKind)
BLIND = PolicyConfig(encoder=Encoder.none)


def config(kind: PolicyKind, **changes) -> PolicyConfig:
    return BLIND.model_copy(update={"kind": kind, **changes})


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.value)
def test_every_kind_answers_within_the_bounds_and_repeats_itself(kind):
    recorded = dependent()
    policy = fit_policy(recorded, config(kind), 1)
    assert policy.provenance.elites == tuple(range(10))
    rng = np.random.default_rng(5)
    for k in range(10):
        grasp = xi(rng)
        eps = policy.residual(None, grasp, seed=k)
        assert eps.shape == (22,) and np.all(np.abs(eps) <= SPACE.bound)
        assert np.array_equal(eps, policy.residual(None, grasp, seed=k))


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not PolicyKind.elite_mean], ids=lambda k: k.value)
def test_the_same_session_and_seed_give_the_same_weights(kind):
    first, second = (fit_policy(noise(), config(kind, steps=30), 7) for _ in range(2))
    assert (first.weights.keys() == second.weights.keys() and first.provenance == second.provenance) or (
        math.isnan(first.provenance.loss) and math.isnan(second.provenance.loss))
    assert all(np.array_equal(first.weights[n], second.weights[n]) for n in first.weights)
    other = fit_policy(noise(), config(kind, steps=30), 8)
    assert any(not np.array_equal(first.weights[n], other.weights[n]) for n in first.weights)


@pytest.mark.parametrize("kind", [PolicyKind.cvae, PolicyKind.mlp])
def test_what_follows_from_the_object_is_learned(kind):
    """Where the best residual depends on where the object lies, the policy beats the mean on elites that were left out."""
    policy = fit_policy(dependent(), config(kind), 0)
    origin = policy.provenance
    assert origin.steps > 0 and origin.error < 0.9 * origin.mean_error
    rng = np.random.default_rng(11)
    off, mean_off = [], []
    for k in range(50):
        grasp = xi(rng)
        wanted = -0.8 * (grasp.contact - USUAL)
        off.append(policy.answer(None, grasp, np.random.default_rng(k))[:3] - wanted)
        mean_off.append((policy.scale.mean * SPACE.sigma)[:3] - wanted)
    assert np.std(off) < 0.75 * np.std(mean_off)


@pytest.mark.parametrize("kind", [PolicyKind.cvae, PolicyKind.mlp], ids=lambda k: k.value)
def test_where_nothing_follows_the_mean_of_the_elites_remains(kind):
    """A network that has learned noise is not kept: in most sessions of pure noise it stops before its first step."""
    stopped = [fit_policy(noise(seed=s), config(kind, steps=100), s) for s in range(8)]
    assert sum(p.provenance.steps == 0 for p in stopped) >= 6
    mean = next(p for p in stopped if p.provenance.steps == 0)
    rng = np.random.default_rng(0)
    assert np.allclose(mean.residual(None, xi(rng), 0), mean.scale.mean * SPACE.sigma)


def test_the_elites_mean_is_the_mean_of_as_many_as_it_is_told():
    recorded = noise()
    policy = fit_policy(recorded, config(PolicyKind.elite_mean, mean_elites=5), 0)
    wanted = np.mean([e.eps for e in recorded.elites(5)], axis=0)
    assert np.allclose(policy.residual(None, xi(np.random.default_rng(0)), 0), wanted) and not policy.sees


def test_direct_answers_with_the_grasp_and_not_its_change():
    """Of a prior that is off, it says the grasp that the elites had, whatever the prior says."""
    policy = fit_policy(dependent(), config(PolicyKind.direct, steps=10), 0)
    rng = np.random.default_rng(3)
    grasps = [xi(rng) for _ in range(8)]
    said = [SPACE.apply(g, policy.answer(None, g, np.random.default_rng(0))).contact for g in grasps]
    assert np.std(said, axis=0)[1] < 0.5 * np.std([g.contact for g in grasps], axis=0)[1]


def test_pictures_are_seen():
    """A real encoder on real pixels: other pictures give other conditions, the same picture the same one."""
    recorded = noise(12, pictures=True)
    policy = fit_policy(recorded, PolicyConfig(kind=PolicyKind.cvae, steps=10), 0)
    assert policy.sees and policy.condition is not None
    assert policy.condition.picture.components.shape == (1280, 3)


def test_too_few_scores_are_refused():
    recorded = noise(30)
    few = dataclasses.replace(recorded, episodes=recorded.episodes[:2])
    with pytest.raises(DeftError, match="has 2 scored episodes") as refusal:
        fit_policy(few, BLIND, 0)
    assert refusal.value.code == codes.TOO_FEW
    assert fit_policy(dataclasses.replace(recorded, episodes=recorded.episodes[:4]), BLIND, 0).provenance.elites


def test_equal_rewards_and_equal_residuals_do_no_harm():
    rng = np.random.default_rng(0)
    same = session([episode(k, 0.5, np.zeros(22), xi(rng)) for k in range(12)])
    for kind in KINDS:
        eps = fit_policy(same, config(kind, steps=20), 0).residual(None, same.episodes[0].xi, 0)
        assert np.isfinite(eps).all() and (kind is PolicyKind.direct or np.abs(eps / SPACE.sigma).max() < 0.5)


def test_a_fit_that_diverges_says_so():
    with pytest.raises(DeftError, match="diverged") as refusal:
        fit_policy(noise(), config(PolicyKind.mlp, learning_rate=1e200, weight_decay=0.0), 0)
    assert refusal.value.code == codes.NOT_FINITE


def test_progress_is_told():
    told = []
    fit_policy(noise(), config(PolicyKind.mlp, steps=30), 0, on_step=lambda *step: told.append(step))
    assert [s[:2] for s in told] == [(10, 30), (20, 30), (30, 30)] and all(np.isfinite(s[2]) for s in told)
