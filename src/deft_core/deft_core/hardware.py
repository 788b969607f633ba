"""How the software of a real robot is reached: the parts of a robot's and a hand's YAML that a simulated one does not need."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from deft_core.config import Config
from deft_core.types import Array

Positive = Annotated[float, Field(gt=0)]
PLANNERS = ("ompl", "move_group", "moveit_py")  # of deft_motion; the last two are MoveIt's
Share = Annotated[float, Field(gt=0, le=1)]


class DriverConfig(Config):
    """The launch file of a device's driver, for robot.launch.py. Values of arguments are text, as launch files take them."""

    package: str = Field(description="ROS package that has it")
    launch: str = Field(description="file in the package's launch folder")
    fake_launch: str = Field("", description="the same for fake hardware; empty: `launch` with fake_arguments")
    arguments: dict[str, str] = Field(default_factory=dict, description="given in either case")
    real_arguments: dict[str, str] = Field(default_factory=dict, description="given for real hardware")
    fake_arguments: dict[str, str] = Field(default_factory=dict, description="given for fake hardware")
    needs_address: bool = Field(False, description="it takes the device's address as robot_ip, which has to be given")
    install: str = Field("", description="how to get the package, where it does not come by apt")


class HandCommand(Config):
    """Where a hand's own driver takes postures."""

    topic: str
    type: Literal["joint_state", "float64_multi_array"] = Field(description="sensor_msgs/JointState or "
                                                                "std_msgs/Float64MultiArray")
    rate: Positive = Field(100.0, description="Hz at which postures are sent while the hand moves, and repeated while it rests")


class HandState(Config):
    """Where a hand's own driver says how the hand is."""

    source: Literal["topic", "service", "none"] = Field(description="none: the commanded posture is taken for the measured one")
    topic: str = Field("", description="of sensor_msgs/JointState, for source: topic")
    service: str = Field("", description="that is asked, for source: service")
    service_type: str = Field("", description="as leap_hand/srv/LeapPosition; an empty request, numbers in the answer")
    field: str = Field("position", description="of the answer that holds the numbers, in the driver's order")
    rate: Positive = Field(50.0, description="Hz at which a service is asked, or the commanded posture is told")

    @model_validator(mode="after")
    def _complete(self) -> HandState:
        needed = {"topic": ("topic",), "service": ("service", "service_type"), "none": ()}[self.source]
        for key in needed:
            if not getattr(self, key):
                raise ValueError(f"source {self.source} needs {key}")
        if self.service_type and self.service_type.count("/") != 2:
            raise ValueError(f"service_type '{self.service_type}' has to read package/srv/Name")
        return self


class Overload(Config):
    """When a hand's motors push too hard, by what its driver reports as effort."""

    effort: Positive = Field(description="of any joint, in the unit of the driver's JointState.effort")
    seconds: Positive = Field(0.5, description="for as long")
    then: Literal["open", "hold"] = Field("open", description="what the hand does; the attempt is void either way")


class Touch(Config):
    """How fingers close on until they touch. The joints have to be measured: one that is not heard would close to its end."""

    reach: Positive = Field(1.2, description="rad further than the grasp's joints, at most")
    behind: Positive = Field(0.12, description="rad; a joint that stays so far behind its command touches something")
    step: Positive = Field(0.2, description="rad between two looks at the joints")


class HandInterface(Config):
    """A hand whose driver is no JointTrajectoryController: deft_drivers' hand_node stands between (docs/on-your-robot.md).

    The driver's number of a joint is `offset` + `scale` * angle, the angle as the URDF has it, in rad.
    """

    command: HandCommand
    state: HandState
    driver_names: tuple[str, ...] = Field((), description="the driver's names of its joints, in its order; empty: joint_names")
    order: tuple[str, ...] = Field((), description="our names of the same joints, in the driver's order; empty: joint_names")
    offset: tuple[float, ...] = Field((0.0,), description="of each joint in the driver's order, or one for all")
    scale: tuple[float, ...] = Field((1.0,), description="the same")
    names_matter: bool = Field(True, description="false: the driver's numbers come without names, or with meaningless ones")
    silence: Positive = Field(0.5, description="s without a state after which the hand counts as lost")
    overload: Overload | None = None

    @model_validator(mode="after")
    def _movable(self) -> HandInterface:
        if any(value == 0.0 or not np.isfinite(value) for value in self.scale):
            raise ValueError("a scale of 0 would lose the joint")
        return self

    def in_driver_order(self, joint_names: tuple[str, ...]) -> tuple[str, ...]:
        """Our names, in the driver's order. Raises ValueError where they are not the hand's."""
        order = self.order or joint_names
        if sorted(order) != sorted(joint_names):
            raise ValueError(f"interface.order {list(order)} does not hold exactly the hand's joints {list(joint_names)}")
        return order

    def spread(self, values: tuple[float, ...], joints: int, what: str) -> Array:
        """(joints,) from one number for all, or one each. Raises ValueError."""
        if len(values) not in (1, joints):
            raise ValueError(f"interface.{what} has {len(values)} numbers, needs 1 or {joints}")
        return np.full(joints, values[0]) if len(values) == 1 else np.array(values)


class MoveItConfig(Config):
    """MoveIt as the planner of an arm: deft_motion's `planner: move_group` or `moveit_py`."""

    group: str = Field(description="planning group of the SRDF, as xarm7")
    link: str = Field(description="link of MoveIt's model that Cartesian paths move: the one that flange_link is here")
    namespace: str = Field("", description="of move_group's services and actions, as /lab")
    pipeline: str = Field("ompl", description="planning pipeline")
    planner_id: str = Field("", description="of the pipeline; empty: its default")
    planning_time: Positive = Field(5.0, description="s")
    attempts: int = Field(3, ge=1)
    velocity_scaling: Share = Field(0.3, description="share of MoveIt's joint limits, 0 excluded: it would mean full speed")
    acceleration_scaling: Share = Field(0.3, description="the same")
    cartesian_step: Positive = Field(0.005, description="m between the points of a Cartesian path")
    touch_links: tuple[str, ...] = Field((), description="links of MoveIt's model that may touch what the hand holds")
    parameters: str = Field("", description="moveit_py only: a parameter file with robot_description and the rest, keyed /**")


class ArmInterface(Config):
    """How the arm's JointTrajectoryController is commanded."""

    type: Literal["topic", "action"] = Field("topic", description="action: FollowJointTrajectory, whose refusals and failed "
                                             "tolerances are known at once; topic: what it drops is noticed by the arm's not "
                                             "following")
    action: str = Field("", description="as /xarm7_traj_controller/follow_joint_trajectory")

    @model_validator(mode="after")
    def _named(self) -> ArmInterface:
        if self.type == "action" and not self.action:
            raise ValueError("type action needs action, the name of the controller's")
        return self
