"""Pixels to points: robust to holes, zeros and flying pixels, and never (0, 0, 0)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deft_core.projection import NoDepthError, contact_point, snap_to_mask
from deft_core.types import Intrinsics, Pose

K = Intrinsics(160, 120, 120.0, 120.0, 79.5, 59.5)
CAMERA = Pose.from_xyz_rpy((0.1, 0.2, 0.9), (-2.2, 0.0, -1.5))


def scene(depth_mm: int = 700) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((120, 160), bool)
    mask[40:80, 60:100] = True
    depth = np.full((120, 160), 900, np.uint16)
    depth[mask] = depth_mm
    return mask, depth


def expected(uv: np.ndarray, metres: float) -> np.ndarray:
    return CAMERA.apply(K.deproject(uv, np.array(metres)))


def test_plain_surface():
    mask, depth = scene()
    uv = np.array([75.0, 60.0])
    assert np.allclose(contact_point(uv, mask, depth, K, CAMERA), expected(uv, 0.7))


def test_pixel_outside_the_mask_snaps_to_it():
    mask, depth = scene()
    assert snap_to_mask(np.array([10.0, 60.0]), mask).tolist() == [60.0, 60.0]
    assert np.allclose(contact_point(np.array([10.0, 60.0]), mask, depth, K, CAMERA), expected(np.array([60.0, 60.0]), 0.7))


@settings(max_examples=300)
@given(st.integers(0, 2**31), st.floats(0.0, 0.9))
def test_holes_and_flying_pixels_do_not_move_the_point(seed, share):
    rng = np.random.default_rng(seed)
    mask, depth = scene()
    depth[rng.random(depth.shape) < share] = 0
    flying = (rng.random(depth.shape) < 0.2) & (depth > 0)
    depth[flying] = 880
    uv = np.array([80.0, 60.0])
    try:
        point = contact_point(uv, mask, depth, K, CAMERA)
    except NoDepthError:
        assert ((depth > 0) & mask).sum() < 200
        return
    assert np.linalg.norm(point) > 1e-6
    near = min(np.linalg.norm(point - expected(uv, 0.70)), np.linalg.norm(point - expected(uv, 0.88)))
    assert near < 0.1


def test_two_surfaces_half_and_half_give_the_nearer():
    """As many pixels on one as on the other: their median lies on neither."""
    mask = np.zeros((120, 160), bool)
    mask[59:61, 79:81] = True
    mask[60, 81:83] = True
    depth = np.zeros((120, 160), np.uint16)
    depth[59, 79:81], depth[60, 79] = 700, 700
    depth[60, 80:83] = 880
    uv = np.array([80.0, 60.0])
    assert np.allclose(contact_point(uv, mask, depth, K, CAMERA), expected(uv, 0.7))


def test_no_depth_and_no_mask_are_refused():
    mask, depth = scene()
    with pytest.raises(NoDepthError, match="no valid depth"):
        contact_point(np.array([80.0, 60.0]), mask, np.zeros_like(depth), K, CAMERA)
    with pytest.raises(NoDepthError, match="mask is empty"):
        contact_point(np.array([80.0, 60.0]), np.zeros_like(mask), depth, K, CAMERA)
