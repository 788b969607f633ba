"""Algorithm 1, read literally: schedule, elites, refit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deft_cem.search.config import SearchConfig
from deft_cem.search.deft import DeftConfig, DeftSearch, RandomSearch, fit
from deft_cem.search.gaussian import Scored, best
from deft_core.config import parse
from deft_core.errors import ConfigError

SIZE = 22
CONFIG = DeftConfig()


def history(n: int, seed: int = 0) -> list[Scored]:
    rng = np.random.default_rng(seed)
    return [Scored(k, rng.standard_normal(SIZE), float(rng.random())) for k in range(n)]


def told(scored: list[Scored], config: DeftConfig = CONFIG, seed: int = 0) -> DeftSearch:
    search = DeftSearch(SIZE, seed, config)
    search.tell(scored)
    return search


def test_refit_starts_after_episode_m_plus_one():
    """Algorithm 1, read literally: k > M is tested after episode k, so the draw of 1-based episode 12 is the first."""
    scored = history(11)
    for episode in range(11):
        d = told(scored[:episode]).spread(episode)
        assert np.array_equal(d.mean, np.zeros(SIZE)) and np.array_equal(d.std, np.ones(SIZE))
    assert not np.array_equal(told(scored).spread(11).mean, np.zeros(SIZE))


def test_it_refits_after_every_episode_to_the_best_of_all_so_far():
    scored = history(25)
    for episode in range(11, 25):
        d = told(scored[:episode]).spread(episode)
        assert np.allclose(d.mean, np.mean([s.z for s in best(scored[:episode], 5)], axis=0))


def test_too_few_scored_episodes_do_not_refit_and_have_no_result():
    search = told(history(4))
    assert np.array_equal(search.spread(20).mean, np.zeros(SIZE)) and search.result() is None


def test_elites_are_the_best_of_all_and_ties_go_to_the_latest():
    scored = [Scored(k, np.full(SIZE, float(k)), r) for k, r in enumerate([0.5, 0.9, 0.5, 0.1, 0.5])]
    assert [s.episode for s in best(scored, 3)] == [1, 4, 2]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(["diagonal", "full", "shrunk"]))
def test_fit_is_the_elites_mean_with_a_floor(seed, covariance):
    config = DeftConfig(covariance=covariance)
    elites = best(history(25, seed), config.elites)
    d = fit(elites, config)
    assert np.allclose(d.mean, np.mean([s.z for s in elites], axis=0)) and np.all(d.std >= config.floor - 1e-12)


def test_coinciding_elites_leave_the_floor():
    same = [Scored(k, np.full(SIZE, 0.5), 1.0) for k in range(5)]
    for covariance in ("diagonal", "full", "shrunk"):
        d = fit(same, DeftConfig(covariance=covariance))
        assert np.allclose(d.std, 0.3) and np.allclose(d.mean, 0.5)


def test_full_covariance_keeps_correlations():
    rng = np.random.default_rng(0)
    scored = []
    for k in range(5):
        z = rng.standard_normal(SIZE)
        z[1] = z[0]
        scored.append(Scored(k, z, 1.0))
    d = fit(scored, DeftConfig(covariance="full", floor=0.05))
    covariance = d.factor @ d.factor.T
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) > 0.9


def test_the_control_never_refits_but_has_an_elite_mean():
    scored = history(25)
    search = RandomSearch(SIZE, 0, CONFIG)
    search.tell(scored)
    assert np.array_equal(search.spread(25).mean, np.zeros(SIZE))
    assert np.allclose(search.result(), np.mean([s.z for s in best(scored, 5)], axis=0))
    for episode in range(11):
        assert np.array_equal(search.ask(episode, 0), told(scored).ask(episode, 0)), "the same warm-up as deft's"


@pytest.mark.parametrize(("values", "match"), [
    ({"deft": {"elites": 1}}, "elites"), ({"sigma": (0.0, 0.1, 0.1)}, "sigma"), ({"deft": {"floor": 2.0}}, "floor"),
    ({"deft": {"covariance": "diag"}}, "covariance"), ({"algorithm": "cem"}, "algorithm"),
    ({"hand_basis": "pca"}, "hand_basis"),
    ({"deft": {"elits": 3}}, "did you mean 'elites'")])
def test_wrong_parameters_are_refused(values, match):
    with pytest.raises(ConfigError, match=match):
        parse(SearchConfig, values, "search")
