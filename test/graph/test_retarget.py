"""The retargeting node over DDS: every method and hand, saturation, bad input, no convergence."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import rclpy
from deft_msgs.msg import Affordance
from deft_msgs.srv import RetargetHand
from geometry_msgs.msg import Point, Quaternion
from graph_support import domain
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from retarget_hands import load_hand
from support import CONFIG

from deft_core.errors import ConfigError
from deft_core.ros import names
from deft_core.ros.node import call
from deft_retarget.motions import gesture
from deft_retarget.node import RetargetNode
from deft_retarget.retargeter import Retargeter
from deft_retarget.skeleton import mirrored, shipped_skeleton

pytestmark = pytest.mark.graph
Ask = Callable[..., RetargetHand.Response]


@pytest.fixture(scope="module", autouse=True)
def ros() -> Iterator[None]:
    os.environ["ROS_DOMAIN_ID"] = domain(15)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rclpy.init()
    yield
    rclpy.try_shutdown()


def serving(**parameters: str) -> Iterator[Ask]:
    overrides = [Parameter(k, value=v) for k, v in {"config_dir": str(CONFIG), **parameters}.items()]
    node, client_node, executor = RetargetNode(parameter_overrides=overrides), Node("client"), MultiThreadedExecutor(2)
    client = client_node.create_client(RetargetHand, names.RETARGET_HAND)
    for each in (node, client_node):
        executor.add_node(each)
    thread = threading.Thread(target=executor.spin)
    thread.start()

    def ask(pose: np.ndarray, **fields: object) -> RetargetHand.Response:
        affordance = Affordance(side="right", mano_joint_angles=pose, mean_contact=Point(x=0.5, y=0.0, z=0.1),
                                base_frame="link_base",
                                wrist_orientation_base=Quaternion(w=1.0))
        for key, value in fields.items():
            setattr(affordance, key, value)
        return call(client, RetargetHand.Request(affordance=affordance), 30.0)

    yield ask
    executor.shutdown()
    thread.join()
    for each in (node, client_node):
        each.destroy_node()


@pytest.fixture(params=[("allegro_right", "axis"), ("leap_right", "vector"), ("shadow_right", "dexpilot"), ("dash_right", "")],
                ids="-".join)
def served(request) -> Iterator[tuple[str, str, Ask]]:
    hand, method = request.param
    for ask in serving(hand=hand, method=method):
        yield hand, method, ask


def test_joints_errors_saturation_and_convergence_are_answered(served):
    name, method, ask = served
    hand, pose = load_hand(name), gesture(shipped_skeleton(), "fist")
    answer, here = ask(pose), Retargeter(hand, method or None).retarget(pose)
    assert answer.error_code == 0 and answer.converged
    assert list(answer.grasp.joint_names) == list(hand.joint_names) and answer.grasp.hand == name
    assert np.allclose(answer.grasp.joint_positions, here.joints) and list(answer.saturated_joints) == list(here.saturated)
    assert answer.fingertip_error == pytest.approx(here.fingertip_error) and list(answer.fingers) == list(here.fingertip_errors)
    assert np.allclose(answer.fingertip_errors, list(here.fingertip_errors.values()))
    assert answer.grasp.header.frame_id == "link_base" and answer.grasp.contact.x == 0.5


def test_a_left_human_hand_moves_the_robots_fingers_alike(served):
    _, _, ask = served
    pose = gesture(shipped_skeleton(), "half_closed")
    assert np.allclose(ask(mirrored(pose), side="left").grasp.joint_positions, ask(pose).grasp.joint_positions)


@pytest.mark.parametrize(("pose", "fields", "message"), [
    (np.full(45, np.nan), {}, "45 finite angles"), (np.zeros(45), {"side": ""}, "must be right or left"),
    (np.zeros(45), {"mean_contact": Point(x=float("nan"))}, "contact point"),
    (np.zeros(45), {"wrist_orientation_base": Quaternion(w=0.0)}, "quaternion")])
def test_bad_input_is_refused_and_says_why(served, pose, fields, message):
    answer = served[2](pose, **fields)
    assert answer.error_code == RetargetHand.Request.BAD_INPUT and message in answer.error_msg
    assert not answer.converged and not answer.grasp.joint_names


def test_no_convergence_is_an_error_without_a_pose(tmp_path):
    (tmp_path / "hands").mkdir()
    wanting = "method: dexpilot\n  key_vectors: {tolerance: 1.0e-30}\n  #"
    text = (CONFIG / "hands/allegro_right.yaml").read_text().replace("method: axis ", wanting)
    (tmp_path / "hands/allegro_right.yaml").write_text(text)
    # warming up would not converge either, and must not keep the node from starting
    for ask in serving(config_dir=str(tmp_path)):
        answer = ask(gesture(shipped_skeleton(), "fist"))
        assert answer.error_code == RetargetHand.Request.NOT_CONVERGED and "did not converge" in answer.error_msg
        assert not answer.converged and not answer.grasp.joint_names and not answer.fingertip_errors


@pytest.mark.parametrize(("parameters", "message"),
                         [({"method": "vektor"}, "did you mean 'vector'"), ({"hand": "leap_rihgt"}, "did you mean"),
                                                     ({"mano_file": "/none.pkl"}, "cannot be read")])
def test_wrong_parameters_end_the_node_with_a_sentence(parameters, message):
    with pytest.raises(ConfigError, match=message):
        next(serving(**parameters))
