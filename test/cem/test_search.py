"""What every search owes to the loop, whatever its mathematics."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retarget_hands import HANDS, load_hand

from deft_cem.methods import FixedMethod, SearchMethod
from deft_cem.search import make_search
from deft_cem.search.basis import make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.search.deft_plus import exponential_scores
from deft_cem.search.gaussian import Scored
from deft_cem.session import ScoredEpisode
from deft_core.config import default_config_dir
from deft_core.errors import ConfigError

JOINTS = tuple(f"j{i}" for i in range(16))
ALGORITHMS = ("deft", "deft_plus", "cma", "bo", "random")


def made(algorithm: str, seed: int = 0, **changes):
    config = SearchConfig(algorithm=algorithm, **changes)
    basis = make_basis(config, JOINTS, "hand", default_config_dir())
    return make_search(config, basis, seed), basis


def history(n: int, seed: int = 0) -> list[Scored]:
    rng = np.random.default_rng(seed)
    return [Scored(k, rng.standard_normal(22), round(float(rng.random()), 2)) for k in range(n)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_asked_follows_from_seed_and_scores_alone(algorithm):
    scored = history(14)
    one, other = made(algorithm)[0], made(algorithm)[0]
    other.tell(history(9, seed=5))  # what was told before does not count
    other.ask(9, 0)
    for search in (one, other):
        search.tell(scored)
    for episode, draw in ((14, 0), (14, 1), (15, 0)):
        assert np.array_equal(one.ask(episode, draw), other.ask(episode, draw))
    assert np.array_equal(one.result(), other.result()) and one.spread(14).mean.shape == (22,)
    assert not np.array_equal(one.ask(14, 0), one.ask(14, 1)), "a refused sample is not asked for again"
    assert not np.array_equal(made(algorithm, seed=1)[0].ask(1, 0), made(algorithm)[0].ask(1, 0))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_order_of_telling_does_not_matter_but_an_amended_score_does(algorithm):
    scored = history(14)
    one, other = made(algorithm)[0], made(algorithm)[0]
    one.tell(scored)
    other.tell(scored[::-1])
    assert np.array_equal(one.result(), other.result())
    worst = min(scored, key=lambda s: s.reward)
    other.tell([Scored(s.episode, s.z, 1.0 if s is worst else s.reward) for s in scored])
    assert not np.allclose(one.result(), other.result())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_reward_that_is_none_never_gets_in(algorithm):
    search, _ = made(algorithm)
    scored = history(12)
    search.tell(scored)
    before = search.ask(12, 0)
    for bad in (math.nan, math.inf, -math.inf, -0.01, 1.01, 7.0):
        with pytest.raises(ValueError, match="episode 12"):
            search.tell([*scored, Scored(12, np.zeros(22), bad)])
    assert np.array_equal(search.ask(12, 0), before), "nothing was taken"


@pytest.mark.parametrize("z", [np.zeros(21), np.full(22, np.nan)])
def test_a_sample_that_is_none_never_gets_in(z):
    with pytest.raises(ValueError, match="22 finite numbers"):
        made("deft")[0].tell([Scored(0, z, 0.5)])


def test_an_episode_is_told_once():
    with pytest.raises(ValueError, match="twice"):
        made("deft")[0].tell([*history(3), Scored(1, np.zeros(22), 0.5)])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_equal_scores_break_nothing(algorithm, reward):
    """A plateau: the first ten grasps all missed, or all held."""
    search, _ = made(algorithm)
    search.tell([Scored(s.episode, s.z, reward) for s in history(20)])
    assert np.isfinite(search.ask(20, 0)).all() and np.isfinite(search.result()).all()


@pytest.mark.parametrize(("algorithm", "episodes", "seeds"), [("deft", 60, 6), ("deft_plus", 30, 6), ("cma", 150, 2)])
def test_it_finds_a_hidden_optimum(algorithm, episodes, seeds):
    """On a smooth score the search ends nearer to the optimum than it began."""
    target = np.where(np.arange(22) < 6, 1.2, 0.0)
    nearer = []
    for seed in range(seeds):
        search, scored = made(algorithm, seed)[0], []
        for k in range(episodes):
            search.tell(scored)
            z = search.ask(k, 0)
            scored.append(Scored(k, z, float(np.exp(-0.05 * np.sum((z - target) ** 2)))))
        search.tell(scored)
        nearer.append(np.linalg.norm(target) - np.linalg.norm(search.result() - target))
    assert np.mean(nearer) > 0.5


def test_bo_finds_a_hidden_optimum_in_few_numbers():
    config = SearchConfig(algorithm="bo", hand_basis="synergies", synergies=1)
    basis = make_basis(config, _allegro(), "allegro_right", default_config_dir())
    target, search, scored = np.full(basis.size, 0.8), make_search(config, basis, 0), []
    for k in range(25):
        search.tell(scored)
        z = search.ask(k, 0)
        scored.append(Scored(k, z, float(np.exp(-0.3 * np.sum((z - target) ** 2)))))
    search.tell(scored)
    assert np.linalg.norm(search.result() - target) < 0.8 * np.linalg.norm(target)


def test_deft_plus_stays_with_the_prior_where_scores_say_nothing():
    """Elites of pure noise lie two first sigmas away from the prior; without evidence deft_plus does not move that far."""
    far = []
    for seed in range(10):
        plus, deft = made("deft_plus")[0], made("deft")[0]
        for search in (plus, deft):
            search.tell(history(30, seed))
        far.append((np.linalg.norm(plus.result()), np.linalg.norm(deft.result())))
    plus_far, deft_far = np.mean(far, axis=0)
    assert plus_far < deft_far


@settings(max_examples=50)
@given(st.lists(st.integers(0, 20), min_size=3, max_size=30).filter(lambda r: len(set(r)) > 1), st.floats(0.2, 5.0))
def test_only_the_order_of_rewards_counts_for_deft_plus(rewards, power):
    values = np.array(rewards) / 20
    scores = exponential_scores(values)
    assert np.allclose(scores, exponential_scores(values**power))
    assert scores.mean() == pytest.approx(0.0, abs=1e-9) and scores.std() == pytest.approx(1.0)
    assert np.array_equal(np.argsort(values, kind="stable"), np.argsort(np.round(scores, 9), kind="stable"))


def test_exponential_scores_set_the_best_apart():
    scores = exponential_scores(np.array([0.2, 0.9, 0.0, 0.9, 0.5]))
    expected = np.array([9 / 20, (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 2, 1 / 5, 0.0, 47 / 60])
    expected[3] = expected[1]  # equal rewards, equal scores
    assert np.allclose(scores, (expected - expected.mean()) / expected.std())
    assert not exponential_scores(np.full(4, 0.3)).any()


# -- basis and method ---------------------------------------------------------------------------------------


def _allegro() -> tuple[str, ...]:
    return load_hand("allegro_right").motors


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([("joints", 16), ("synergies", 4), ("grip", 2)]), st.booleans())
def test_z_and_eps_are_the_same_thing(seed, hand, trajectory):
    config = SearchConfig(hand_basis=hand[0], vary_trajectory=trajectory)
    basis = make_basis(config, _allegro(), "allegro_right", default_config_dir())
    assert basis.size == 6 + hand[1] + 3 * trajectory and basis.space.size == 22 + 3 * trajectory
    z = 0.5 * np.random.default_rng(seed).standard_normal(basis.size)
    eps = basis.matrix @ z
    if np.all(np.abs(eps) <= basis.space.bound):
        assert np.allclose(basis.to_z(basis.to_eps(z)), z)
    assert np.all(np.abs(basis.to_eps(20 * z)) <= basis.space.bound)


def test_synergies_move_the_joints_by_their_sigma():
    config = SearchConfig(hand_basis="synergies")
    basis = make_basis(config, _allegro(), "allegro_right", default_config_dir())
    moved = np.sqrt((basis.matrix[6:22] ** 2).sum(axis=1).mean())
    assert moved == pytest.approx(config.sigma[2])


@pytest.mark.parametrize(("changes", "hand", "match"), [
    ({}, "nowhere", "unknown synergie 'nowhere'"), ({"synergies": 17}, "allegro_right", "not 17")])
def test_synergies_that_are_not_there(changes, hand, match):
    with pytest.raises(ConfigError, match=match):
        make_basis(SearchConfig(hand_basis="synergies", **changes), _allegro(), hand, default_config_dir())


def test_synergies_of_another_hand_are_refused():
    with pytest.raises(ConfigError, match="make it again"):
        make_basis(SearchConfig(hand_basis="synergies"), JOINTS, "allegro_right", default_config_dir())


@pytest.mark.parametrize("name", (*HANDS, "allegro_soft"))
def test_grip_closes_fingers_and_thumb_of_every_hand_as_it_squeezes(name):
    hand = load_hand(name)
    basis = make_basis(SearchConfig(hand_basis="grip", sigma=(0.02, 0.2, 0.3)), hand.motors, name, default_config_dir())
    squeeze = np.array([q for q, joint in zip(hand.squeeze, hand.joint_names, strict=True) if joint in hand.motors])
    fingers, thumb = (basis.to_eps(z)[6:] for z in np.eye(basis.size)[-2:])
    assert not np.any(fingers * thumb) and {n for n, q in zip(hand.motors, thumb, strict=True) if q} <= set(hand.thumb)
    for closed, sigma in ((fingers, 0.3), (thumb, 0.15)):
        part = squeeze * (closed != 0)
        assert np.allclose(closed * part.max(), sigma * part) and closed.max() == pytest.approx(sigma)
    assert np.array_equal((fingers != 0) | (thumb != 0), squeeze != 0)


def test_grip_of_a_hand_that_is_not_there():
    with pytest.raises(ConfigError, match="unknown hand 'nowhere'"):
        make_basis(SearchConfig(hand_basis="grip"), JOINTS, "nowhere", default_config_dir())


def test_a_hand_that_squeezes_nothing_has_no_grip(tmp_path):
    (tmp_path / "hands").mkdir()
    text = (default_config_dir() / "hands" / "allegro_right.yaml").read_text()
    still = re.sub(r"^squeeze: .*$", f"squeeze: {[0.0] * 16}", text, flags=re.MULTILINE)
    (tmp_path / "hands" / "allegro_right.yaml").write_text(still)
    with pytest.raises(ConfigError, match="squeezes nothing"):
        make_basis(SearchConfig(hand_basis="grip"), _allegro(), "allegro_right", tmp_path)


def episodes(n: int) -> list[ScoredEpisode]:
    rng = np.random.default_rng(0)
    return [ScoredEpisode(k, 0.01 * rng.standard_normal(22), round(float(rng.random()), 2)) for k in range(n)]


def test_prior_only_episodes_and_repeated_samples_come_when_they_should():
    search, basis = made("deft")
    method = SearchMethod(search, basis, 0, 20, prior_every=5, recheck_every=4)
    scored = episodes(7)
    samples = {k: method.sample(k, 0, scored) for k in range(20)}
    assert [k for k, s in samples.items() if s.control] == [4, 9, 14, 19] and not samples[4].eps.any()
    again = {k: s.repeat_of for k, s in samples.items() if s.repeat_of is not None}
    assert sorted(again) == [2, 6, 10, 18], "14 is the prior's"
    for k, other in again.items():
        assert np.array_equal(samples[k].eps, scored[other].eps)
    assert method.sample(2, 1, scored).repeat_of is None, "one that cannot be executed any more is replaced"
    assert method.sample(2, 0, []).repeat_of is None
    both = SearchMethod(search, basis, 0, 20, prior_every=5, recheck_every=5)
    assert both.sample(3, 0, scored).repeat_of is not None and both.sample(4, 0, scored).control


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 29), st.integers(0, 19))
def test_samples_stay_within_bounds(seed, episode, draw):
    search, basis = made("deft", seed)
    method = SearchMethod(search, basis, seed, 20, 0, 0)
    assert np.all(np.abs(method.sample(episode, draw, episodes(12)).eps) <= basis.space.bound)


def test_trials_execute_the_prior_the_tuned_residual_or_both_in_turns():
    tuned = np.full(22, 0.01)
    assert FixedMethod("prior", 22, None).sample(3, 0, []).control
    assert np.array_equal(FixedMethod("tuned", 22, tuned).sample(3, 0, []).eps, tuned)
    versus = [FixedMethod("versus", 22, tuned).sample(k, 0, []) for k in range(4)]
    assert [s.control for s in versus] == [True, False, True, False] and not versus[0].eps.any()
