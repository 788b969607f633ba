"""The paper's retargeting: anatomical MANO angles onto robot joints, by a table in the hand's YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field, field_validator
from scipy.spatial.transform import Rotation

from deft_core.config import Config, nearest, parse
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError, DeftError
from deft_core.types import Array
from deft_retarget import codes
from deft_retarget.skeleton import AXES, FINGERS, JOINTS, anatomical_angles

# The grasp frame (x to the fingers, z out of the palm) in MANO's wrist frame (fingers -x, palm -y).
GRASP_FRAME_IN_MANO = Rotation.from_matrix(np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]]))


class JointMapping(Config):
    """One robot joint: offset + scale * angle, rad."""

    source: tuple[str, str, str] = Field(description="finger, MANO joint, axis")
    scale: float = 1.0
    offset: float = Field(0.0, description="rad")

    @field_validator("source")
    @classmethod
    def _known(cls, source: tuple[str, str, str]) -> tuple[str, str, str]:
        finger, joint, axis = source
        for value, valid in ((finger, FINGERS), (joint, JOINTS.get(finger, ())), (axis, AXES)):
            if value not in valid:
                raise ValueError(f"'{value}': {nearest(value, valid)}")
        return source


class AxisRetargetConfig(Config):
    """`retarget:` of a hand."""

    method: Literal["axis"]
    joints: dict[str, JointMapping]


@dataclass(frozen=True)
class Retargeted:
    """Robot joints (n,) rad in the hand's order, and the names of those clipped to their limits."""

    joints: Array
    saturated: tuple[str, ...]


class AxisRetargeter:
    """MANO pose to robot joints (paper-style axis mapping; twist is dropped).

    Raises:
        ConfigError: the hand's table names unknown joints or misses some.
    """

    def __init__(self, hand: HandConfig) -> None:
        config = parse(AxisRetargetConfig, hand.retarget, f"hand '{hand.name}', retarget")
        missing = set(hand.joint_names) - set(config.joints)
        unknown = set(config.joints) - set(hand.joint_names)
        if missing or unknown:
            raise ConfigError(f"hand '{hand.name}', retarget.joints: missing {sorted(missing)}, "
                              f"unknown {sorted(unknown)}")
        self._hand = hand
        rows = [config.joints[name] for name in hand.joint_names]
        self._joint = np.array([3 * FINGERS.index(r.source[0]) + JOINTS[r.source[0]].index(r.source[1])
                                for r in rows])
        self._axis = np.array([AXES.index(r.source[2]) for r in rows])
        self._scale = np.array([r.scale for r in rows])
        self._offset = np.array([r.offset for r in rows])

    def retarget(self, mano_pose: Array) -> Retargeted:
        """Robot joints for a MANO pose (45,), axis-angle, rad, flat hand = 0. Raises DeftError BAD_INPUT."""
        mano_pose = np.asarray(mano_pose, float)
        if mano_pose.shape != (45,) or not np.isfinite(mano_pose).all():
            raise DeftError(codes.BAD_INPUT, f"a MANO pose is 45 finite angles; got shape {mano_pose.shape}"
                            + ("" if np.isfinite(mano_pose).all() else " with non-finite numbers"))
        wanted = self._offset + self._scale * anatomical_angles(mano_pose)[self._joint, self._axis]
        joints = np.clip(wanted, self._hand.lower, self._hand.upper)
        saturated = tuple(n for n, a, b in zip(self._hand.joint_names, wanted, joints, strict=True) if abs(a - b) > 1e-9)
        return Retargeted(joints, saturated)


def grasp_rotation(wrist: Rotation) -> Rotation:
    """The robot's grasp frame for a MANO wrist orientation, both in the same frame."""
    return wrist * GRASP_FRAME_IN_MANO
