"""The gate: nothing non-finite, too fast, out of limits, jumping, stale or stopped gets through."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import ROOT

from deft_core.errors import DeftError
from deft_motion import codes
from deft_motion.gate import RobotState, SafetyGate
from deft_motion.kinematics import ArmHandModel
from deft_motion.paths import JointPath, ramp, still


@pytest.fixture(scope="module")
def gate(robot, hand) -> SafetyGate:
    return SafetyGate(robot, hand, ArmHandModel(robot, hand))


@pytest.fixture
def state(robot, hand) -> RobotState:
    return RobotState(1.0, np.array(robot.park), np.array(hand.open_pose), 0.0)


@pytest.fixture
def arm(robot) -> JointPath:
    goal = np.array(robot.park)
    goal[0] += 0.2
    return ramp(np.array(robot.park), goal, 1.0, 1.0)


def code(call) -> int:
    with pytest.raises(DeftError) as caught:
        call()
    return caught.value.code


def test_a_good_command_passes(gate, state, arm, hand):
    gate.check(arm, still(np.array(hand.open_pose), 1.0), state)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["times", "positions", "velocities"]), st.integers(0, 10**6), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_nothing_non_finite_gets_through(gate, state, arm, field, place, value):
    array = getattr(arm, field).copy()
    array.flat[place % array.size] = value
    assert code(lambda: gate.check(replace(arm, **{field: array}), None, state)) == codes.GATE_REFUSED


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.floats(0.0, 6.0), st.floats(0.05, 3.0))
def test_what_passes_is_within_limits_and_speed(gate, state, robot, seed, size, duration):
    """Whatever random path is offered: it is refused, or it keeps every limit."""
    rng = np.random.default_rng(seed)
    start = np.array(robot.park)
    goal = start + size * rng.standard_normal(7)
    times = np.linspace(0, duration, 12)
    positions = start + (times / duration)[:, None] * (goal - start)
    path = JointPath(times, positions, np.zeros_like(positions))
    try:
        gate.check(path, None, state)
    except DeftError:
        return
    assert np.all(np.abs(goal - start) / duration <= np.array(robot.velocity_limits) * 1.1 + 1e-9)
    model = ArmHandModel(robot, gate._hand)
    assert np.all(positions <= model.upper[:7] + 0.011) and np.all(positions >= model.lower[:7] - 0.011)
    assert min(model.clearance(q, np.array(gate._hand.open_pose)) for q in positions) > -0.003


def test_jumps_are_refused(gate, state, arm, hand):
    off = arm.positions.copy() + 0.2
    assert code(lambda: gate.check(replace(arm, positions=off), None, state)) == codes.GATE_REFUSED
    far = still(np.array(hand.open_pose) + 1.2, 1.0)
    assert code(lambda: gate.check(None, far, state)) == codes.GATE_REFUSED


def test_wrong_shapes_and_times_are_refused(gate, state, arm):
    for bad in (replace(arm, positions=arm.positions[:, :6], velocities=arm.velocities[:, :6]),
                replace(arm, times=arm.times[::-1].copy()), replace(arm, times=np.zeros_like(arm.times)),
                replace(arm, velocities=np.ones_like(arm.velocities) * 0.1)):
        assert code(lambda bad=bad: gate.check(bad, None, state)) == codes.GATE_REFUSED


def test_the_table_and_the_workspace_bound_the_hand(gate, robot, hand):
    model = ArmHandModel(robot, hand)
    start = np.array(robot.ready)
    down = start.copy()
    down[1] += 0.5
    assert model.clearance(down, np.array(hand.open_pose)) < 0
    state = RobotState(1.0, start, np.array(hand.open_pose), 0.0)
    assert code(lambda: gate.check(ramp(start, down, 2.0, 1.0), None, state)) == codes.GATE_REFUSED
    away = start.copy()
    away[0] = np.pi * 0.9
    assert code(lambda: gate.check(ramp(start, away, 8.0, 1.0), None, state)) == codes.OUT_OF_WORKSPACE


def test_no_part_of_the_robot_may_meet_another_but_what_does_may_part(gate, robot, hand):
    start, fingers = np.array(robot.ready), np.array(hand.open_pose)
    folded = start.copy()
    folded[5] += 1.7  # the fingers reach the upper arm, far above the table
    with pytest.raises(DeftError, match="would touch") as caught:
        gate.check(ramp(start, folded, 4.0, 1.0), None, RobotState(1.0, start, fingers, 0.0))
    assert caught.value.code == codes.GATE_REFUSED
    gate.check(ramp(folded, start, 4.0, 1.0), None, RobotState(1.0, folded, fingers, 0.0))
    there_and_back = ramp(folded, start, 4.0, 1.0).then(ramp(start, folded, 4.0, 1.0))
    assert code(lambda: gate.check(there_and_back, None, RobotState(1.0, folded, fingers, 0.0))) == codes.GATE_REFUSED


def test_stale_missing_and_broken_states_are_refused(gate, state, arm):
    assert code(lambda: gate.check(arm, None, None)) == codes.STALE_STATE
    assert code(lambda: gate.check(arm, None, replace(state, age=0.6))) == codes.STALE_STATE
    assert code(lambda: gate.check(arm, None, replace(state, arm=np.full(7, np.nan)))) == codes.STALE_STATE


def test_the_latch_holds_until_rearmed(gate, state, arm):
    gate.stop("button")
    gate.stop("later reason")
    assert code(lambda: gate.check(arm, None, state)) == codes.STOPPED and gate.stopped == "button"
    with pytest.raises(DeftError), gate.armed():
        pytest.fail("entered while stopped")
    assert code(lambda: gate.rearm(replace(state, age=9.0))) == codes.STALE_STATE and gate.stopped
    gate.rearm(state)
    gate.check(arm, None, state)


def test_a_stop_during_a_rearm_stays(gate, state, arm):
    gate.stop("first")
    stops = gate.stops
    gate.stop("somebody pressed it again")
    with pytest.raises(DeftError, match="stopped again while it was rearmed"):
        gate.rearm(state, stops)
    with pytest.raises(DeftError):
        gate.check(arm, None, state)
    gate.rearm(state, gate.stops)
    gate.check(arm, None, state)


def test_only_one_module_publishes_commands():
    """The door is one: robot_port.py, which alone uses commands.py; the simulator and hand_node only subscribe."""
    text = {f.relative_to(ROOT).as_posix(): f.read_text() for f in (ROOT / "src").glob("deft_*/deft_*/**/*.py")}
    publishers = [name for name, code in text.items()
                  if re.search(r"create_publisher\(\s*(JointTrajectory|TrajectoryMsg)", code)
                  or re.search(r"ActionClient\([^)]*FollowJointTrajectory", code)]
    assert publishers == ["src/deft_motion/deft_motion/commands.py"]
    users = [name for name, code in text.items() if "deft_motion.commands" in code]
    assert users == ["src/deft_motion/deft_motion/robot_port.py"]
