"""Test time: the policy's residual where it can be executed, the prior alone where not, and said."""

from __future__ import annotations

import numpy as np
import pytest
from policy.sessions import SPACE, xi

from deft_core.errors import DeftError
from deft_policy import codes
from deft_policy.rollout import roll_out

XI = xi(np.random.default_rng(0))
EPS = 0.3 * SPACE.sigma
UNREACHABLE, STOPPED = 401, 406


class Graph:
    """Executes what `refuses` lets through."""

    def __init__(self, refuses=lambda eps: 0):
        self.refuses, self.executed = refuses, None

    def observe(self):
        return "seen"

    def predict(self, seen, seed):
        return None, XI

    def check(self, grasp, seen):
        if code := self.refuses(SPACE.between(XI, grasp)):
            raise DeftError(code, "cannot")

    def execute(self, grasp, seen, seed, on_phase):
        on_phase("move")
        self.executed = SPACE.between(XI, grasp)
        return "result"


def test_the_residual_is_added():
    graph, phases = Graph(), []
    done = roll_out(graph, lambda *_: EPS, SPACE, 1, phases.append)
    assert np.allclose(graph.executed, EPS) and done.fallback == "" and phases == ["observe", "predict", "move"]


def test_without_a_policy_the_prior_is_executed():
    graph = Graph()
    assert roll_out(graph, lambda *_: EPS, None, 1, lambda _: None).eps.size == 0 and np.allclose(graph.executed, 0.0)


def test_as_much_of_the_residual_is_executed_as_the_robot_can():
    graph = Graph(lambda eps: UNREACHABLE if np.abs(eps / EPS).max() > 0.6 else 0)
    done = roll_out(graph, lambda *_: EPS, SPACE, 10, lambda _: None)
    assert np.allclose(graph.executed, 0.5 * EPS) and np.allclose(done.eps, 0.5 * EPS)
    assert done.fallback == "50% of the residual: cannot"


@pytest.mark.parametrize("refused", ["policy", "robot"])
def test_what_is_refused_gives_way_to_the_prior_and_is_said(refused):
    def residual(*_):
        if refused == "policy":
            raise DeftError(codes.REFUSED, "not finite")
        return EPS

    graph = Graph(lambda eps: UNREACHABLE if np.abs(eps).max() > 1e-9 else 0)
    done = roll_out(graph, residual, SPACE, 1, lambda _: None)
    assert np.allclose(graph.executed, 0.0) and done.fallback == {"policy": "not finite", "robot": "cannot"}[refused]


def test_a_prior_that_cannot_be_executed_either_is_infeasible():
    with pytest.raises(DeftError, match="the prior's grasp cannot be executed") as refusal:
        roll_out(Graph(lambda eps: UNREACHABLE), lambda *_: EPS, SPACE, 1, lambda _: None)
    assert refusal.value.code == codes.ROLLOUT_INFEASIBLE


def test_a_stopped_robot_is_not_taken_for_an_infeasible_grasp():
    with pytest.raises(DeftError) as refusal:
        roll_out(Graph(lambda eps: STOPPED), lambda *_: EPS, SPACE, 1, lambda _: None)
    assert refusal.value.code == STOPPED
