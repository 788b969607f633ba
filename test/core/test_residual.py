"""eps and xi: the layout, the arithmetic, the refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from deft_core.residual import ResidualSpace
from deft_core.types import GraspParameters

JOINTS = tuple(f"j{i}" for i in range(16))
SPACE = ResidualSpace.by_group(JOINTS, (0.02, 0.2, 0.1), (0.08, 0.8, 0.5))
numbers = st.floats(-1.0, 1.0)


def grasp(values: list[float]) -> GraspParameters:
    v = np.array(values)
    return GraspParameters(v[:3], v[3:6], JOINTS, v[6:], "hand")


def test_layout_of_a_sixteen_joint_hand():
    assert SPACE.size == 22
    assert SPACE.names[:7] == ("contact_x", "contact_y", "contact_z", "wrist_rx", "wrist_ry", "wrist_rz", "j0")
    assert SPACE.sigma[:3].tolist() == [0.02] * 3 and SPACE.sigma[6:].tolist() == [0.1] * 16


@given(st.lists(numbers, min_size=22, max_size=22), st.lists(numbers, min_size=22, max_size=22))
def test_between_inverts_apply(xi, eps):
    eps = np.array(eps)
    assert np.allclose(SPACE.between(grasp(xi), SPACE.apply(grasp(xi), eps)), eps, atol=1e-9)


def test_rotation_residual_composes_on_the_right():
    xi = grasp([0.0] * 3 + [0.0, 0.0, np.pi / 2] + [0.0] * 16)
    eps = np.zeros(22)
    eps[3] = 0.3
    expected = Rotation.from_rotvec([0, 0, np.pi / 2]) * Rotation.from_rotvec([0.3, 0, 0])
    assert np.allclose(SPACE.apply(xi, eps).rotation().as_matrix(), expected.as_matrix())


@given(st.lists(st.floats(-1e6, 1e6), min_size=22, max_size=22))
def test_clip_keeps_within_bounds(eps):
    assert np.all(np.abs(SPACE.clip(np.array(eps))) <= SPACE.bound)


@pytest.mark.parametrize("eps", [np.zeros(21), np.full(22, np.nan), np.full(22, np.inf)])
def test_unusable_eps_is_refused(eps):
    with pytest.raises(ValueError, match="eps"):
        SPACE.apply(grasp([0.0] * 22), eps)


def test_another_hand_is_refused():
    other = GraspParameters(np.zeros(3), np.zeros(3), ("a",), np.zeros(1), "other")
    with pytest.raises(ValueError, match="joints"):
        SPACE.apply(other, np.zeros(22))


def test_coupled_joints_have_no_residual_of_their_own():
    space = ResidualSpace.by_group(JOINTS[:3] + JOINTS[4:], (0.02, 0.2, 0.1), (0.08, 0.8, 0.5))
    assert space.size == 21 and "j3" not in space.names
    xi = grasp([0.0] * 22)
    changed = space.apply(xi, np.ones(21))
    assert changed.joints[3] == 0.0 and (np.delete(changed.joints, 3) == 1.0).all()
    assert np.allclose(space.between(xi, changed), np.ones(21))
    with pytest.raises(ValueError, match="xi has the joints"):
        ResidualSpace.by_group(("j3", "other"), (0.1, 0.1, 0.1), (1.0, 1.0, 1.0)).apply(xi, np.zeros(8))


@given(st.lists(numbers, min_size=22, max_size=22), st.lists(numbers, min_size=25, max_size=25))
def test_the_trajectory_may_be_varied_too(xi, eps):
    space = SPACE.with_trajectory(0.03, 0.1)
    assert space.names[22:] == ("tau_x", "tau_y", "tau_z") and space.sigma[22:].tolist() == [0.03] * 3
    changed = space.apply(grasp(xi), np.array(eps))
    assert np.allclose(changed.trajectory_offset, eps[22:]) and not grasp(xi).trajectory_offset.any()
    assert np.allclose(space.between(grasp(xi), changed), eps, atol=1e-9)
    assert not SPACE.apply(grasp(xi), np.array(eps[:22])).trajectory_offset.any()
