"""The imperfections of a robot cell: calibration and joint errors, drawn once a cell; and lights, per episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.types import Array, Pose
from deft_sim.config import RealismConfig


@dataclass(frozen=True)
class Cell:
    """What the robot's software does not know.

    Attributes:
        camera: where the optical frame really is, base frame.
        joint_error: (n_arm + n_hand,) rad, true minus reported joint positions.
    """

    camera: Pose
    joint_error: Array


def draw_cell(robot: RobotConfig, hand: HandConfig, settings: RealismConfig) -> Cell:
    """The errors of `settings.cell`: the size of the camera's error is fixed, its direction random."""
    rng = np.random.default_rng(np.random.SeedSequence([settings.cell, 101]))
    shift, axis = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 3)))
    nominal = robot.camera.optical_in_base.pose()
    camera = Pose(nominal.position + settings.calibration_error * shift,
                  Rotation.from_rotvec(settings.calibration_turn * axis) * nominal.rotation)
    scale = np.repeat([settings.arm_joint_error, settings.hand_joint_error],
                      [len(robot.joint_names), len(hand.joint_names)])
    return Cell(camera, scale * np.clip(rng.standard_normal(scale.size), -2.0, 2.0))


@dataclass(frozen=True)
class Light:
    """One soft lamp above the table: direction (3,) and strength 0..1, and that of the room."""

    direction: Array
    lamp: float
    room: float


def draw_light(settings: RealismConfig, rng: np.random.Generator) -> Light:
    """The light of an episode."""
    change = settings.light_change * rng.uniform(-1.0, 1.0, 5)
    return Light(np.array([0.1, 0.6, -1.0]) + change[:3], 0.45 * (1 + change[3]), 0.35 * (1 + change[4]))
