"""Planning of the arm: one interface, and the embedded backend on OMPL. MoveIt's are in moveit/."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from ompl import base as ob
from ompl import geometric as og
from ompl import util as ou

from deft_core.errors import DeftError
from deft_core.types import Array, Pose
from deft_motion import codes
from deft_motion.kinematics import ArmHandModel
from deft_motion.paths import JointPath, time_optimal

PLANNING_SECONDS = 5.0
STEP = 0.03  # rad, spacing at which a motion is checked for collisions
ou.setLogLevel(ou.LogLevel.LOG_NONE)  # failures are raised; re-seeding for each query is meant


class Planner(Protocol):
    """A collision-free, timed path between two postures of the arm."""

    def plan(self, start: Array, goal: Array, hand: Array, seed: int) -> JointPath:
        """Arm joints (n_arm,) start -> goal with the hand at (n_hand,), rad. Raises DeftError."""
        ...

    def straight(self, poses: Sequence[Pose], start: Array) -> Array | None:
        """Arm joints (k, n_arm), rad, that take the grasp frame along poses (base frame), for approach and retreat.

        Args:
            poses: on a line; the first is where `start` (n_arm,) has it.

        Returns:
            from near `start` to the last pose, at least two rows; None where that is out of reach or blocked.
        """
        ...

    def grasped(self, arm: Array) -> None:
        """The hand has closed with the arm at (n_arm,), rad: the object moves with it from there on."""
        ...

    def released(self) -> None:
        """The hand has opened: where the object is, is not known."""
        ...

    def close(self) -> None:
        """Give back what it holds; nothing is planned any more."""
        ...


class OmplPlanner:
    """RRT-Connect, shortened, then timed by TOPP-RA. The same seed gives the same path."""

    def __init__(self, model: ArmHandModel) -> None:
        self._model = model
        self._velocity = np.array(model.robot.velocity_limits)
        self._acceleration = np.array(model.robot.acceleration_limits)

    def plan(self, start: Array, goal: Array, hand: Array, seed: int) -> JointPath:
        """See Planner. Raises DeftError EXECUTION_FAILED (it touches something already), COLLISION or PLANNING_FAILED."""
        ends = ((start, codes.EXECUTION_FAILED, "where the robot stands"), (goal, codes.COLLISION, "at the goal"))
        for arm, code, where in ends:
            touching = self._model.colliding(arm, hand)
            if touching:
                raise DeftError(code, f"{where} {touching} touch")
        if self._free(start, goal, hand):
            waypoints = np.linspace(start, goal, self._count(start, goal))
        else:
            waypoints = self._search(start, goal, hand, seed)
        return time_optimal(waypoints, self._velocity, self._acceleration)

    def straight(self, poses: Sequence[Pose], start: Array) -> Array | None:
        """See Planner: by inverse kinematics, each pose from the last. Whoever asks checks what may be touched."""
        return self._model.follow(poses, start)

    def grasped(self, arm: Array) -> None:
        """See Planner. The way back is along the way that it came, and plans begin when the hand is empty: nothing to note."""

    def released(self) -> None:
        """See Planner."""

    def close(self) -> None:
        """See Planner."""

    @staticmethod
    def _count(a: Array, b: Array) -> int:
        return max(3, int(np.ceil(np.abs(b - a).max() / STEP)) + 1)

    def _free(self, a: Array, b: Array, hand: Array) -> bool:
        """True when the straight joint-space motion from a to b touches nothing and stays in the workspace."""
        return not any(self._model.blocked(q, hand) for q in np.linspace(a, b, self._count(a, b)))

    def _search(self, start: Array, goal: Array, hand: Array, seed: int) -> Array:
        model, n = self._model, self._model.n_arm
        ou.RNG.setSeed(int(seed % (2**31 - 1)) + 1)
        space = ob.RealVectorStateSpace(n)
        bounds = ob.RealVectorBounds(n)
        for i in range(n):
            bounds.setLow(i, float(model.lower[i]))
            bounds.setHigh(i, float(model.upper[i]))
        space.setBounds(bounds)
        setup = og.SimpleSetup(space)
        setup.setStateValidityChecker(lambda s: not model.blocked(np.array([s[i] for i in range(n)]), hand))
        setup.getSpaceInformation().setStateValidityCheckingResolution(STEP / space.getMaximumExtent())
        ends = []
        for arm in (start, goal):
            state = space.allocState()
            for i in range(n):
                state[i] = float(arm[i])
            ends.append(state)
        setup.setStartAndGoalStates(ends[0], ends[1])
        planner = og.RRTConnect(setup.getSpaceInformation())
        planner.setRange(0.6)
        setup.setPlanner(planner)
        setup.solve(PLANNING_SECONDS)
        if not setup.haveExactSolutionPath():
            raise DeftError(codes.PLANNING_FAILED, f"no collision-free path found within {PLANNING_SECONDS:.0f} s; "
                            "move the object, or clear the workspace")
        path = setup.getSolutionPath()
        simplifier = og.PathSimplifier(setup.getSpaceInformation())
        simplifier.reduceVertices(path)
        simplifier.ropeShortcutPath(path)
        vertices = np.array([[s[i] for i in range(n)] for s in path.getStates()])
        return self._rounded(vertices, hand)

    def _rounded(self, vertices: Array, hand: Array) -> Array:
        """Dense waypoints along the vertices; corners are cut where that stays free (Chaikin, twice)."""
        for _ in range(2):
            cut = [vertices[0]]
            for a, b in itertools.pairwise(vertices):
                cut += [0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b]
            cut.append(vertices[-1])
            candidate = np.array(cut)
            if all(self._free(a, b, hand) for a, b in itertools.pairwise(candidate)):
                vertices = candidate
        dense = [vertices[:1]]
        for a, b in itertools.pairwise(vertices):
            dense.append(np.linspace(a, b, self._count(a, b))[1:])
        return np.vstack(dense)
