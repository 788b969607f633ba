"""The simulator's own sections of the robot, hand and task YAML."""

from __future__ import annotations

from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import NonNegative, Positive


class RobotSim(Config):
    """`sim:` of a robot: its servos, rates and collision stop."""

    kp: Positive = Field(description="position gain of the arm's joints, N m/rad")
    kv: tuple[Positive, ...] = Field(description="velocity gain of each of the arm's joints, N m s/rad")
    armature: Positive = Field(description="rotor inertia added to every arm joint, kg m^2")
    camera_rate: Positive = Field(description="Hz of simulated time")
    collision_stop: Positive = Field(description="N, contact force at which the controllers stop, as xArm's own does")


class HandSim(Config):
    """`sim:` of a hand: its servos and collision shapes."""

    kp: Positive
    kv: Positive
    torque_limit: Positive = Field(description="N m")
    armature: Positive
    damping: NonNegative
    frictionloss: NonNegative
    finger_radius: Positive = Field(description="m, radius of the capsules that replace the URDF's finger boxes")
    friction: Positive
    tip_friction: Positive


class SceneConfig(Config):
    """`sim:` of a task: which scene module, and where its objects are put."""

    scene: str = Field(description="module below deft_sim.scenes")
    position_lower: tuple[float, float] = Field(description="x, y in the base frame, m")
    position_upper: tuple[float, float]
