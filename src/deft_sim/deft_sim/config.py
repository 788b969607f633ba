"""The simulator's own sections of the robot, hand and task YAML."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from deft_core.config import Config
from deft_core.descriptions import NonNegative, Positive


class RealismConfig(Config):
    """What is not perfect about the robot cell."""

    cell: int = Field(default=0, ge=0, description="which cell: its calibration and joint errors are drawn from this, and stay")
    calibration_error: NonNegative = Field(default=0.005, description="m, the camera is this far from where calibration says")
    calibration_turn: NonNegative = Field(default=0.0175, description="rad, and turned by this much, about a random axis")
    arm_joint_error: NonNegative = Field(default=0.002, description="rad, standard deviation of each arm joint's zero position")
    hand_joint_error: NonNegative = Field(default=0.03, description="rad, the same of the hand's joints")
    command_latency: NonNegative = Field(default=0.02, description="s, from a trajectory's stamp to the first motion")
    camera_latency: NonNegative = Field(default=0.05, description="s, from a picture's stamp to its arrival")
    depth_noise: NonNegative = Field(default=0.0015, description="m at 1 m, growing with the square of the distance")
    depth_patches: NonNegative = Field(default=0.0015, description="m at 1 m, the same for errors that neighbours share")
    light_change: NonNegative = Field(default=0.25, description="share by which the lights vary, per episode")


class RobotSim(Config):
    """`sim:` of a robot: its servos, rates, collision stop and imperfections."""

    kp: Positive = Field(description="position gain of the arm's joints, N m/rad")
    kv: tuple[Positive, ...] = Field(description="velocity gain of each of the arm's joints, N m s/rad")
    armature: Positive = Field(description="rotor inertia added to every arm joint, kg m^2")
    camera_rate: Positive = Field(description="Hz of simulated time")
    collision_stop: Positive = Field(description="N, contact force at which the controllers stop, as xArm's own does")
    realism: RealismConfig = RealismConfig()


class HandSim(Config):
    """`sim:` of a hand: its servos, collision shapes and the postures of competent grasps."""

    kp: Positive
    kv: Positive
    torque_limit: Positive = Field(description="N m")
    armature: Positive
    damping: NonNegative
    frictionloss: NonNegative
    finger_radius: Positive = Field(description="m, radius of the capsules that replace the URDF's finger boxes")
    friction: Positive
    tip_friction: Positive
    softness: Positive = Field(1.0, description="times the contact time constant of the hand: 1 hard, 4 soft rubber")
    postures: dict[str, tuple[float, ...]] = Field(description="rad, closed hands by name, for the oracle")


class SceneConfig(Config):
    """`sim:` of a task: which scene module, and where its objects are put."""

    scene: str = Field(description="module below deft_sim.scenes")
    position_lower: tuple[float, float] = Field(description="x, y in the base frame, m")
    position_upper: tuple[float, float]
    yaw: tuple[float, float] = Field(description="rad, lower and upper heading of what stands on the table")
    objects: dict[str, tuple[str, ...]] = Field(description="names of the scene's objects, by set: train and test")
    score: dict[str, Any] = Field(description="parameters of the score and the success test; read by the scene")

    @model_validator(mode="after")
    def _ordered(self) -> SceneConfig:
        pairs = zip((*self.position_lower, self.yaw[0]), (*self.position_upper, self.yaw[1]), strict=True)
        if any(low > high for low, high in pairs):
            raise ValueError("position_lower and the first yaw must not exceed position_upper and the second yaw")
        return self

    @model_validator(mode="after")
    def _apart(self) -> SceneConfig:
        if set(self.objects) != {"train", "test"} or not all(self.objects.values()):
            raise ValueError("objects needs the sets train and test, neither empty")
        both = set(self.objects["train"]) & set(self.objects["test"])
        if both:
            raise ValueError(f"{', '.join(sorted(both))} must not be in train and in test")
        return self
