"""Interfaces: every field says what it is, and the cores' error codes are the interfaces' own."""

from __future__ import annotations

from pathlib import Path

import pytest
from deft_msgs.action import Evaluate, FineTune, FitPolicy, Rollout
from deft_msgs.msg import Episode, ObjectObservation
from deft_msgs.srv import (
    AmendReward,
    AnswerProposal,
    CheckGrasp,
    ControlSession,
    Observe,
    PredictAffordance,
    PredictResidual,
    RetargetHand,
    SubmitReward,
)

import deft_affordance.codes
import deft_bag.codes
import deft_cem.codes
import deft_motion.codes
import deft_perception.codes
import deft_policy.codes
import deft_retarget.codes
from deft_perception import observation

INTERFACES = sorted((Path(__file__).resolve().parent.parent.parent / "src" / "deft_msgs").glob("*/*.*"))


@pytest.mark.parametrize("file", INTERFACES, ids=lambda f: f.name)
def test_every_interface_is_explained(file):
    lines = file.read_text().splitlines()
    assert lines[0].startswith("#"), "the first line says what the interface is for"
    lengths = [line for line in lines if line.startswith(("float64 ", "float32 ")) and "=" not in line]
    for line in lengths:
        assert "#" in line, f"{file.name}: say unit or range of: {line}"


def test_design_interfaces_exist():
    names = {f.stem for f in INTERFACES}
    assert {"ObjectObservation", "Affordance", "GraspParameters", "Residual", "Episode", "RewardRequest", "SessionStatus",
            "Observe", "PredictAffordance", "RetargetHand", "CheckGrasp", "SubmitReward", "AmendReward", "PredictResidual",
            "Stop", "Rearm", "FineTune", "ExecuteGrasp", "FitPolicy", "Rollout"} <= names


@pytest.mark.parametrize(("module", "interface"), [
    (deft_perception.codes, Observe.Request), (deft_affordance.codes, PredictAffordance.Request),
    (deft_retarget.codes, RetargetHand.Request), (deft_motion.codes, CheckGrasp.Request)])
def test_codes_match(module, interface):
    own = {name: value for name, value in vars(module).items() if name.isupper()}
    assert own == {name: getattr(interface, name) for name in own}


def test_cem_codes_match():
    codes = deft_cem.codes
    for name in ("NOTHING_PENDING", "WRONG_SESSION", "WRONG_EPISODE", "BAD_REWARD", "ALREADY_ANSWERED", "NOT_SAVED",
                 "BAD_COMPARISON"):
        assert getattr(codes, name) == getattr(SubmitReward.Request, name)
    for name in ("BAD_GOAL", "SESSION_MISMATCH", "JOURNAL_FAILED", "PIPELINE_FAILED", "BUSY"):
        assert getattr(codes, name) == getattr(FineTune.Goal, name) == getattr(Evaluate.Goal, name) - 100
    amend, control = AmendReward.Request, ControlSession.Request
    assert (codes.NO_SUCH_EPISODE, codes.BAD_AMENDMENT, codes.AMENDMENT_NOT_SAVED) == (
        amend.NO_SUCH_EPISODE, amend.BAD_REWARD, amend.NOT_SAVED)
    assert (codes.NO_SESSION, codes.NOT_NOW, codes.BAD_COMMAND, codes.CONTROL_NOT_SAVED) == (
        control.NO_SESSION, control.NOT_NOW, control.BAD_COMMAND, control.NOT_SAVED)
    approve = AnswerProposal.Request
    assert (codes.NOTHING_PROPOSED, codes.WRONG_PROPOSAL, codes.BAD_DECISION, codes.APPROVAL_NOT_SAVED) == (
        approve.NOTHING_PROPOSED, approve.WRONG_PROPOSAL, approve.BAD_ANSWER, approve.NOT_SAVED)
    assert codes.NO_RESIDUAL + 100 == Evaluate.Goal.NO_RESIDUAL
    observe = Observe.Request
    assert codes.CAMERA_PROBLEMS == (observe.CAMERA_STALE, observe.CAMERA_FROZEN, observe.CLOCK_JUMP)
    assert codes.SCENE_PROBLEMS == (observe.NO_TABLE, observe.NO_OBJECT, observe.NO_DEPTH, observe.AMBIGUOUS)


def test_policy_and_bag_codes_match():
    codes, fit, ask, roll = deft_policy.codes, FitPolicy.Goal, PredictResidual.Request, Rollout.Goal
    assert (codes.BAD_GOAL, codes.TOO_FEW, codes.NOT_FINITE, deft_bag.codes.BAD_BAG) == (
        fit.BAD_GOAL, fit.TOO_FEW, fit.NOT_FINITE, fit.BAD_BAG)
    assert (codes.NO_POLICY, codes.BAD_INPUT, codes.REFUSED) == (ask.NO_POLICY, ask.BAD_INPUT, ask.NOT_FINITE)
    cem = deft_cem.codes
    assert (cem.NO_POLICY, cem.BAD_POLICY_INPUT, cem.POLICY_REFUSED) == (ask.NO_POLICY, ask.BAD_INPUT, ask.NOT_FINITE)
    assert (codes.ROLLOUT_BAD_GOAL, codes.ROLLOUT_INFEASIBLE, codes.ROLLOUT_FAILED, codes.ROLLOUT_BUSY) == (
        roll.BAD_GOAL, roll.INFEASIBLE, roll.PIPELINE_FAILED, roll.BUSY)


def test_quality_bits_and_success_values_match():
    assert (observation.LOW_DEPTH, observation.MASK_AT_BORDER, observation.SEVERAL_OBJECTS, observation.TABLE_UNCERTAIN,
            observation.UNLIKELY) == (
        ObjectObservation.QUALITY_LOW_DEPTH, ObjectObservation.QUALITY_MASK_AT_BORDER,
        ObjectObservation.QUALITY_SEVERAL_OBJECTS, ObjectObservation.QUALITY_TABLE_UNCERTAIN,
        ObjectObservation.QUALITY_UNLIKELY)
    assert (Episode.SUCCESS_UNKNOWN, Episode.SUCCESS_NO, Episode.SUCCESS_YES) == (
        SubmitReward.Request.SUCCESS_UNKNOWN, SubmitReward.Request.SUCCESS_NO, SubmitReward.Request.SUCCESS_YES)
