"""Grasp planning and execution on the simulated robot, without ROS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deft_bench.sim_robot import SimRobot
from deft_core.descriptions import Waypoint
from deft_core.errors import DeftError
from deft_motion import codes
from deft_motion.executor import Cancelled
from deft_motion.kinematics import ArmHandModel


@pytest.fixture
def rig(robot, hand, task) -> SimRobot:
    return SimRobot(robot, hand, task, seed=0, prior="heuristic")  # motion is tested here, not the prior


def side_grasp(rig, xi):
    """The grasp that a person would set by hand: at the cup's axis, 6.5 cm up (simulator's truth, for the test only)."""
    axis = rig.world.history.moments[0].position()
    return replace(xi, contact=np.array([axis[0], axis[1], 0.065]))


def test_a_hand_set_grasp_lifts_the_cup(rig):
    seen, xi = rig.look()
    done, verdict = rig.execute(seen, side_grasp(rig, xi))
    assert verdict.success and verdict.score > 0.9 and done.stop_reason == ""
    assert [p[0] for p in done.phases] == ["move", "approach", "close", "squeeze", "trajectory", "hold", "place", "release",
                                           "retreat", "park"]
    assert all(a < b for _, a, b in done.phases)
    q, _ = rig.world.joint_state()
    assert np.allclose(q[:7], rig.robot.park, atol=0.02), "parked"


def test_hand_set_grasps_succeed_on_most_positions(rig):
    """The prototype's regression threshold is 0.9 over 20 positions; five here, all or all but one."""
    wins = 0
    for episode in range(1, 6):
        rig.world.reset("train", episode)
        seen, xi = rig.look()
        try:
            wins += rig.execute(seen, side_grasp(rig, xi))[1].success
        except DeftError as error:
            assert error.code in (codes.UNREACHABLE, codes.COLLISION)
    assert wins >= 4


def test_a_low_grasp_is_raised_clear_of_the_table(rig):
    seen, xi = rig.look()
    low = replace(xi, contact=np.array([0.5, 0.0, 0.02]))
    plan = rig.planner.plan(rig.goal(seen, low))
    assert plan.lift > 0.02 and plan.executed.contact[2] == pytest.approx(0.02 + plan.lift)
    assert np.array_equal(plan.executed.contact[:2], low.contact[:2])


def test_a_trajectory_that_leads_into_the_table_is_raised_there(rig):
    """Shown with another hand, it goes down by 8 cm: this hand stays above the table and follows the rest as shown."""
    seen, xi = rig.look()
    model = ArmHandModel(rig.robot, rig.hand)
    keys = [(0.0, 0.0), (1.0, 0.05), (2.0, -0.08), (3.0, 0.10)]
    task = rig.task.model_copy(update={"trajectory": tuple(Waypoint(t=t, xyz=(0.0, 0.0, z)) for t, z in keys)})
    plan = rig.planner.plan(replace(rig.goal(seen, side_grasp(rig, xi)), task=task))
    start, end = next((a, b) for name, a, b in plan.phases if name == "trajectory")
    rise = np.array([model.grasp_pose(plan.arm.at(t)).position[2] for t in (start, end)])
    assert rise[1] - rise[0] == pytest.approx(0.10, abs=2e-3), "where nothing is in the way, as shown"
    lowest = min(model.clearance(plan.arm.at(t), plan.hand.at(t)) for t in np.linspace(start, end, 60))
    assert 0.004 < lowest < 0.02


def test_plans_leave_no_phase_out_and_hand_keeps_its_limits(rig):
    seen, xi = rig.look()
    plan = rig.planner.plan(rig.goal(seen, side_grasp(rig, xi)))
    assert plan.arm.duration == pytest.approx(plan.hand.duration) == pytest.approx(plan.phases[-1][2])
    assert np.all(plan.hand.positions >= np.array(rig.hand.lower) - 1e-9)
    assert np.all(plan.hand.positions <= np.array(rig.hand.upper) + 1e-9)


@pytest.mark.parametrize(("change", "code"), [
    ({"contact": np.array([np.nan, 0.0, 0.1])}, codes.BAD_INPUT), ({"frame": "camera"}, codes.BAD_INPUT),
    ({"joint_names": tuple("abcdefghijklmnop")}, codes.BAD_INPUT),
    ({"contact": np.array([3.0, 0.0, 0.1])}, codes.OUT_OF_WORKSPACE),
    ({"contact": np.array([0.8, 0.55, 0.85])}, codes.UNREACHABLE)])
def test_typed_refusals(rig, change, code):
    seen, xi = rig.look()
    with pytest.raises(DeftError) as caught:
        rig.planner.plan(rig.goal(seen, replace(xi, **change)))
    assert caught.value.code == code and len(caught.value.message) > 15


def test_cancel_holds_where_the_robot_is(rig):
    seen, xi = rig.look()
    calls = []
    with pytest.raises(Cancelled):
        rig.executor.execute(rig.goal(seen, side_grasp(rig, xi)), 0, lambda *_: None,
                             lambda: bool(calls.append(1)) or len(calls) > 40)
    before, _ = rig.world.joint_state()
    while not rig.world.asleep:
        rig.world.tick()
    after, velocity = rig.world.joint_state()
    assert np.abs(after[:7] - before[:7]).max() < 0.05 and np.abs(velocity[:7]).max() < 0.02
    rig.executor.park(0, lambda: False)
    assert np.allclose(rig.world.joint_state()[0][:7], rig.robot.park, atol=0.02)


@pytest.mark.parametrize("where", ["at the hand", "at the park pose"])
def test_what_was_seen_is_forgotten_where_it_bars_the_way_home(rig, where):
    seen, xi = rig.look()
    phase = [""]
    with pytest.raises(Cancelled):
        rig.executor.execute(rig.goal(seen, side_grasp(rig, xi)), 0, lambda name, _: phase.append(name),
                             lambda: phase[-1] == "grasp")
    model = rig.planner._model
    arm = rig.world.joint_state()[0][:7] if where == "at the hand" else np.array(rig.robot.park)
    model.set_surroundings(model.grasp_pose(arm).position[None])
    rig.executor.park(0, lambda: False)
    assert np.allclose(rig.world.joint_state()[0][:7], rig.robot.park, atol=0.02) and not model.knows_surroundings


def test_a_collision_is_noticed_and_backed_out_of(rig):
    """The approach is driven into an obstacle that nobody saw: stop, open, back out, park, and say so."""
    seen, xi = rig.look()
    grasp = side_grasp(rig, xi)
    original = rig.world.robot_contact_force
    blow = {"left": 2}

    def push() -> float:
        approaching = rig.world.clock > rig.world.arm.start + 0.3 and np.isfinite(rig.world.arm.start)
        if approaching and rig.executor_phase == "grasp" and blow["left"]:
            blow["left"] -= 1
            return 500.0
        return original()

    rig.executor_phase = ""
    rig.world.robot_contact_force = push
    done = rig.executor.execute(rig.goal(seen, grasp), 0, lambda phase, _: setattr(rig, "executor_phase", phase), lambda: False)
    rig.world.robot_contact_force = original
    assert done.stop_reason == "collision" and rig.world.history.collision
    assert np.allclose(rig.world.joint_state()[0][:7], rig.robot.park, atol=0.02)
    assert "hold" not in [p[0] for p in done.phases]


@pytest.mark.parametrize("blows", [1, 9])
def test_what_hits_the_arm_on_its_way_home_is_backed_away_from(rig, blows):
    """The grasp is over and is reported; only a way home that stays barred is an error."""
    seen, xi = rig.look()
    original, left = rig.world.robot_contact_force, {"blows": 2 * blows}

    def push() -> float:
        """As if something stood in the way once the arm is under way to its park pose."""
        if rig.phase != "park" or rig.world.clock < rig.world.arm.start + 0.3 or not left["blows"]:
            return original()
        left["blows"] -= 1
        return 500.0

    rig.phase = ""
    rig.world.robot_contact_force = push
    try:
        def execute():
            return rig.executor.execute(rig.goal(seen, side_grasp(rig, xi)), 0, lambda phase, _: setattr(rig, "phase", phase),
                                        lambda: False)
        if blows == 1:
            assert [name for name, *_ in execute().phases][-3:] == ["park", "retreat", "park"]
            assert np.allclose(rig.world.joint_state()[0][:7], rig.robot.park, atol=0.02)
        else:
            with pytest.raises(DeftError, match="clear it by hand"):
                execute()
    finally:
        rig.world.robot_contact_force = original


def test_same_commands_same_physics(robot, hand, task):
    """Two worlds, the same episode: the same verdict to the last digit."""
    results = []
    for idle_ticks in (0, 17):
        rig = SimRobot(robot, hand, task, seed=3)
        for _ in range(idle_ticks):
            rig.world.tick()  # a sleeping world does not change
        seen, xi = rig.look()
        done, verdict = rig.execute(seen, xi)
        results.append((verdict.score, done.lift, rig.world.joint_state()[0].tobytes()))
    assert results[0][:2] == results[1][:2] and results[0][2] == results[1][2]


def test_a_varied_trajectory_begins_where_it_did_and_is_soon_elsewhere(rig):
    """The palm is shifted from a fifth of the trajectory on, and the grasp itself stays."""
    seen, xi = rig.look()
    offset = np.array([-0.02, 0.02, 0.0])
    palms = []
    for shifted in (np.zeros(3), offset):
        plan = rig.planner.plan(rig.goal(seen, replace(side_grasp(rig, xi), trajectory_offset=shifted)))
        start, end = next((a, b) for name, a, b in plan.phases if name == "trajectory")
        model = ArmHandModel(rig.robot, rig.hand)
        palms.append([model.palm_position(plan.arm.at(t)) for t in (start, start + 0.5 * (end - start), end)])
    assert np.allclose(palms[0][0], palms[1][0], atol=2e-3) and np.allclose(palms[1][2] - palms[0][2], offset, atol=4e-3)
    # half-way up, where the motions are timed a little otherwise, the heights are not to be compared
    assert np.allclose((palms[1][1] - palms[0][1])[:2], offset[:2], atol=4e-3)
