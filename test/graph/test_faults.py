"""Faults of the robot cell over the real graph: what must happen, and that no fault becomes a reward of 0."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import rclpy.parameter
from deft_msgs.srv import Rearm
from graph_support import ABORTED, SUCCEEDED, Tester, fault_request, graph_with, retries, wait_for
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import Trigger

from deft_cem.journal import peek
from deft_core.ros import names
from deft_core.ros.spun_node import SpunNode

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def cell():
    """The graph with the scripted operator."""
    with graph_with(12) as tester:
        yield tester


def fault(cell: Tester, name: str) -> None:
    answer = cell.call(SetParameters, "/deft_sim/set_parameters", fault_request(name))
    assert answer.results[0].successful, answer.results[0].reason


def test_an_unknown_fault_is_refused(cell):
    answer = cell.call(SetParameters, "/deft_sim/set_parameters", fault_request("camera_slient"))
    assert not answer.results[0].successful and "camera_silent" in answer.results[0].reason


@pytest.mark.parametrize(("name", "words"), [("depth_empty", "table"), ("depth_invalid", "table")])
def test_depth_without_a_valid_pixel_is_a_scene_problem_and_nothing_moves(cell, tmp_path, name, words):
    fault(cell, name)
    cell.statuses.clear()
    handle = cell.send(tmp_path, episodes=1)
    try:
        wait_for(lambda: any(words in s.message for s in cell.statuses), 60, "the operator to be told")
        assert not [r for r in peek(tmp_path / "journal.jsonl") if r.kind == "sampled"]
    finally:
        fault(cell, "")
    status, result = cell.result(handle)
    assert status == SUCCEEDED and result.scored == 1, "it goes on when the camera is well again"


def test_joint_states_in_another_order_with_strange_joints_are_mapped_by_name(cell, tmp_path):
    fault(cell, "joint_states_shuffled")
    try:
        status, result = cell.result(cell.send(tmp_path, episodes=1))
    finally:
        fault(cell, "")
    assert status == SUCCEEDED and result.scored == 1


@pytest.mark.parametrize("name", ["joint_states_silent", "joint_states_incomplete"])
def test_without_complete_joint_states_nothing_moves(cell, tmp_path, name):
    fault(cell, name)
    try:
        status, result = cell.result(cell.send(tmp_path, episodes=2), 120)
    finally:
        fault(cell, "")
    assert status == ABORTED and "joint states" in result.error_msg and result.scored == 0
    assert all("joint states" in reason for reason in retries(tmp_path))
    status, result = cell.result(cell.send(tmp_path, episodes=2))
    assert status == SUCCEEDED and result.scored == 1, "the same folder goes on with the next episode"


def test_controllers_that_do_not_follow_are_noticed_and_never_scored(cell, tmp_path):
    cell.statuses.clear()
    handle = cell.send(tmp_path, episodes=1)
    wait_for(lambda: any(s.state == "predicting" for s in cell.statuses), 60)
    fault(cell, "controller_deaf")
    try:
        wait_for(lambda: retries(tmp_path), 90, "the first attempt to be aborted")
    finally:
        fault(cell, "")
    status, result = cell.result(handle)
    assert status == SUCCEEDED and result.scored == 1
    assert "follow" in retries(tmp_path)[0] or "joint states" in retries(tmp_path)[0]


def test_a_fault_of_the_robot_latches_the_stop_until_it_is_cleared_and_rearmed(cell, tmp_path):
    cell.statuses.clear()
    handle = cell.send(tmp_path, episodes=1)
    wait_for(lambda: any(s.state == "executing" for s in cell.statuses), 60)
    fault(cell, "robot_fault")
    status, result = cell.result(handle)
    assert status == ABORTED and "hard collision" in result.error_msg
    refused = cell.call(Rearm, names.REARM, Rearm.Request())
    assert not refused.armed and "still reports" in refused.message
    fault(cell, "")
    wait_for(lambda: cell.call(Rearm, names.REARM, Rearm.Request()).armed, 10)
    status, result = cell.result(cell.send(tmp_path, episodes=1))
    episodes = json.loads((tmp_path / "summary.json").read_text())["episodes"]
    assert status == SUCCEEDED and [e["status"] for e in episodes] == ["scored"]


def test_a_clock_that_is_set_back_is_survived(cell, tmp_path):
    handle = cell.send(tmp_path, episodes=2)
    wait_for(lambda: [r for r in peek(tmp_path / "journal.jsonl") if r.kind == "finished"]
             if (tmp_path / "journal.jsonl").exists() else [], 60)
    fault(cell, "clock_back")
    status, result = cell.result(handle)
    fault(cell, "")
    assert status == SUCCEEDED and result.scored == 2, (result.error_msg, retries(tmp_path))


def doctor(tmp_path) -> subprocess.CompletedProcess:
    return subprocess.run(["deft", "doctor", "--seconds", "4", "--out", str(tmp_path / "reach.png")], capture_output=True,
                          text=True, timeout=90, check=False, env={**os.environ, "COLUMNS": "200"})


def test_the_doctor_passes_a_healthy_cell_and_names_what_ails_another(cell, tmp_path):
    well = doctor(tmp_path)
    assert well.returncode == 0 and "fail" not in well.stdout, well.stdout + well.stderr
    assert (tmp_path / "reach.png").read_bytes().startswith(b"\x89PNG")
    for name, words in (("joint_states_incomplete", "joints missing: joint_15.0"), ("camera_silent", "no colour pictures"),
                        ("depth_empty", "0% of the pixels")):
        fault(cell, name)
        try:
            ill = doctor(tmp_path)
        finally:
            fault(cell, "")
        assert ill.returncode == 1 and words in ill.stdout, ill.stdout


def deft(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["deft", *words], capture_output=True, text=True, timeout=90, check=False,
                          env={**os.environ, "COLUMNS": "200"})


def test_a_stop_from_the_command_line_holds_until_deft_rearm(cell, tmp_path):
    cell.statuses.clear()
    handle = cell.send(tmp_path, episodes=10)  # a command takes seconds to start, an episode of this cell no longer
    wait_for(lambda: any(s.state == "executing" for s in cell.statuses), 60)
    stopped = deft("stop", "somebody walked in")
    assert stopped.returncode == 0 and "stopped: somebody walked in" in stopped.stdout, stopped.stderr
    status, result = cell.result(handle)
    assert status == ABORTED and "somebody walked in" in result.error_msg
    rearmed = deft("rearm")
    assert rearmed.returncode == 0 and "armed" in rearmed.stdout, rearmed.stderr
    assert cell.result(cell.send(tmp_path, episodes=1))[1].scored == 1


def test_a_rearm_has_the_driver_recover_the_robot_first(cell):
    recovered, works = [], []

    def recover(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        recovered.append(1)
        response.success, response.message = bool(works), "the brake does not open"
        if works:
            cell.graph.nodes["deft_sim"].set_parameters([rclpy.parameter.Parameter("fault", value="")])
        return response

    with SpunNode("driver") as driver:
        driver.create_service(Trigger, names.RECOVER_ROBOT, recover)
        fault(cell, "robot_fault")
        wait_for(lambda: not cell.call(Rearm, names.REARM, Rearm.Request()).armed and recovered, 20)
        assert "could not be recovered: the brake does not open" in deft("rearm").stderr
        works.append(1)
        wait_for(lambda: cell.call(Rearm, names.REARM, Rearm.Request()).armed, 20, "the recovery")
