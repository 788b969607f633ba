"""Test time: look, ask the prior, add the policy's residual, check, execute. Never trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from deft_core.errors import INFEASIBLE_GRASP, DeftError
from deft_core.residual import SHARES, ResidualSpace
from deft_core.types import Array, GraspParameters
from deft_policy import codes

Residual = Callable[[Any, GraspParameters, int], Array]  # what is seen, xi, a seed -> eps; raises DeftError


class Graph(Protocol):
    """The steps of the running graph; failures are DeftErrors with the interfaces' codes."""

    def observe(self) -> Any:
        """A fresh look."""
        ...

    def predict(self, seen: Any, seed: int) -> tuple[Any, GraspParameters]:
        """The prior's answer and its grasp xi."""
        ...

    def check(self, grasp: GraspParameters, seen: Any) -> None:
        """Return when the grasp can be executed."""
        ...

    def execute(self, grasp: GraspParameters, seen: Any, seed: int, on_phase: Callable[[str], None]) -> Any:
        """Execute and park."""
        ...


@dataclass(frozen=True)
class RolledOut:
    """What was done. Attributes: result, the motion node's; fallback, why less than the residual was executed, "" else."""

    result: Any
    eps: Array
    fallback: str


def roll_out(graph: Graph, residual: Residual, space: ResidualSpace | None, seed: int,
             on_phase: Callable[[str], None]) -> RolledOut:
    """One grasp.

    Args:
        residual: asked where there is a policy.
        space: where its eps lives; None executes the prior alone.

    Raises:
        DeftError: the graph's codes; ROLLOUT_INFEASIBLE, the prior's grasp cannot be executed either.
    """
    on_phase("observe")
    seen = graph.observe()
    on_phase("predict")
    _, xi = graph.predict(seen, seed)
    eps, fallback = _chosen(graph, residual, space, seen, xi, seed) if space else (np.zeros(0), "")
    grasp = space.apply(xi, eps) if space is not None and eps.size else xi
    if not eps.any():
        _check_prior(graph, xi, seen, fallback)
    return RolledOut(graph.execute(grasp, seen, seed, on_phase), eps, fallback)


def _chosen(graph: Graph, residual: Residual, space: ResidualSpace, seen: Any, xi: GraspParameters,
            seed: int) -> tuple[Array, str]:
    """The largest share of the residual that can be executed, and why it is not all of it; zeros when nothing can."""
    why = ""
    try:
        whole = residual(seen, xi, seed)
        for share in SHARES[:-1]:
            try:
                graph.check(space.apply(xi, share * whole), seen)
                return share * whole, f"{share:.0%} of the residual: {why}" if why else ""
            except DeftError as error:
                if error.code not in INFEASIBLE_GRASP:
                    raise
                why = why or error.message
    except DeftError as error:
        if error.code != codes.REFUSED:
            raise
        why = error.message
    return np.zeros(space.size), why


def _check_prior(graph: Graph, xi: GraspParameters, seen: Any, before: str) -> None:
    try:
        graph.check(xi, seen)
    except DeftError as error:
        if error.code not in INFEASIBLE_GRASP:
            raise
        also = f"{before}; " if before else ""
        raise DeftError(codes.ROLLOUT_INFEASIBLE, f"{also}the prior's grasp cannot be executed: {error.message}") from None
