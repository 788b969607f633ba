"""Pick a cup: off the table and held to the end of the trial (the paper's test)."""

from __future__ import annotations

import mujoco
import numpy as np

from deft_core.descriptions import HandConfig
from deft_sim.config import SceneConfig
from deft_sim.history import History, Moment, Verdict, in_hand, upright
from deft_sim.objects import CUPS, add_cup

FULL_LIFT = 0.12    # m, counts as lifted all the way
OFF_TABLE = 0.02    # m, clearance under the cup that counts as off the table
MAX_SLIP = 0.05     # m, motion in the hand since closing that still counts as held
NEAR = 0.15         # m, distance at which a miss is worth nothing
JUDGE_WINDOW = 0.1  # s, touches are collected over this long before the end


def object_sets() -> dict[str, int]:
    """How many objects each set has."""
    return {name: len(cups) for name, cups in CUPS.items()}


def add(spec: mujoco.MjSpec, object_set: str, index: int) -> None:
    """Put object `index` of a set into the model, as the free body `object`."""
    add_cup(spec, CUPS[object_set][index])


def place(rng: np.random.Generator, config: SceneConfig) -> tuple[float, float, float]:
    """Where the object is put: x, y (m, base frame) and yaw (rad)."""
    x, y = rng.uniform(config.position_lower, config.position_upper)
    return float(x), float(y), float(rng.uniform(-np.pi, np.pi))


def judge(history: History, phases: dict[str, tuple[float, float]], hand: HandConfig) -> Verdict:
    """Score the grasp as a person who watched it would.

    Args:
        history: what was seen since the scene was reset.
        phases: start and end (s, robot clock) by phase name.

    Returns:
        0.1 for how near the hand closed to the cup, 0.15 for an opposed touch, 0.25 for the highest
        lift, 0.5 for the height at the end of the hold, times how upright, if the cup is held there.
    """
    closed = phases.get("squeeze", phases.get("close"))
    if closed is None:  # never got to closing: how near did it come?
        end = history.at(max((e for _, e in phases.values()), default=np.inf))
        return Verdict(0.1 * _nearness(end, hand), False, "the hand never closed")
    judged_at = phases["hold"][1] if "hold" in phases else closed[1]
    at_closing, at_end = history.at(closed[1]), history.at(judged_at)
    window = history.between(judged_at - JUDGE_WINDOW, judged_at)
    touching = frozenset().union(*(m.touching for m in window)) if window else at_end.touching
    lifted = max((m.bottom for m in history.between(closed[0], judged_at)), default=0.0)
    fingers = touching - {"palm"}
    slip = float(np.linalg.norm(in_hand(at_end) - in_hand(at_closing)))
    held = "hold" in phases and len(touching) >= 2 and bool(fingers) and slip < MAX_SLIP
    opposed = bool(at_closing.touching & {"thumb", "palm"}) and bool(
        at_closing.touching & {"index", "middle", "ring"})
    height = float(np.clip(at_end.bottom / FULL_LIFT, 0.0, 1.0))
    score = (0.1 * _nearness(at_closing, hand) + 0.15 * opposed + 0.25 * float(np.clip(lifted / FULL_LIFT, 0.0, 1.0))
             + 0.5 * height * upright(at_end) * held)
    success = held and at_end.bottom > OFF_TABLE
    note = "held" if success else ("dropped" if lifted > OFF_TABLE else "not lifted")
    return Verdict(float(np.clip(score, 0.0, 1.0)), success, note)


def _nearness(moment: Moment, hand: HandConfig) -> float:
    """1 when the grasp centre is at the cup's axis (at its height), 0 from NEAR on."""
    centre = moment.palm_position + moment.palm_matrix @ np.array(hand.grasp_centre)
    return float(np.clip(1.0 - np.linalg.norm((centre - moment.object_position)[:2]) / NEAR, 0.0, 1.0))
