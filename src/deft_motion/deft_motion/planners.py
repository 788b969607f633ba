"""The planner that the parameter `planner` names."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

from deft_core.config import nearest
from deft_core.errors import ConfigError
from deft_core.hardware import PLANNERS
from deft_motion.kinematics import ArmHandModel
from deft_motion.planner import OmplPlanner, Planner


def make_planner(name: str, node: Node, model: ArmHandModel, cancelled: Callable[[], bool]) -> Planner:
    """A planner by name.

    Args:
        cancelled: polled while MoveIt plans.

    Raises:
        ConfigError: unknown, or what it needs is not there. Nothing of MoveIt is imported for the embedded one.
    """
    if name not in PLANNERS:
        raise ConfigError(f"deft_motion: unknown planner '{name}': {nearest(name, PLANNERS)}")
    if name == "ompl":
        return OmplPlanner(model)
    settings = model.robot.moveit
    if settings is None:
        raise ConfigError(f"deft_motion: planner '{name}' needs the section `moveit` in config/robots/{model.robot.name}.yaml "
                          "(group and link); docs/on-your-robot.md")
    if name == "move_group":
        from deft_motion.moveit.move_group import MoveGroupPlanner

        return MoveGroupPlanner(node, settings, model, cancelled)
    from deft_motion.moveit.moveit_py import MoveItPyPlanner

    return MoveItPyPlanner(settings, model, cancelled)
