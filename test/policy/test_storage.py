"""Policies on disk: whole, the same, or refused; and answers that must not reach the robot."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy.sessions import SPACE, dependent, noise, xi

from deft_core.errors import DeftError
from deft_core.types import GraspParameters
from deft_policy import codes
from deft_policy.config import Encoder, PolicyConfig, PolicyKind
from deft_policy.fitting import fit_policy
from deft_policy.storage import restore, store

GRASP = xi(np.random.default_rng(4))


def fitted(kind=PolicyKind.cvae, recorded=None):
    return fit_policy(recorded or dependent(), PolicyConfig(kind=kind, encoder=Encoder.none, steps=20), 0)


@pytest.mark.parametrize("kind", list(PolicyKind), ids=lambda k: k.value)
def test_a_policy_answers_the_same_after_it_was_stored(kind, tmp_path):
    policy = fitted(kind)
    path = store(policy, tmp_path)
    again = restore(path)
    assert np.array_equal(again.residual(None, GRASP, 3), policy.residual(None, GRASP, 3))
    assert again.config == policy.config and again.provenance.elites == policy.provenance.elites
    assert np.array_equal(restore(tmp_path).residual(None, GRASP, 3), policy.residual(None, GRASP, 3)), "from its folder, too"


def test_another_fit_takes_the_place_of_the_first_one(tmp_path):
    store(fitted(), tmp_path)
    path = store(fitted(PolicyKind.mlp), tmp_path)
    assert restore(path).kind is PolicyKind.mlp and len(list(tmp_path.iterdir())) == 2


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policy")
    store(fitted(), folder)
    return folder, next(folder.glob("*.safetensors"))


def test_weights_truncated_anywhere_are_refused(stored, tmp_path):
    folder, weights = stored
    data = weights.read_bytes()
    (tmp_path / "policy.yaml").write_bytes((folder / "policy.yaml").read_bytes())
    for at in [*range(0, 200), *range(200, len(data), 997), len(data) - 1]:
        (tmp_path / weights.name).write_bytes(data[:at])
        with pytest.raises(DeftError, match="damaged or replaced") as refusal:
            restore(tmp_path)
        assert refusal.value.code == codes.NO_POLICY


@given(st.data())
def test_altered_weights_are_refused(stored, tmp_path_factory, data):
    folder, weights = stored
    content = bytearray(weights.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    here = tmp_path_factory.mktemp("altered")
    (here / "policy.yaml").write_bytes((folder / "policy.yaml").read_bytes())
    (here / weights.name).write_bytes(content)
    with pytest.raises(DeftError, match="fit the policy again"):
        restore(here)


@pytest.mark.parametrize(("change", "says"), [
    (lambda t: "", "needs keys"), (lambda t: t.replace("kind: cvae", "knd: cvae"), "did you mean 'kind'"),
    (lambda t: t.replace("schema_version: 1", "schema_version: 9"), "later DEFT"),
    (lambda t: t.replace("- contact_x", "- contact_q", 1), "no residual's"),
    (lambda t: t[:len(t) // 2], "policy.yaml")])
def test_a_description_that_was_edited_wrongly_is_refused(stored, tmp_path, change, says):
    folder, weights = stored
    (tmp_path / weights.name).write_bytes(weights.read_bytes())
    (tmp_path / "policy.yaml").write_text(change((folder / "policy.yaml").read_text()))
    with pytest.raises(DeftError, match=says) as refusal:
        restore(tmp_path)
    assert refusal.value.code == codes.NO_POLICY


def test_where_there_is_none_the_command_that_makes_one_is_named(tmp_path):
    with pytest.raises(DeftError, match="deft fit"):
        restore(tmp_path / "policy.yaml")


@given(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 21))
def test_no_answer_that_is_not_finite_or_out_of_bounds_gets_out(value, place):
    """Whatever stands in the weights: the answer is within the bounds, or it is refused and says so."""
    policy = fitted(PolicyKind.elite_mean, noise())
    mean = policy.scale.mean.copy()
    mean[place] = value
    broken = dataclasses.replace(policy, scale=dataclasses.replace(policy.scale, mean=mean))
    try:
        eps = broken.residual(None, GRASP, 0)
    except DeftError as error:
        assert error.code == codes.REFUSED and "the prior is executed alone" in error.message
        return
    assert np.isfinite(eps).all() and np.all(np.abs(eps) <= SPACE.bound * (1 + 1e-6))


def test_a_grasp_of_another_hand_is_refused():
    with pytest.raises(DeftError) as refusal:
        fitted().residual(None, GraspParameters(np.zeros(3), np.zeros(3), ("x",), np.zeros(1), "other"), 0)
    assert refusal.value.code == codes.BAD_INPUT
