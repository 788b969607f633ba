"""The residual eps and the space that it lives in. Nothing else knows its layout."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.types import Array, GraspParameters

CONTACT = ("contact_x", "contact_y", "contact_z")
WRIST = ("wrist_rx", "wrist_ry", "wrist_rz")
TAU = ("tau_x", "tau_y", "tau_z")
# Of a residual that is not varied any more: the shares of it that are tried, in this order, until the robot can execute one.
SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)


@dataclass(frozen=True)
class ResidualSpace:
    """Names, units, scale and bounds of eps = (contact 3, wrist 3, hand joints n[, shift of the trajectory 3]).

    eps is added in metres and radians after the depth look-up; its wrist part composes on the
    right: R(xi) * exp(eps). For a 16-joint hand it has 22 numbers (paper section 1.2), and three more where the
    trajectory tau is varied, too: how far it is shifted, metres, base frame.

    Attributes:
        joint_names: hand joints that have a motor, URDF names; joints coupled to them follow at execution.
        sigma: (size,) standard deviation of the first distribution, metres and rad.
        bound: (size,) eps is clipped to [-bound, bound], metres and rad.
        trajectory: whether eps shifts the trajectory.
    """

    joint_names: tuple[str, ...]
    sigma: Array
    bound: Array
    trajectory: bool = False

    @staticmethod
    def by_group(joint_names: tuple[str, ...], sigma: tuple[float, float, float],
                 bound: tuple[float, float, float]) -> ResidualSpace:
        """From one value for each group: contact (m), wrist (rad), joints (rad)."""
        sizes = (3, 3, len(joint_names))
        return ResidualSpace(joint_names, np.repeat(np.array(sigma, float), sizes),
                             np.repeat(np.array(bound, float), sizes))

    @staticmethod
    def named(names: tuple[str, ...], sigma: Array, bound: Array) -> ResidualSpace:
        """From names, sigmas and bounds of all numbers, as a record has them. Raises ValueError: they are no residual's."""
        trajectory = names[-3:] == TAU
        joints = names[6:-3] if trajectory else names[6:]
        space = ResidualSpace(joints, np.array(sigma, float), np.array(bound, float), trajectory)
        if space.names != names or space.sigma.shape != (space.size,) or space.bound.shape != (space.size,):
            raise ValueError(f"{len(names)} names, {len(sigma)} sigmas and {len(bound)} bounds are no residual's")
        return space

    def with_trajectory(self, sigma: float, bound: float) -> ResidualSpace:
        """The same with a shift of the trajectory; `sigma` and `bound` in metres."""
        return replace(self, sigma=np.append(self.sigma, [sigma] * 3), bound=np.append(self.bound, [bound] * 3),
                       trajectory=True)

    @property
    def names(self) -> tuple[str, ...]:
        return (*CONTACT, *WRIST, *self.joint_names, *(TAU if self.trajectory else ()))

    @property
    def size(self) -> int:
        return len(self.names)

    def clip(self, eps: Array) -> Array:
        """eps (size,) limited to the bounds."""
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
        end = 6 + len(self.joint_names)
        joints[self._rows(xi)] += eps[6:end]
        rotation = xi.rotation() * Rotation.from_rotvec(eps[3:6])
        offset = xi.trajectory_offset + eps[end:] if self.trajectory else xi.trajectory_offset
        return replace(xi, contact=xi.contact + eps[:3], wrist_rotation=rotation.as_rotvec(),
                       joints=joints, trajectory_offset=offset)

    def between(self, xi: GraspParameters, other: GraspParameters) -> Array:
        """The eps with apply(xi, eps) == other. Raises ValueError: they are of different hands, or of another than this."""
        if other.joint_names != xi.joint_names:
            raise ValueError(f"a grasp with the joints {other.joint_names} cannot be compared with one with {xi.joint_names}")
        wrist = (xi.rotation().inv() * other.rotation()).as_rotvec()
        tau = other.trajectory_offset - xi.trajectory_offset if self.trajectory else np.zeros(0)
        return np.concatenate([other.contact - xi.contact, wrist, (other.joints - xi.joints)[self._rows(xi)], tau])

    def _rows(self, xi: GraspParameters) -> list[int]:
        """Where the joints of eps stand in xi, which also has those that follow others."""
        if not set(self.joint_names) <= set(xi.joint_names):
            raise ValueError(f"xi has the joints {xi.joint_names}, this residual space {self.joint_names}")
        return [xi.joint_names.index(name) for name in self.joint_names]
