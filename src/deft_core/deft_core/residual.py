"""The residual eps and the space that it lives in. Nothing else knows its layout."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.types import Array, GraspParameters

CONTACT = ("contact_x", "contact_y", "contact_z")
WRIST = ("wrist_rx", "wrist_ry", "wrist_rz")


@dataclass(frozen=True)
class ResidualSpace:
    """Names, units, scale and bounds of eps = (contact 3, wrist 3, hand joints n).

    eps is added in metres and radians after the depth look-up; its wrist part composes on the
    right: R(xi) * exp(eps). For a 16-joint hand it has 22 numbers (paper section 1.2).

    Attributes:
        joint_names: hand joints that have a motor, URDF names; joints coupled to them follow at execution.
        sigma: (6 + n,) standard deviation of the first distribution, metres and rad.
        bound: (6 + n,) eps is clipped to [-bound, bound], metres and rad.
    """

    joint_names: tuple[str, ...]
    sigma: Array
    bound: Array

    @staticmethod
    def by_group(joint_names: tuple[str, ...], sigma: tuple[float, float, float],
                 bound: tuple[float, float, float]) -> ResidualSpace:
        """From one value for each group: contact (m), wrist (rad), joints (rad)."""
        sizes = (3, 3, len(joint_names))
        return ResidualSpace(joint_names, np.repeat(np.array(sigma, float), sizes),
                             np.repeat(np.array(bound, float), sizes))

    @property
    def names(self) -> tuple[str, ...]:
        return (*CONTACT, *WRIST, *self.joint_names)

    @property
    def size(self) -> int:
        return 6 + len(self.joint_names)

    def clip(self, eps: Array) -> Array:
        """eps (6 + n,) limited to the bounds."""
        return np.clip(eps, -self.bound, self.bound)

    def apply(self, xi: GraspParameters, eps: Array) -> GraspParameters:
        """xi + eps.

        Raises:
            ValueError: eps has another size, is not finite, or xi is of another hand.
        """
        eps = np.asarray(eps, float)
        if eps.shape != (self.size,):
            raise ValueError(f"eps has shape {eps.shape}, this residual space needs ({self.size},)")
        if not np.isfinite(eps).all():
            raise ValueError("eps is not finite")
        joints = xi.joints.copy()
        joints[self._rows(xi)] += eps[6:]
        rotation = xi.rotation() * Rotation.from_rotvec(eps[3:6])
        return replace(xi, contact=xi.contact + eps[:3], wrist_rotation=rotation.as_rotvec(),
                       joints=joints)

    def between(self, xi: GraspParameters, other: GraspParameters) -> Array:
        """The eps with apply(xi, eps) == other."""
        wrist = (xi.rotation().inv() * other.rotation()).as_rotvec()
        return np.concatenate([other.contact - xi.contact, wrist, (other.joints - xi.joints)[self._rows(xi)]])

    def _rows(self, xi: GraspParameters) -> list[int]:
        """Where the joints of eps stand in xi, which also has those that follow others."""
        if not set(self.joint_names) <= set(xi.joint_names):
            raise ValueError(f"xi has the joints {xi.joint_names}, this residual space {self.joint_names}")
        return [xi.joint_names.index(name) for name in self.joint_names]
