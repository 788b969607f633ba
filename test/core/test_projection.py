"""Pixels to points: robust to holes, zeros and flying pixels, and never (0, 0, 0)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deft_core.projection import CameraView, NoDepthError, contact_point, metres, snap_to_mask
from deft_core.types import Intrinsics, Pose

K = Intrinsics(160, 120, 120.0, 120.0, 79.5, 59.5)
CAMERA = Pose.from_xyz_rpy((0.1, 0.2, 0.9), (-2.2, 0.0, -1.5))


def scene(depth_mm: int = 700) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((120, 160), bool)
    mask[40:80, 60:100] = True
    depth = np.full((120, 160), 0.9, np.float32)
    depth[mask] = depth_mm / 1000
    return mask, depth


def expected(uv: np.ndarray, metres: float) -> np.ndarray:
    return CAMERA.apply(K.deproject(uv, np.array(metres)))


def test_plain_surface():
    mask, depth = scene()
    uv = np.array([75.0, 60.0])
    assert np.allclose(contact_point(uv, mask, depth, K, CAMERA), expected(uv, 0.7), atol=1e-6)


def test_pixel_outside_the_mask_snaps_to_it():
    mask, depth = scene()
    assert snap_to_mask(np.array([10.0, 60.0]), mask).tolist() == [60.0, 60.0]
    point = contact_point(np.array([10.0, 60.0]), mask, depth, K, CAMERA)
    assert np.allclose(point, expected(np.array([60.0, 60.0]), 0.7), atol=1e-6)


@settings(max_examples=300)
@given(st.integers(0, 2**31), st.floats(0.0, 0.9))
def test_holes_and_flying_pixels_do_not_move_the_point(seed, share):
    rng = np.random.default_rng(seed)
    mask, depth = scene()
    depth[rng.random(depth.shape) < share] = rng.choice([np.nan, np.inf])
    flying = (rng.random(depth.shape) < 0.2) & np.isfinite(depth)
    depth[flying] = 0.88
    uv = np.array([80.0, 60.0])
    try:
        point = contact_point(uv, mask, depth, K, CAMERA)
    except NoDepthError:
        assert (np.isfinite(depth) & mask).sum() < 200
        return
    assert np.linalg.norm(point) > 1e-6
    near = min(np.linalg.norm(point - expected(uv, 0.70)), np.linalg.norm(point - expected(uv, 0.88)))
    assert near < 0.02, "on one of the surfaces, not between them"


def test_two_surfaces_half_and_half_give_the_nearer():
    """As many pixels on one as on the other: their median lies on neither."""
    mask = np.zeros((120, 160), bool)
    mask[59:61, 79:81] = True
    mask[60, 81:83] = True
    depth = np.full((120, 160), np.nan, np.float32)
    depth[59, 79:81], depth[60, 79] = 0.7, 0.7
    depth[60, 80:83] = 0.88
    uv = np.array([80.0, 60.0])
    assert np.allclose(contact_point(uv, mask, depth, K, CAMERA), expected(uv, 0.7), atol=1e-6)


def test_no_depth_and_no_mask_are_refused():
    mask, depth = scene()
    with pytest.raises(NoDepthError, match="no valid depth"):
        contact_point(np.array([80.0, 60.0]), mask, np.full_like(depth, np.nan), K, CAMERA)
    with pytest.raises(NoDepthError, match="mask is empty"):
        contact_point(np.array([80.0, 60.0]), np.zeros_like(mask), depth, K, CAMERA)


DISTORTED = [Intrinsics(160, 120, 120.0, 121.0, 79.5, 59.5, (-0.055, 0.066, -0.0008, 0.0004, -0.021)),
             Intrinsics(160, 120, 120.0, 121.0, 79.5, 59.5, (0.4, -0.05, 0.001, 0.0, 0.01, 0.5, -0.02, 0.0),
                        "rational_polynomial"),
             Intrinsics(160, 120, 120.0, 121.0, 79.5, 59.5, (-0.02, 0.005, -0.001, 0.0002), "equidistant")]


@pytest.mark.parametrize("k", DISTORTED, ids=lambda k: k.model)
def test_every_pixel_comes_back_through_the_lens(k):
    v, u = np.indices((k.height, k.width))
    uv = np.stack([u, v], axis=-1).astype(float)
    assert np.abs(k.project(k.deproject(uv, np.full(u.shape, 0.8))) - uv).max() < 1e-4


def test_brown_conrady_is_the_textbook_formula():
    k = DISTORTED[0]
    k1, k2, p1, p2, k3 = k.distortion
    x, y = 0.31, -0.22
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    expected_uv = [k.fx * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + k.cx,
                   k.fy * (y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) + k.cy]
    assert np.allclose(k.project(np.array([x, y, 1.0]) * 0.7), expected_uv, atol=1e-9)


@pytest.mark.parametrize("k", [K, *DISTORTED], ids=lambda k: k.model + str(len(k.distortion)))
def test_the_cloud_is_each_pixel_deprojected(k):
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.3, 1.2, (k.height, k.width)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.2] = np.nan
    cloud = CameraView(k, CAMERA).cloud(depth)
    assert cloud.shape == (3, k.height, k.width) and cloud.dtype == np.float32
    assert (np.isnan(cloud).all(axis=0) == np.isnan(depth)).all(), "never the camera's own place"
    v, u = np.indices(depth.shape)
    points = CAMERA.apply(k.deproject(np.stack([u, v], axis=-1), depth))
    assert np.nanmax(np.abs(np.moveaxis(cloud, 0, -1) - points)) < 1e-6
    window = (slice(20, 50), slice(30, 90))
    assert np.array_equal(CameraView(k, CAMERA).cloud(depth[window], window), cloud[:, *window], equal_nan=True)


def test_all_sorts_of_missing_depth_are_nan():
    raw = np.array([[0, 1, 700, 65535]], np.uint16)
    assert np.allclose(metres(raw), [[np.nan, 0.001, 0.7, 65.535]], equal_nan=True)
    floating = np.array([[0.0, -1.0, np.nan, np.inf, 0.7]], np.float64)
    assert np.allclose(metres(floating), [[np.nan, np.nan, np.nan, np.nan, 0.7]], equal_nan=True)
    with pytest.raises(ValueError, match="neither"):
        metres(raw.astype(np.int16))
