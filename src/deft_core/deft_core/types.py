"""Value types that several packages share. Frames are named at every field; SI units and radians."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """A rigid transform: pose of a child frame in a parent frame.

    Attributes:
        position: (3,) metres, origin of the child in the parent.
        rotation: rotation from child to parent.
    """

    position: Array
    rotation: Rotation

    @staticmethod
    def identity() -> Pose:
        return Pose(np.zeros(3), Rotation.identity())

    @staticmethod
    def from_xyz_rpy(xyz: tuple[float, ...], rpy: tuple[float, ...]) -> Pose:
        """From metres and fixed-axis roll, pitch, yaw in radians (the URDF convention)."""
        return Pose(np.asarray(xyz, float), Rotation.from_euler("xyz", rpy))

    @staticmethod
    def from_matrix(matrix: Array) -> Pose:
        """From a (4, 4) homogeneous matrix."""
        return Pose(np.array(matrix[:3, 3], float), Rotation.from_matrix(matrix[:3, :3]))

    def matrix(self) -> Array:
        """The (4, 4) homogeneous matrix."""
        out = np.eye(4)
        out[:3, :3] = self.rotation.as_matrix()
        out[:3, 3] = self.position
        return out

    def __matmul__(self, other: Pose) -> Pose:
        """Chain: (a in b) @ (c in a) = c in b."""
        return Pose(self.position + self.rotation.apply(other.position), self.rotation * other.rotation)

    def inverse(self) -> Pose:
        inverse = self.rotation.inv()
        return Pose(-inverse.apply(self.position), inverse)

    def apply(self, points: Array) -> Array:
        """Points (..., 3) of the child frame, in the parent frame."""
        points = np.asarray(points, float)
        return np.asarray(points @ self.rotation.as_matrix().T + self.position)


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole intrinsics of an undistorted image; pixel centres lie on integer coordinates."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def matrix(self) -> Array:
        """The (3, 3) matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def deproject(self, uv: Array, depth: Array) -> Array:
        """Pixels (..., 2) with depth (...) in metres along the optical axis -> (..., 3) optical frame."""
        uv, depth = np.asarray(uv, float), np.asarray(depth, float)
        return np.stack([(uv[..., 0] - self.cx) / self.fx * depth,
                         (uv[..., 1] - self.cy) / self.fy * depth, depth], axis=-1)

    def project(self, points: Array) -> Array:
        """Points (..., 3) of the optical frame -> pixels (..., 2). Points behind the camera give NaN."""
        points = np.asarray(points, float)
        z = np.where(points[..., 2] > 0, points[..., 2], np.nan)
        return np.stack([points[..., 0] / z * self.fx + self.cx, points[..., 1] / z * self.fy + self.cy], axis=-1)


@dataclass(frozen=True)
class GraspParameters:
    """xi: one grasp of the robot hand (paper section 1.2).

    Attributes:
        contact: (3,) metres, base frame; where the hand's grasp centre goes.
        wrist_rotation: (3,) rotation vector, rad, of the grasp frame in the base frame. The grasp
            frame stands at the palm centre, x to the fingers, z out of the palm.
        joint_names: hand joints by their URDF names.
        joints: (n,) rad, same order.
        hand: name of the hand description.
        frame: name of the base frame.
    """

    contact: Array
    wrist_rotation: Array
    joint_names: tuple[str, ...]
    joints: Array
    hand: str
    frame: str = "base_link"

    def rotation(self) -> Rotation:
        """Rotation from the grasp frame to the base frame."""
        return Rotation.from_rotvec(self.wrist_rotation)

    def raised(self, metres: float) -> GraspParameters:
        """The same grasp, higher along the base frame's z."""
        return replace(self, contact=self.contact + np.array([0.0, 0.0, metres]))

    def finite(self) -> bool:
        return all(bool(np.isfinite(a).all()) for a in (self.contact, self.wrist_rotation, self.joints))
