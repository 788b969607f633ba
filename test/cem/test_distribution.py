"""Algorithm 1's distribution: schedule, elites, refit, reproducibility."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deft_cem.distribution import CemConfig, Scored, distribution, elites, first, fit
from deft_cem.methods import CemMethod, FixedMethod
from deft_core.config import parse
from deft_core.errors import ConfigError

JOINTS = tuple(f"j{i}" for i in range(16))
CONFIG = CemConfig()
SPACE = CONFIG.space(JOINTS)


def history(n: int, seed: int = 0) -> list[Scored]:
    rng = np.random.default_rng(seed)
    return [Scored(k, SPACE.sigma * rng.standard_normal(22), float(rng.random())) for k in range(n)]


def test_first_distribution_is_centred_with_sigma_by_group():
    d = first(SPACE)
    assert np.array_equal(d.mean, np.zeros(22))
    assert np.allclose(d.std, np.repeat([0.025, 0.22, 0.125], [3, 3, 16]))


def test_refit_starts_after_episode_m_plus_one():
    """Algorithm 1, read literally: k > M is tested after episode k, so the draw of 1-based episode 12 is the first."""
    scored = history(11)
    for episode in range(11):
        assert np.array_equal(distribution(scored[:episode], episode, SPACE, CONFIG).mean, np.zeros(22))
    assert not np.array_equal(distribution(scored, 11, SPACE, CONFIG).mean, np.zeros(22))


def test_too_few_scored_episodes_do_not_refit():
    assert np.array_equal(distribution(history(4), 20, SPACE, CONFIG).mean, np.zeros(22))


def test_elites_are_the_best_of_all_and_ties_go_to_the_latest():
    scored = [Scored(k, np.full(22, float(k)), r) for k, r in enumerate([0.5, 0.9, 0.5, 0.1, 0.5])]
    assert [s.episode for s in elites(scored, 3)] == [1, 4, 2]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(["diagonal", "full", "shrunk"]))
def test_fit_is_the_elites_mean_with_a_floor(seed, covariance):
    config = CemConfig(covariance=covariance)
    best = elites(history(25, seed), config.elites)
    d = fit(best, SPACE, config)
    assert np.allclose(d.mean, np.mean([s.eps for s in best], axis=0))
    assert np.all(d.std >= config.floor * SPACE.sigma - 1e-12)


def test_coinciding_elites_leave_the_floor():
    same = [Scored(k, SPACE.sigma * 0.5, 1.0) for k in range(5)]
    for covariance in ("diagonal", "full", "shrunk"):
        d = fit(same, SPACE, CemConfig(covariance=covariance))
        assert np.allclose(d.std, 0.3 * SPACE.sigma) and np.allclose(d.mean, 0.5 * SPACE.sigma)


def test_full_covariance_keeps_correlations():
    rng = np.random.default_rng(0)
    scored = []
    for k in range(5):
        z = rng.standard_normal(22)
        z[1] = z[0]
        scored.append(Scored(k, SPACE.sigma * z, 1.0))
    d = fit(scored, SPACE, CemConfig(covariance="full", floor=0.05))
    covariance = d.factor @ d.factor.T
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) > 0.9


def test_same_seed_same_samples_and_each_draw_its_own():
    scored = history(15)
    a, b = CemMethod(SPACE, CONFIG, 3), CemMethod(SPACE, CONFIG, 3)
    for episode in (0, 5, 14):
        assert np.array_equal(a.residual(episode, 0, scored), b.residual(episode, 0, scored))
        assert not np.allclose(a.residual(episode, 0, scored), a.residual(episode, 1, scored))
    assert not np.allclose(a.residual(0, 0, []), CemMethod(SPACE, CONFIG, 4).residual(0, 0, []))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 29), st.integers(0, 19))
def test_samples_stay_within_bounds(seed, episode, draw):
    assert np.all(np.abs(CemMethod(SPACE, CONFIG, seed).residual(episode, draw, history(12, seed))) <= SPACE.bound)


def test_it_finds_a_hidden_optimum():
    """On a smooth score the mean moves to the optimum: the search works when rewards carry information."""
    target = SPACE.sigma * np.where(np.arange(22) < 6, 1.2, 0.0)
    gains = []
    for seed in range(8):
        method, scored = CemMethod(SPACE, CONFIG, seed), []
        for k in range(30):
            eps = method.residual(k, 0, scored)
            scored.append(Scored(k, eps, float(np.exp(-0.05 * np.sum(((eps - target) / SPACE.sigma)**2)))))
        rewards = [s.reward for s in scored]
        gains.append(np.mean(rewards[-10:]) - np.mean(rewards[:10]))
    assert min(gains) > 0 and np.mean(gains) > 0.1


def test_fixed_method_repeats():
    method = FixedMethod("prior", np.zeros(22))
    assert np.array_equal(method.residual(3, 0, history(9)), np.zeros(22)) and method.spread(0, []) is None


@pytest.mark.parametrize("values", [{"elites": 1}, {"sigma": (0.0, 0.1, 0.1)}, {"floor": 2.0}, {"covariance": "diag"}])
def test_wrong_parameters_are_refused(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        parse(CemConfig, values, "cem")
