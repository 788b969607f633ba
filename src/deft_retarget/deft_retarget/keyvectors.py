"""Key-vector retargeting: the robot's fingertips go where the human's are, by bounded optimisation.

`vector` follows the vectors from wrist to fingertips. `dexpilot` also follows those between fingertips, and closes a pinch:
once the human thumb is near a finger, the robot's tips are drawn together with a high weight until the human lets go
(Handa et al., "DexPilot", ICRA 2020, equations 3 to 6; Sivakumar et al., "Robotic Telekinesis", RSS 2022). The loss is Huber's
on the length of each difference; weights, thresholds and loss are the defaults of the dex-retargeting library, so that both can
be compared.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from deft_core.config import Config
from deft_core.descriptions import NonNegative, Positive
from deft_core.errors import DeftError
from deft_core.types import Array
from deft_retarget import codes, solver
from deft_retarget.kinematics import HandKinematics

KeyVectorMethod = Literal["vector", "dexpilot"]
HUBER = {"vector": 0.02, "dexpilot": 0.03}  # m
ROUNDING = 1e-12  # relative; as much may the objective rise between steps
# Damping, as a share of the Hessian's diagonal, and how much it grows at a first refusal. It falls after a step that kept
# GOOD_STEP of the fall that it promised, and rises after one that kept less than POOR_STEP.
LEAST_DAMPING, LARGEST_DAMPING, FIRST_GROWTH = 1e-3, 1e8, 4.0
GOOD_STEP, POOR_STEP = 0.6, 0.25


class PinchConfig(Config):
    """When fingertips count as touching (dexpilot). Distances between human fingertips are unscaled."""

    close: Positive = Field(default=0.03, description="m; thumb and finger nearer than this are pinching")
    open: Positive = Field(default=0.05, description="m; they have let go beyond this")
    thumb_gap: Positive = Field(default=1e-4, description="m, between the robot's thumb and finger in a pinch")
    finger_gap: Positive = Field(default=0.03, description="m, between two of the robot's fingers that both pinch the thumb")
    thumb_weight: Positive = 200.0
    finger_weight: Positive = 400.0

    @model_validator(mode="after")
    def _hysteresis(self) -> PinchConfig:
        if self.close > self.open:
            raise ValueError(f"a pinch closes at {self.close} m and opens at {self.open} m: close must not be the larger one")
        return self


class SelfCollisionConfig(Config):
    """Keeps fingers apart: spheres at the last two joints and the tip of each; the penalty is the cube of their overlap.

    Off while the weight is zero.
    """

    weight: NonNegative = Field(default=0.0, description="1/m^3; 1e5 leaves overlaps of a millimetre or two")
    radius: Positive = Field(default=0.010, description="m, half of a finger's thickness")


class KeyVectorConfig(Config):
    """`key_vectors:` of a hand's `retarget:`."""

    huber: Positive | None = Field(default=None, description="m, where the loss turns from square to linear; where not given "
                                   "0.02 for vector, 0.03 for dexpilot")
    smoothness: Positive = Field(default=1e-3, description="1/rad^2, pull to where the search began")
    pinch: PinchConfig = PinchConfig()
    self_collision: SelfCollisionConfig = SelfCollisionConfig()
    tolerance: Positive = Field(default=1e-5, description="1/rad, largest gradient component at which it has converged")
    max_iterations: int = Field(default=200, ge=1)


@dataclass(frozen=True)
class Solution:
    """Where the optimiser ended.

    Attributes:
        motors: (m,) rad.
        cost: the objective without the pull of smoothness.
        iterations: steps tried.
        pinching: (f - 1,) which fingers pinch the thumb (dexpilot), to be given with the next pose of a sequence.
    """

    motors: Array
    cost: float
    iterations: int
    pinching: Array


class KeyVectors:
    """The optimiser of one hand.

    Args:
        kinematics: its first points are the human wrist's place and the fingertips, thumb first; further ones are spheres.
        spheres: (s, 2) finger and row of each further point.
    """

    def __init__(self, kinematics: HandKinematics, method: KeyVectorMethod, config: KeyVectorConfig, fingers: int,
                 spheres: list[tuple[int, int]]) -> None:
        self._kinematics, self._config, self._fingers = kinematics, config, fingers
        between = list(itertools.combinations(range(1, fingers + 1), 2)) if method == "dexpilot" else []
        self._between = len(between)
        self._vectors = np.array([(b, a) for a, b in between] + [(0, tip) for tip in range(1, fingers + 1)])
        # a vector from the wrist weighs as much as there are vectors, where others (which weigh 1) compete with it
        counts = len(self._vectors)
        self._weights = np.concatenate([np.ones(self._between), np.full(fingers, counts if between else 1.0)]) / counts
        self._huber = config.huber or HUBER[method]
        pinch = config.pinch
        self._thumb_pairs = fingers - 1
        self._pairs_of = np.array([(a - 2, b - 2) for a, b in between[self._thumb_pairs:]], int).reshape(-1, 2)
        self._gaps = np.where(np.arange(self._between) < self._thumb_pairs, pinch.thumb_gap, pinch.finger_gap)
        self._high = np.where(np.arange(self._between) < self._thumb_pairs, pinch.thumb_weight, pinch.finger_weight) / counts
        collision = config.self_collision
        self._spheres = np.array([(a, b) for (f, a), (g, b) in itertools.combinations(spheres, 2) if f != g],
                                 np.int64).reshape(-1, 2) if collision.weight else np.zeros((0, 2), np.int64)
        m = kinematics.lower.size
        self._here, self._there = ((np.empty(m), np.empty(m), np.empty((m, m)), np.empty((m, m))) for _ in range(2))
        self._joints = np.empty(kinematics.model.nq)

    def targets(self, tips: Array, scale: float, pinching: Array) -> tuple[Array, Array, Array]:
        """What the robot's vectors should be.

        Args:
            tips: (f, 3) m, human fingertips about the wrist, base_link axes, thumb first.
            scale: size of the robot hand by that of the human's.
            pinching: (f - 1,) which fingers pinched the thumb one pose before.

        Returns:
            vectors (v, 3) m, weights (v,), and pinching now.
        """
        if not self._between:
            return scale * tips, self._weights, pinching
        pinch, pairs = self._config.pinch, self._thumb_pairs
        whole = np.concatenate([np.zeros((1, 3)), tips])
        between = whole[self._vectors[:self._between, 1]] - whole[self._vectors[:self._between, 0]]
        distance = np.sqrt((between * between).sum(axis=1))
        pinching = (pinching | (distance[:pairs] < pinch.close)) & (distance[:pairs] <= pinch.open)
        if not pinching.any():
            return scale * np.concatenate([between, tips]), self._weights, pinching
        both = pinching[self._pairs_of].all(axis=1) & (distance[pairs:] <= pinch.close)
        snapped = np.concatenate([pinching, both])
        closed = between * (self._gaps / (distance + 1e-6))[:, None]
        weights = self._weights.copy()
        weights[:self._between][snapped] = self._high[snapped]
        return np.concatenate([np.where(snapped[:, None], closed, scale * between), scale * tips]), weights, pinching

    def solve(self, tips: Array, scale: float, start: Array, pinching: Array | None = None,
              restart: Array | None = None) -> Solution:
        """Motor angles for human fingertips.

        Args:
            tips: as for `targets`.
            start: (m,) rad, where the search begins and what smoothness pulls to: the pose before, or a good guess.
            pinching: as for `targets`; None where there was no pose before.
            restart: (m,) rad, where it begins once more where there was no pose before, or when a pinch has begun or ended; the
                better end is taken. The objective jumps then, and a sequence may be caught in an optimum that was good before.

        Raises:
            DeftError: NOT_CONVERGED. No angles come with it.
        """
        kinematics = self._kinematics
        before = np.zeros(self._fingers - 1, bool) if pinching is None else pinching
        vectors, weights, now = self.targets(tips, scale, before)
        vectors = kinematics.from_base(vectors)
        start = np.minimum(np.maximum(start, kinematics.lower), kinematics.upper)
        motors, cost, iterations = self._minimise(vectors, weights, start, start)
        if restart is not None and (pinching is None or (now != before).any()):
            restart = np.minimum(np.maximum(restart, kinematics.lower), kinematics.upper)
            with contextlib.suppress(DeftError):  # there is an optimum already
                others, other_cost, more = self._minimise(vectors, weights, restart, start)
                iterations += more
                if other_cost < cost:
                    motors, cost = others, other_cost
        away = motors - start
        return Solution(motors, cost - self._config.smoothness * float(away @ away), iterations, now)

    def _minimise(self, targets: Array, weights: Array, start: Array, centre: Array) -> tuple[Array, float, int]:
        kinematics, tolerance = self._kinematics, self._config.tolerance
        here, there, joints = self._here, self._there, self._joints
        here[0][:] = start
        joints[:] = kinematics.pin_ratio * start[kinematics.pin_source]
        cost = self._evaluate(here, targets, weights, centre)
        damping, growth = 0.0, FIRST_GROWTH
        for iteration in range(1, self._config.max_iterations + 1):
            residual, promised = solver.newton_step(*here, kinematics.lower, kinematics.upper, damping, kinematics.pin_source,
                                                    kinematics.pin_ratio, there[0], joints)
            if residual <= tolerance:
                return here[0].copy(), cost, iteration
            new = self._evaluate(there, targets, weights, centre)
            rounding = ROUNDING * abs(cost)
            kept = (cost - new + rounding) / max(promised, rounding)
            if kept > 0.0:
                here, there, cost = there, here, new
                damping, growth = self._relaxed(damping, kept), FIRST_GROWTH
            elif damping < LARGEST_DAMPING:
                damping, growth = max(LEAST_DAMPING, growth * damping), 2.0 * growth
            else:
                break
        raise DeftError(codes.NOT_CONVERGED, f"retargeting did not converge in {iteration} steps (gradient {residual:.1e}, "
                        f"wanted {tolerance:.1e}): raise key_vectors.max_iterations or .tolerance, or use method: axis")

    @staticmethod
    def _relaxed(damping: float, kept: float) -> float:
        """The damping after a step that kept this share of its promise."""
        if kept < POOR_STEP:
            return max(LEAST_DAMPING, 2.0 * damping)
        if kept < GOOD_STEP:
            return damping
        return 0.1 * damping if damping > LEAST_DAMPING else 0.0

    def _evaluate(self, at: tuple[Array, Array, Array, Array], targets: Array, weights: Array, centre: Array) -> float:
        kinematics, collision = self._kinematics, self._config.self_collision
        kinematics.update(self._joints)
        return solver.evaluate(kinematics.data.J, np.array(kinematics.world_points), kinematics.support, kinematics.pin_source,
                               kinematics.pin_ratio, self._vectors, targets, weights, self._huber, self._spheres,
                               2.0 * collision.radius, collision.weight, at[0], centre, self._config.smoothness, *at[1:])
