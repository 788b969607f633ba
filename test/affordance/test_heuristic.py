"""The Real-World-Only prior."""

from __future__ import annotations

import numpy as np
import pytest

from deft_affordance import codes
from deft_affordance.heuristic import WRISTS, HeuristicPredictor, half_closed_hand
from deft_affordance.predictor import ObjectView
from deft_core.errors import DeftError
from deft_core.types import Intrinsics, Pose


def view(roi=(100, 50, 40, 60)):
    mask = np.zeros((240, 320), bool)
    mask[roi[1]:roi[1] + roi[3], roi[0]:roi[0] + roi[2]] = True
    lens = Intrinsics(320, 240, 250.0, 250.0, 159.5, 119.5)
    return ObjectView(np.zeros((60, 40, 3), np.uint8), roi, mask, lens, Pose.identity(), "pick up the cup")


def test_contact_at_the_box_centre_and_half_closed_hand():
    prediction = HeuristicPredictor().predict(view(), "side", np.random.default_rng(0))
    assert prediction.pixels.tolist() == [[119.5, 79.5]]
    assert np.array_equal(prediction.mano_pose, half_closed_hand()) and prediction.mano_pose.shape == (45,)


@pytest.mark.parametrize(("name", "fingers", "palm"), [
    ("palm_down", [1, 0, 0], [0, 0, -1]), ("side", [1, 0, 0], [0, 1, 0]), ("fingers_down", [0, 0, -1], [1, 0, 0])])
def test_named_wrists_point_where_they_say(name, fingers, palm):
    """MANO's right hand: fingers along -x, the palm faces -y."""
    assert np.allclose(WRISTS[name].apply([-1, 0, 0]), fingers)
    assert np.allclose(WRISTS[name].apply([0, -1, 0]), palm)


def test_random_wrist_follows_the_generator():
    def draw(seed):
        return HeuristicPredictor().predict(view(), "random", np.random.default_rng(seed)).wrist_in_base.as_quat()

    assert np.array_equal(draw(1), draw(1)) and not np.allclose(draw(1), draw(2))


def test_refusals():
    for roi, wrist in (((0, 0, 0, 0), "side"), ((100, 50, 40, 60), "sidewise")):
        with pytest.raises(DeftError) as caught:
            HeuristicPredictor().predict(view(roi), wrist, np.random.default_rng(0))
        assert caught.value.code == codes.BAD_OBSERVATION
