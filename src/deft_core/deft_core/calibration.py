"""Hand-eye calibration as easy_handeye2 keeps it: where a fixed camera is in the robot's base frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from deft_core.errors import ConfigError
from deft_core.types import Pose

FIXED = "eye_on_base"  # the camera stands beside the robot


@dataclass(frozen=True)
class HandEye:
    """A calibration.

    Attributes:
        base_frame: the robot's.
        camera_frame: in which the marker was seen: with most detectors the colour optical frame.
        pose: of camera_frame in base_frame, m.
    """

    base_frame: str
    camera_frame: str
    pose: Pose


def read_hand_eye(path: Path) -> HandEye:
    """A `.calib` file of easy_handeye2 (YAML; metres, quaternion x y z w).

    Raises:
        ConfigError: there is no such file, it is none of a fixed camera, or its numbers are no rigid transform.
    """
    try:
        data = yaml.safe_load(path.read_text())
        parameters, transform = data["parameters"], data["transform"]
        kind = parameters["calibration_type"]
        frames = str(parameters["robot_base_frame"]), str(parameters["tracking_base_frame"])
        position = np.array([float(transform["translation"][k]) for k in "xyz"])
        quaternion = np.array([float(transform["rotation"][k]) for k in "xyzw"])
    except OSError as error:
        raise ConfigError(f"camera.calibration_file {path}: {error.strerror}; calibrate with easy_handeye2 "
                          "(docs/on-your-robot.md), or give optical_in_base") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"camera.calibration_file {path} is not a file of easy_handeye2: {error!r}") from None
    if kind != FIXED:
        raise ConfigError(f"camera.calibration_file {path} is of type '{kind}'; DEFT's camera stands still beside the robot: "
                          f"calibrate with calibration_type:={FIXED}")
    if not np.isfinite([*position, *quaternion]).all() or abs(float(np.linalg.norm(quaternion)) - 1.0) > 1e-3:
        raise ConfigError(f"camera.calibration_file {path}: its rotation is no unit quaternion, or a number is not finite")
    return HandEye(*frames, Pose(position, Rotation.from_quat(quaternion)))
