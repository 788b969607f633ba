"""The square that the network sees, and the view along the ray through its middle."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deft_affordance.network.net import cell_places
from deft_affordance.network.picture import Square, whole
from deft_core.types import Intrinsics

LENS = Intrinsics(640, 480, 500.0, 500.0, 319.5, 239.5)
squares = st.builds(lambda x, y, side, roll: Square(np.array([x, y]), side, 64, roll), st.floats(-10, 100), st.floats(-10, 100),
                    st.floats(20, 90), st.floats(-0.6, 0.6))
points = st.tuples(st.floats(0, 90), st.floats(0, 90)).map(np.array)


@given(squares, points)
def test_there_and_back(square, point):
    assert np.allclose(square.to_crop(square.to_square(point)), point, atol=1e-6)


@given(squares, st.integers(5, 58), st.integers(5, 58))
def test_what_is_drawn_in_the_crop_is_seen_where_to_square_says(square, u, v):
    crop = np.zeros((64, 64, 3), np.uint8)
    crop[v - 2:v + 3, u - 2:u + 3] = 255
    seen = (square.cut(crop)[..., 0] > 160).astype(float)  # what lies outside the crop is grey
    place = square.to_square(np.array([u, v], float))
    if np.abs(place).max() > 0.8 or seen.sum() == 0:
        return
    cells = cell_places(64, 64).numpy()
    found = (seen[..., None] * cells).sum(axis=(0, 1)) / seen.sum()
    assert np.allclose(found, place, atol=2.0 / 64)


@given(squares, st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_a_view_sees_ahead_what_is_in_the_middle_and_turns_as_the_picture_does(square, x, y):
    corner = np.array([300.0, 120.0])
    view = square.view(corner, LENS)
    middle = view.inv().apply([*LENS.normalized(corner + square.centre), 1.0])
    assert np.allclose(middle[:2], 0, atol=1e-9) and middle[2] > 0
    # a direction near straight ahead appears in the square where it points in the square's own frame
    pixel = LENS.project(view.apply([x, y, 5.0])) - corner
    place = square.to_square(pixel)
    if np.hypot(x, y) > 0.02:
        off = np.arctan2(place[1], place[0]) - np.arctan2(y, x)
        assert abs((off + np.pi) % (2 * np.pi) - np.pi) < 0.15


def test_the_whole_crop_is_in_the_square_round_it():
    crop = np.zeros((40, 90, 3), np.uint8)
    corners = whole(crop, 128).to_square(np.array([[0.0, 0.0], [89.0, 39.0]]))
    assert np.allclose(corners[:, 0], [-1 + 1 / 90, 1 - 1 / 90]) and np.all(np.abs(corners[:, 1]) < 0.5)
