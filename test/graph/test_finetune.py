"""A short fine-tuning through the real graph, watched from outside, interrupted and disturbed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from deft_msgs.srv import Observe, PredictAffordance, Rearm, RetargetHand, Stop
from graph_support import ABORTED, CANCELED, SUCCEEDED, fault_request, wait_for
from rcl_interfaces.srv import SetParameters

from deft_core.ros import names

pytestmark = pytest.mark.graph

OUTSIDE = """
import json, sys, time
import numpy as np, rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState
from rosgraph_msgs.msg import Clock
rclpy.init()
node, seen = Node("outside"), {}
def keep(topic):
    def callback(message):
        entry = seen.setdefault(topic, {"count": 0})
        entry["count"] += 1
        if isinstance(message, Image):
            data = np.frombuffer(message.data, np.uint8)
            entry.update(encoding=message.encoding, width=message.width, height=message.height, step=message.step,
                         frame=message.header.frame_id, mean=float(data.mean()), stamp=message.header.stamp.sec)
    return callback
for kind, topic in ((Image, "/camera/camera/color/image_raw"), (Image, "/camera/camera/aligned_depth_to_color/image_raw"),
                    (CameraInfo, "/camera/camera/color/camera_info"), (JointState, "/joint_states"), (Clock, "/clock")):
    node.create_subscription(kind, topic, keep(topic), qos_profile_sensor_data)
def complete():
    return len(seen) == 5 and seen["/joint_states"]["count"] > 50
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end and not complete():
    rclpy.spin_once(node, timeout_sec=0.1)
print(json.dumps(seen))
node.destroy_node(); rclpy.shutdown()
"""


@pytest.fixture(scope="module")
def session(scripted, tmp_path_factory):
    """A finished session of four episodes, and what another process received of the topics meanwhile."""
    folder = tmp_path_factory.mktemp("sessions") / "four"
    outside = subprocess.Popen([sys.executable, "-c", OUTSIDE, "90"], stdout=subprocess.PIPE, text=True, env=os.environ.copy())
    status, result = scripted.result(scripted.send(folder))
    return folder, status, result, json.loads(outside.communicate(timeout=120)[0])


def test_four_episodes_to_the_end(session):
    folder, status, result, _ = session
    assert status == SUCCEEDED and result.error_code == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["finished"] and result.scored + result.infeasible == 4
    assert {e["status"] for e in summary["episodes"]} <= {"scored", "infeasible"}
    for e in summary["episodes"]:
        assert e["status"] != "infeasible" or e["reason"]
        assert len(e["eps"]) == 25 and len(e["xi"]["joints"]) == 16
        assert e["status"] != "scored" or 0.0 <= e["reward"] <= 1.0
    assert (folder / "session.yaml").exists() and len(list((folder / "pictures").glob("*.jpg"))) >= 2 * result.scored
    assert {"observing", "predicting", "sampling", "executing", "awaiting_reward"} <= set(summary["totals"]["seconds_by_phase"])


def test_an_outside_process_receives_the_topics_of_a_real_camera(session):
    seen = session[3]
    colour, depth = seen["/camera/camera/color/image_raw"], seen["/camera/camera/aligned_depth_to_color/image_raw"]
    assert (colour["encoding"], colour["width"], colour["height"], colour["step"]) == ("rgb8", 640, 480, 1920)
    assert (depth["encoding"], depth["step"], depth["frame"]) == ("16UC1", 1280, "camera_color_optical_frame")
    # Large best-effort images lose fragments between processes on a busy machine; those that arrive must be right.
    assert colour["count"] >= 1 and depth["count"] >= 1 and 30 < colour["mean"] < 225
    assert seen["/joint_states"]["count"] > 50 and seen["/camera/camera/color/camera_info"]["count"] >= 1 and seen["/clock"]


def test_the_same_seed_gives_the_same_samples(session, scripted, tmp_path):
    folder, *_ = session
    status, _ = scripted.result(scripted.send(tmp_path / "again", episodes=2))
    assert status == SUCCEEDED
    first, second = (json.loads((f / "summary.json").read_text())["episodes"] for f in (folder, tmp_path / "again"))
    for a, b in zip(first, second, strict=False):
        assert a["eps"] == b["eps"]


def test_a_second_goal_is_rejected_and_the_first_goes_on(scripted, tmp_path):
    first = scripted.send(tmp_path / "first", episodes=1)
    second = scripted.send(tmp_path / "second", episodes=1)
    assert first.accepted and not second.accepted and not (tmp_path / "second").exists()
    assert scripted.result(first)[0] == SUCCEEDED


@pytest.mark.parametrize(("changes", "code"), [({"task": "pick_cop"}, 601), ({"object_set": "trian"}, 601),
                                               ({"session_dir": "/proc/nowhere"}, 601)])
def test_bad_goals_end_with_a_code_and_a_reason(scripted, tmp_path, changes, code):
    status, result = scripted.result(scripted.send(tmp_path, **changes))
    assert status == ABORTED and result.error_code == code and len(result.error_msg) > 20


def test_a_session_of_another_seed_is_not_continued(session, scripted):
    status, result = scripted.result(scripted.send(session[0], seed=1))
    assert status == ABORTED and result.error_code == 602 and "seed" in result.error_msg


@pytest.mark.parametrize("phase", ["parking", "observing", "predicting", "sampling", "executing", "grasp", "release",
                                   "awaiting_reward"])
def test_cancel_in_each_phase_and_go_on(scripted, tmp_path, phase):
    """Cancelled, not failed; the robot stands still; the same folder goes on to the end."""
    scripted.statuses.clear()
    handle = scripted.send(tmp_path, episodes=2)
    wait_for(lambda: any(phase in (s.state, s.message) and s.session_dir == str(tmp_path) for s in scripted.statuses), 60,
             phase)
    handle.cancel_goal_async()
    status, result = scripted.result(handle, 30)
    assert status == CANCELED or (status == SUCCEEDED and phase == "awaiting_reward"), result.error_msg
    sim = scripted.graph.nodes["deft_sim"]
    wait_for(lambda: sim.ask(lambda w: w.idle), 20, "the robot to stand still")
    status, result = scripted.result(scripted.send(tmp_path, episodes=2))
    assert status == SUCCEEDED and result.scored == 2


def test_a_silent_camera_is_waited_for(scripted, tmp_path):
    def camera(on: bool) -> None:
        answer = scripted.call(SetParameters, "/deft_sim/set_parameters", fault_request("" if on else "camera_silent"))
        assert answer.results[0].successful

    scripted.statuses.clear()
    camera(False)
    handle = scripted.send(tmp_path, episodes=1)
    try:
        wait_for(lambda: scripted.state() == "waiting_camera", 30, "the message about the camera")
        message = scripted.statuses[-1].message
        assert "waiting for the camera" in message and "/camera/camera/color/image_raw" in message
        time.sleep(1.0)
        assert scripted.state() in ("waiting_camera", "observing"), "it keeps waiting"
    finally:
        camera(True)
    assert scripted.result(handle)[0] == SUCCEEDED


def test_stop_in_the_middle_of_a_grasp_latches(scripted, tmp_path):
    handle = scripted.send(tmp_path, episodes=1)
    wait_for(lambda: any(s.message == "grasp" for s in scripted.statuses[-3:]), 60, "the grasp")
    answer = scripted.call(Stop, names.STOP, Stop.Request(reason="test"))
    assert answer.stopped
    status, result = scripted.result(handle)
    assert status == ABORTED and "stopped" in result.error_msg
    sim = scripted.graph.nodes["deft_sim"]
    wait_for(lambda: sim.ask(lambda w: w.idle), 20)
    before = sim.ask(lambda w: w.joint_state()[0])
    status, result = scripted.result(scripted.send(tmp_path, episodes=1))
    assert status == ABORTED and abs(sim.ask(lambda w: w.joint_state()[0]) - before).max() < 1e-3, "nothing moves"
    assert scripted.call(Rearm, names.REARM, Rearm.Request()).armed
    status, result = scripted.result(scripted.send(tmp_path, episodes=1))
    assert status == SUCCEEDED and result.scored == 1


def test_services_refuse_bad_input_with_their_codes(scripted):
    seen = scripted.call(Observe, names.OBSERVE, Observe.Request(task="pick_cup", prompt_point=[1.0, 2.0, 3.0]))
    assert seen.error_code == Observe.Request.BAD_INPUT
    prior = scripted.call(PredictAffordance, names.PREDICT_AFFORDANCE, PredictAffordance.Request())
    assert prior.error_code == PredictAffordance.Request.BAD_OBSERVATION
    request = RetargetHand.Request()
    request.affordance.mano_joint_angles[0] = float("nan")
    hand = scripted.call(RetargetHand, names.RETARGET_HAND, request)
    assert hand.error_code == RetargetHand.Request.BAD_INPUT
