"""Poses and pinhole intrinsics."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from deft_core.types import Intrinsics, Pose

K = Intrinsics(640, 480, 465.0, 460.0, 319.5, 239.5)
vectors = st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(np.array)
poses = st.builds(lambda p, r: Pose(p, Rotation.from_rotvec(r)), vectors, vectors)


@given(poses, poses, vectors)
def test_chaining_is_applying_twice(a, b, p):
    assert np.allclose((a @ b).apply(p), a.apply(b.apply(p)))


@given(poses, vectors)
def test_inverse_undoes(pose, p):
    assert np.allclose(pose.inverse().apply(pose.apply(p)), p)
    assert np.allclose(Pose.from_matrix(pose.matrix()).matrix(), pose.matrix())


@given(st.floats(0, 639), st.floats(0, 479), st.floats(0.1, 5.0))
def test_project_inverts_deproject(u, v, depth):
    assert np.allclose(K.project(K.deproject(np.array([u, v]), np.array(depth))), [u, v])


def test_behind_the_camera_is_nan():
    assert np.isnan(K.project(np.array([0.1, 0.1, -1.0]))).all()
