"""The learned prior in the composed graph: from the simulated camera to an affordance and its overlay."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
import pytest
from deft_msgs.msg import Affordance, ObjectObservation
from deft_msgs.srv import Observe, PredictAffordance
from graph_support import Tester, graph_with, wait_for
from sensor_msgs.msg import Image

from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.qos import LATCHED

pytestmark = pytest.mark.graph
Request = PredictAffordance.Request


@pytest.fixture(scope="module")
def tester() -> Iterator[Tester]:
    with graph_with(16, operator="none") as found:
        yield found


@pytest.fixture(scope="module")
def observation(tester: Tester) -> ObjectObservation:
    answer = tester.call(Observe, names.OBSERVE, Observe.Request(task="pick_cup"))
    assert answer.error_code == Observe.Request.OK, answer.error_msg
    return answer.observation


def predicted(tester: Tester, observation: ObjectObservation, text: str) -> Affordance:
    answer = tester.call(PredictAffordance, names.PREDICT_AFFORDANCE, Request(observation=observation, text=text))
    assert answer.error_code == Request.OK, answer.error_msg
    return answer.affordance


def test_every_field_is_filled_and_they_agree(tester, observation):
    found = predicted(tester, observation, "pick up the cup")
    assert found.prior == "learned" and found.side == "right" and found.base_frame == observation.base_frame
    assert len(found.contact_pixels) == 2 * len(found.contact_points) == 32
    u, v = np.array(found.contact_pixels).reshape(-1, 2).round().astype(int).T
    roi = observation.roi
    assert (u >= roi.x_offset).all() and (u < roi.x_offset + roi.width).all()
    assert (v >= roi.y_offset).all() and (v < roi.y_offset + roi.height).all()
    heat = conv.image_from_msg(found.heatmap, "32FC1")
    assert heat.shape == (roi.height, roi.width) and np.isclose(heat.sum(), 1.0, atol=1e-3)
    camera = conv.rotation_from_msg(observation.camera_pose.orientation)
    here, there = (conv.rotation_from_msg(q) for q in (found.wrist_orientation_base, found.wrist_orientation_camera))
    assert (here.inv() * camera * there).magnitude() < 1e-6
    assert 0.001 < found.contact_deviation < 0.1 and 0.01 < found.wrist_deviation < 1.5 and 0.0 <= found.confidence <= 1.0
    assert np.linalg.norm(conv.xyz(found.mean_contact) - conv.xyz(observation.box_centre)) < 0.12
    assert np.isfinite(found.mano_joint_angles).all() and np.abs(found.mano_joint_angles).max() > 0.1


def test_the_text_decides(tester, observation):
    """A cup is lifted from above and poured from its side."""
    lift, pour = (predicted(tester, observation, text) for text in ("pick up the cup", "pour from the cup into the bowl"))
    back = [conv.rotation_from_msg(a.wrist_orientation_base).apply([0.0, 1.0, 0.0]) for a in (lift, pour)]
    assert back[0][2] > back[1][2] + 0.3, "the back of the hand looks up when the cup is lifted"


def test_the_overlay_is_published(tester, observation):
    seen: list[Image] = []
    tester.node.create_subscription(Image, names.AFFORDANCE_OVERLAY, seen.append, LATCHED)
    predicted(tester, observation, "pick up the cup")
    wait_for(lambda: seen, 10)
    assert seen[-1].encoding == "rgb8" and max(seen[-1].height, seen[-1].width) == 320


@pytest.mark.parametrize(("change", "text", "code"), [
    (lambda o: None, " ", Request.BAD_OBSERVATION),
    (lambda o: setattr(o.roi, "width", 0), "pick up the cup", Request.BAD_OBSERVATION),
    (lambda o: setattr(o.mask, "data", [0] * len(o.mask.data)), "pick up the cup", Request.BAD_OBSERVATION),
    (lambda o: setattr(o.camera_info, "k", [math.nan] * 9), "pick up the cup", Request.BAD_OBSERVATION),
    (lambda o: setattr(o.aligned_depth, "data", [0] * len(o.aligned_depth.data)), "pick up the cup", Request.NO_CONTACT_DEPTH)])
def test_bad_observations_have_codes(tester, observation, change, text, code):
    bad = copy.deepcopy(observation)
    change(bad)
    answer = tester.call(PredictAffordance, names.PREDICT_AFFORDANCE, Request(observation=bad, text=text))
    assert answer.error_code == code and answer.error_msg
