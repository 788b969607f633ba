"""Competent grasps from the simulator's truth: they prove that a draw of a task can be done. For studies and films only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.config import nearest, parse
from deft_core.errors import ConfigError
from deft_core.types import Array, GraspParameters
from deft_sim.config import HandSim
from deft_sim.world import SimWorld

SPREAD = (0.010, 0.12, 0.08)  # m, rad, rad: contact, wrist and joints of later candidates, standard deviations


def competent_grasp(world: SimWorld) -> GraspParameters:
    """The grasp that a careful person would set by hand for what stands on the table.

    Raises:
        ConfigError: the hand's YAML lacks the posture that the scene asks for.
    """
    grasp = world.scene.competent(world.history.moments[-1])
    postures = parse(HandSim, world.hand.sim, f"hand '{world.hand.name}', sim").postures
    if grasp.posture not in postures:
        raise ConfigError(f"hand '{world.hand.name}' has no posture '{grasp.posture}': {nearest(grasp.posture, postures)}; "
                          "add it to sim.postures of the hand's YAML")
    return GraspParameters(grasp.contact, grasp.rotation().as_rotvec(), world.hand.joint_names,
                           np.array(postures[grasp.posture]), world.hand.name, world.robot.base_frame)


def candidates(world: SimWorld, count: int, seed: int) -> Iterator[GraspParameters]:
    """The competent grasp, then random variations of it, `count` in all."""
    best = competent_grasp(world)
    yield best
    rng = np.random.default_rng(seed)
    contact, wrist, joints = SPREAD
    for _ in range(count - 1):
        turn = Rotation.from_rotvec(rng.normal(0.0, wrist, 3))
        yield GraspParameters(best.contact + rng.normal(0.0, contact, 3), (best.rotation() * turn).as_rotvec(),
                              best.joint_names, best.joints + rng.normal(0.0, joints, best.joints.size), best.hand, best.frame)


def true_box(world: SimWorld) -> tuple[Array, Array]:
    """Centre and extent (3,) m, base frame, of a box round the line where the object is to be grasped."""
    line = world.history.moments[-1].grasp_line
    return line.mean(axis=0), np.abs(line[1] - line[0]) + 0.02
