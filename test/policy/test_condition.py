"""What is seen in a few numbers, and grasps as vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy.sessions import JOINTS, SPACE, xi

from deft_core.types import GraspParameters
from deft_policy.condition import Condition, Grasps, Projection

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 8), st.integers(1, 40), st.integers(2, 50))
def test_components_have_unit_deviation_and_no_correlation(seed, count, rows, size):
    data = np.random.default_rng(seed).standard_normal((rows, size)) * 10.0
    projection = Projection.fitted(data, count)
    seen = np.array([projection(row) for row in data])
    assert seen.shape == (rows, count) and np.isfinite(seen).all()
    full = min(count, rows - 1, size)
    assert np.allclose(np.atleast_2d(np.cov(seen[:, :full].T)), np.eye(full)) if full > 0 else True
    assert np.allclose(seen[:, max(full, 0):], 0.0, atol=1e-6), "components that the data does not have say nothing"


def test_what_is_missing_says_nothing():
    assert np.array_equal(Projection.fitted(np.random.default_rng(0).standard_normal((5, 9)), 3)(None), np.zeros(3))


@given(seeds)
def test_grasps_come_back_from_their_vectors(seed):
    rng = np.random.default_rng(seed)
    about = Grasps.about(SPACE, [xi(rng) for _ in range(5)])
    grasp = xi(rng)
    again = about.grasp(about.vector(grasp))
    assert np.allclose(again.contact, grasp.contact) and np.allclose(again.joints, grasp.joints)
    assert (again.rotation().inv() * grasp.rotation()).magnitude() < 1e-9


def test_the_mean_of_rotations_does_not_tear_at_half_a_turn():
    near = [GraspParameters(np.zeros(3), np.array([0.0, 0.0, angle]), JOINTS, np.zeros(16), "hand") for angle in (3.1, -3.1)]
    middle = Grasps.about(SPACE, near).middle
    assert abs(abs(middle.rotation().as_rotvec()[2]) - np.pi) < 1e-6


def test_a_condition_has_as_many_numbers_as_were_asked_for():
    rng = np.random.default_rng(1)
    grasps = [xi(rng) for _ in range(6)]
    features = [rng.standard_normal(1280) if k % 2 else None for k in range(6)]
    condition = Condition.fitted(SPACE, features, grasps, 3, 4)
    assert condition.size == 3 + 6 + 4 and condition(features[1], grasps[1]).shape == (13,)
    assert np.array_equal(condition(None, grasps[0])[:3], np.zeros(3))
    blind = Condition.fitted(SPACE, [None] * 6, grasps, 3, 4)
    assert blind(None, grasps[0]).shape == (13,)


def test_another_hand_is_refused():
    rng = np.random.default_rng(2)
    condition = Condition.fitted(SPACE, [None] * 4, [xi(rng) for _ in range(4)], 2, 2)
    other = GraspParameters(np.zeros(3), np.zeros(3), ("x",), np.zeros(1), "other")
    with pytest.raises(ValueError, match="joints"):
        condition(None, other)
