"""Closing until it touches: the rule by itself, and on the simulated robot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retarget_hands import HANDS, load_hand

from deft_bench.sim_robot import SimRobot
from deft_core.config import parse
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError, DeftError
from deft_core.hardware import Touch
from deft_motion import codes
from deft_motion.closing import SLACK, UntilTouch


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(HANDS), st.integers(0, 10**6))
def test_every_joint_closes_until_it_is_held_up_or_at_its_end(name, seed):
    hand = load_hand(name)
    rng, touch = np.random.default_rng(seed), Touch()
    lower, upper, closes = np.array(hand.lower), np.array(hand.upper), np.array(hand.squeeze) > 0
    grasp = hand.followed(rng.uniform(lower, upper))
    source, ratio = hand.coupling()
    walls = grasp + rng.uniform(0.0, 1.5, len(grasp))  # where something is in the joint's way
    barred = np.full(len(hand.motors), np.inf)
    np.minimum.at(barred, source, walls / ratio)
    wall = ratio * barred[source]  # a motor stops where the first of its joints does
    closing, measured = UntilTouch(hand, touch, grasp), np.minimum(grasp, wall)
    for _ in range(100):
        assert np.all(np.abs(closing.start(measured) - measured) <= SLACK + 1e-9)
        if (command := closing.further(measured)) is None:
            break
        assert np.all(command >= lower - 1e-9) and np.all(command <= upper + 1e-9)
        measured = np.minimum(command, wall)
    else:
        pytest.fail("it closed for ever")
    furthest = hand.followed(np.where(closes, grasp + touch.reach, grasp))
    touched = closes & (wall + touch.behind < furthest)
    assert np.allclose(measured[touched], wall[touched]), "held up where something is"
    assert np.all(closing.command[touched] <= wall[touched] + touch.behind + touch.step + 1e-9), "and not pressed further"
    assert np.allclose(closing.command[~closes], grasp[~closes])
    free = closes & (wall > furthest)
    assert np.allclose(closing.command[free], furthest[free])
    wanted = hand.followed(np.where(closes, wall + np.array(hand.squeeze), closing.command))
    assert np.allclose(closing.squeezed(measured)[touched], wanted[touched])


def test_what_holds_up_one_joint_of_a_motor_holds_up_the_motor():
    """Measured apart, one of the two may seem to go on."""
    hand = load_hand("dash_right")
    closing, held = UntilTouch(hand, Touch(), np.array(hand.open_pose)), hand.joint_names.index("index_pip")
    for _ in range(100):
        measured = closing.command.copy()
        measured[held] = min(measured[held], 0.3)
        if closing.further(measured) is None:
            break
    else:
        pytest.fail("it closed for ever")
    assert closing.command[held] < 0.6 and closing.command[hand.joint_names.index("middle_pip")] > 0.6


def test_joints_that_close_the_other_way_do():
    """A hand whose fingers bend by negative angles: the mirror image, joint by joint."""
    hand = load_hand("allegro_right")
    other = hand.model_copy(update={"squeeze": tuple(-q for q in hand.squeeze), "lower": tuple(-q for q in hand.upper),
                                    "upper": tuple(-q for q in hand.lower)})
    grasp, commands = hand.followed(np.array(hand.open_pose)), []
    for described, sign in ((hand, 1.0), (other, -1.0)):
        closing, told = UntilTouch(described, Touch(step=0.1), sign * grasp), []
        while (command := closing.further(closing.command)) is not None:
            told.append(sign * command)
        commands.append(told)
    assert len(commands[0]) >= 10 and np.allclose(commands[0], commands[1])


def test_a_hand_that_is_not_heard_may_not_close_until_it_touches():
    data = load_hand("allegro_right").model_dump(mode="json")
    data["touch"] = {}
    assert parse(HandConfig, data, "hand").touch == Touch()
    data["interface"]["state"] = {"source": "none"}
    with pytest.raises(ConfigError, match="touch needs measured joints"):
        parse(HandConfig, data, "hand")


def open_grasp(rig):
    """Round the cup where a person would take it, with fingers up to 0.8 rad too open to touch it."""
    seen, xi = rig.look()
    axis = rig.world.history.moments[0].position()
    flat = rig.hand.followed(xi.joints - np.where(np.array(rig.hand.squeeze) > 0, 0.8, 0.0))
    return rig.goal(seen, replace(xi, contact=np.array([axis[0], axis[1], 0.065]), joints=flat))


def made(robot, hand, task, touch):
    return SimRobot(robot, hand.model_copy(update={"touch": touch}), task, seed=0, prior="heuristic")


def test_fingers_that_were_too_open_close_until_they_hold_the_cup(robot, hand, task):
    verdicts = {}
    for touch in (None, Touch()):
        rig = made(robot, hand, task, touch)
        done, verdicts[touch] = rig.run(open_grasp(rig))
        names = [name for name, *_ in done.phases]
        assert names[1:6] == ["approach", "close", "squeeze", "trajectory", "hold"] and done.stop_reason == ""
        assert all(a < b for _, a, b in done.phases)
        assert all(b <= after + 1e-6 for (_, _, b), (_, after, _) in zip(done.phases[1:5], done.phases[2:6], strict=True))
    assert verdicts[Touch()].success and not verdicts[None].success


def test_what_must_be_held_gently_is_grasped_as_planned(robot, hand, task):
    ends = []
    for touch, gentle in ((Touch(), True), (None, False)):
        rig = made(robot, hand, task.model_copy(update={"gentle": gentle}), touch)
        rig.run(open_grasp(rig))
        ends.append([moment.palm_position.tolist() for moment in rig.world.history.moments])
    assert ends[0] == ends[1]


def test_the_same_grasp_closes_alike_whenever_it_is_looked_at(robot, hand, task):
    """What the joints are read as does not depend on how long the robot waited before it read them."""
    ends = []
    for idle in (0, 9):
        rig = made(robot, hand, task, Touch())
        state = rig.port.state

        def late(rig=rig, idle=idle, state=state):
            for _ in range(idle if rig.world.asleep else 0):
                rig.world.tick()
            return state()

        rig.port.state = late
        verdict = rig.run(open_grasp(rig))[1]
        ends.append((verdict.score, rig.world.joint_state()[0].tobytes()))
    assert ends[0] == ends[1]


def test_where_the_gate_refuses_the_hand_as_it_touches_it_goes_on_as_planned(robot, hand, task):
    rig = made(robot, hand, task, Touch())
    send, refused = rig.port.send, []

    def strict(arm, hand_path):
        if arm is not None and steps and not refused:
            refused.append(hand_path.positions[-1])
            raise DeftError(codes.GATE_REFUSED, "the hand is too low")
        if arm is None:
            steps.append(hand_path)
        return send(arm, hand_path)

    goal, steps = open_grasp(rig), []
    rig.port.send = strict
    done, _ = rig.run(goal)
    assert refused and "hold" in [name for name, *_ in done.phases]
    assert np.allclose(rig.world.joint_state()[0][:7], rig.robot.park, atol=0.02)


def test_a_collision_after_closing_is_backed_out_of(robot, hand, task):
    rig = made(robot, hand, task, Touch())
    goal, original, blow = open_grasp(rig), rig.world.robot_contact_force, {"left": 2}

    def push() -> float:
        """As the arm leads the object."""
        if steps and rig.world.arm.start + 0.8 < rig.world.clock and blow["left"]:
            blow["left"] -= 1
            return 500.0
        return original()

    steps, send = [], rig.port.send

    def noted(arm, hand_path):
        if arm is None:
            steps.append(hand_path)
        return send(arm, hand_path)

    rig.port.send = noted
    rig.world.robot_contact_force = push
    done, _ = rig.run(goal)
    assert done.stop_reason == "collision" and "squeeze" in [name for name, *_ in done.phases]
    assert np.allclose(rig.world.joint_state()[0][:7], rig.robot.park, atol=0.02)
