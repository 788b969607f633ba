"""What goes to a hand's driver is within limits and speed, in its order, signs and zeros; what comes back is ours again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CONFIG

from deft_core.config import find, load
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError
from deft_core.hardware import HandInterface
from deft_drivers.hand_adapter import DriverProblem, HandAdapter

HANDS = {name: load(HandConfig, find(CONFIG, "hands", name)) for name in ("leap_right", "allegro_right")}
DASH = load(HandConfig, find(CONFIG, "hands", "dash_right"))


def numbers(hand: HandConfig):
    return st.lists(st.floats(-10, 10), min_size=len(hand.joint_names), max_size=len(hand.joint_names)).map(np.array)


def sent(adapter: HandAdapter, hand: HandConfig, goal, seconds: float = 5.0, rate: float = 50.0) -> list[np.ndarray]:
    adapter.accept(hand.joint_names, np.array([0.02]), np.array([goal]), 0.0, 100.0)
    return [adapter.command(100.0 + k / rate, None) for k in range(int(seconds * rate))]


@pytest.mark.parametrize("name", HANDS)
@given(data=st.data())
def test_what_is_sent_comes_back_as_the_same_angles(name, data):
    hand = HANDS[name]
    adapter = HandAdapter(hand)
    wanted = hand.followed(data.draw(numbers(hand)))
    np.testing.assert_allclose(adapter.measured((), sent(adapter, hand, wanted, 0.1)[-1]), wanted, atol=1e-9)


@pytest.mark.parametrize("name", HANDS)
@given(data=st.data())
def test_no_number_leaves_the_limits_or_the_speed(name, data):
    hand = HANDS[name]
    adapter = HandAdapter(hand)
    start = sent(adapter, hand, data.draw(numbers(hand)), 0.1)
    angles = np.array([adapter.measured((), n) for n in [*start, *sent(adapter, hand, data.draw(numbers(hand)), 1.0)]])
    assert (angles >= np.array(hand.lower) - 1e-9).all() and (angles <= np.array(hand.upper) + 1e-9).all()
    assert (np.abs(np.diff(angles, axis=0)) <= hand.velocity_limit * 0.1 + 1e-9).all()


def test_leap_is_open_at_pi_and_allegro_begins_with_its_thumb():
    leap, allegro = HANDS["leap_right"], HANDS["allegro_right"]
    assert sent(HandAdapter(leap), leap, np.zeros(16), 0.1)[-1] == pytest.approx(np.full(16, 3.14159))
    goal = np.array(allegro.open_pose)
    first = sent(HandAdapter(allegro), allegro, goal, 0.1)[-1]
    np.testing.assert_allclose(first[:4], goal[12:])
    np.testing.assert_allclose(first[4:], goal[:12])


def test_a_measured_start_is_left_at_the_hand_s_speed():
    hand = HANDS["leap_right"]
    adapter = HandAdapter(hand)
    adapter.accept(hand.joint_names, np.array([0.02]), np.array([hand.upper]), 0.0, 100.0)
    adapter.command(100.0, np.zeros(16))
    moved = adapter.measured((), adapter.command(100.01, np.zeros(16)))
    assert 0 < np.abs(moved).max() <= hand.velocity_limit * 0.11 + 1e-9


@pytest.mark.parametrize(("names", "times", "positions", "start", "words"), [
    (15, [0.1], 15, 0.0, "are not those of hand"), (16, [], 16, 0.0, "0 times"), (16, [0.1, 0.1], 16, 0.0, "do not increase"),
    (16, [0.1], "nan", 0.0, "not finite"), (16, [0.1], 16, 50.0, "ended 49.9 s ago"), (16, [-0.1], 16, 0.0, "do not increase")])
def test_a_trajectory_that_cannot_be_followed_is_refused_and_nothing_is_sent(names, times, positions, start, words):
    hand = HANDS["leap_right"]
    adapter = HandAdapter(hand)
    rows = np.full((len(times), 16), np.nan) if positions == "nan" else np.zeros((len(times), positions))
    with pytest.raises(DriverProblem, match=words):
        adapter.accept(hand.joint_names[:names], np.array(times), rows, start, 100.0)
    assert adapter.command(100.0, None) is None


def test_states_are_mapped_by_name_and_wrong_ones_refused():
    hand = HANDS["allegro_right"]
    adapter = HandAdapter(hand)
    names, values = list(adapter.driver_names), np.arange(16) / 100
    straight = adapter.measured(names, values)
    mixed = np.random.default_rng(0).permutation(16)
    np.testing.assert_array_equal(adapter.measured([names[k] for k in mixed], values[mixed]), straight)
    np.testing.assert_array_equal(adapter.measured(["joint1", *names], [9.0, *values]), straight)
    assert straight[12] == 0.0 and straight[0] == 0.04
    assert adapter.is_of_hand(names) and not adapter.is_of_hand(["joint1", "joint2"])
    for wrong_names, wrong, words in ((names[:-1], values[:-1], "no joint 'ah_joint33'"), ((), values[:-1], "sent 15 numbers"),
                                      (names, values * np.nan, "not finite"), (names, values[:-1], "16 names and 15 numbers")):
        with pytest.raises(DriverProblem, match=words):
            adapter.measured(wrong_names, wrong)


def test_an_overload_is_one_that_lasts():
    hand = HANDS["leap_right"]
    interface = hand.interface.model_dump() | {"overload": {"effort": 1.0, "seconds": 0.5, "then": "open"}}
    adapter = HandAdapter(hand.model_copy(update={"interface": HandInterface(**interface)}))
    assert not adapter.overload((), [], 0.0) and not adapter.overload((), [0.5] * 16, 0.0)
    assert not adapter.overload((), [0.5] * 15 + [-1.5], 1.0)
    assert not adapter.overload((), [0.5] * 15 + [-1.5], 1.4)
    assert "joint 15 has pushed with 1.50" in adapter.overload((), [0.5] * 15 + [-1.5], 1.6)
    assert not adapter.overload((), [0.5] * 16, 1.7)
    assert not adapter.overload((), [1.5] * 16, 1.8)  # counted anew
    allegro = HandAdapter(HANDS["allegro_right"].model_copy(update={"interface": HandInterface(
        **HANDS["allegro_right"].interface.model_dump() | {"overload": {"effort": 1.0, "seconds": 0.1}})}))
    names = ["joint1", *allegro.driver_names]
    for when in (0.0, 1.0):
        assert not allegro.overload(names, [40.0, *[0.5] * 16], when)  # the arm's effort is not the hand's
    for when in (2.0, 3.0):
        said = allegro.overload(names, [40.0, float("nan"), 2.0, *[0.5] * 14], when)
    assert "ah_joint01 has pushed with 2.00" in said


def test_an_overloaded_hand_that_holds_holds_where_it_is_and_a_lost_one_forgets():
    hand = HANDS["leap_right"]
    adapter = HandAdapter(hand)
    squeezed, blocked = np.array(hand.upper) - 0.1, np.array(hand.upper) - 0.5
    sent(adapter, hand, squeezed)
    adapter.hold(105.0, blocked)
    for k in range(100):
        numbers = adapter.command(105.0 + k * 0.02, blocked)
    np.testing.assert_allclose(adapter.measured((), numbers), blocked, atol=1e-6)
    adapter.forget()
    assert adapter.command(108.0, blocked) is None
    adapter.accept(hand.joint_names, np.array([0.02]), np.array([squeezed]), 0.0, 108.0)
    np.testing.assert_allclose(adapter.measured((), adapter.command(108.0, np.zeros(16))), 0, atol=1e-9)  # where it is now


def test_a_hand_without_an_interface_and_a_wrong_one_are_refused():
    with pytest.raises(ConfigError, match="needs no hand_node"):
        HandAdapter(DASH)
    given_hand = HANDS["leap_right"].model_dump()
    for change, words in (({"offset": (1.0, 2.0)}, "offset has 2 numbers"), ({"order": ("0", "1")}, "does not hold exactly"),
                          ({"scale": (0.0,)}, "lose the joint"), ({"driver_names": ("a",)}, "driver_names has 1")):
        with pytest.raises(ValueError, match=words):
            HandConfig(**(given_hand | {"interface": given_hand["interface"] | change}))
