"""Value types that several packages share. Frames are named at every field; SI units and radians."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]
UNDISTORTION = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-10)  # iterations and change that end it


SURROUNDINGS_CELL = 0.02  # m, in which what stands on the table is told and avoided


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


DISTORTION_COUNTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}


@dataclass(frozen=True)
class Intrinsics:
    """A camera's intrinsics; pixel centres lie on integer coordinates.

    Attributes:
        distortion: coefficients in OpenCV's order, () for an undistorted image.
        model: a key of DISTORTION_COUNTS, as in sensor_msgs/CameraInfo. `plumb_bob` is the Brown-Conrady model
            (k1, k2, p1, p2, k3), which realsense2_camera reports for all but fisheye cameras.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    model: str = "plumb_bob"

    def matrix(self) -> Array:
        """The (3, 3) matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def normalized(self, uv: Array) -> Array:
        """Pixels (..., 2) -> (..., 2): where their rays meet the plane 1 m in front, undistorted."""
        uv = np.asarray(uv, float)
        if not self.distortion:
            return np.stack([(uv[..., 0] - self.cx) / self.fx, (uv[..., 1] - self.cy) / self.fy], axis=-1)
        pixels, k, d = uv.reshape(-1, 1, 2), self.matrix(), np.array(self.distortion)
        if self.model == "equidistant":
            return np.array(cv2.fisheye.undistortPoints(pixels, k, d), float).reshape(uv.shape)
        return np.array(cv2.undistortPoints(pixels, k, d, criteria=UNDISTORTION), float).reshape(uv.shape)

    def deproject(self, uv: Array, depth: Array) -> Array:
        """Pixels (..., 2) with depth (...) in metres along the optical axis -> (..., 3) optical frame."""
        depth = np.asarray(depth, float)
        return np.concatenate([self.normalized(uv) * depth[..., None], depth[..., None]], axis=-1)

    def project(self, points: Array) -> Array:
        """Points (..., 3) of the optical frame -> pixels (..., 2). Points behind the camera give NaN."""
        points = np.asarray(points, float)
        z = np.where(points[..., 2] > 0, points[..., 2], np.nan)
        flat = points[..., :2] / z[..., None]
        if not self.distortion:
            return flat * [self.fx, self.fy] + [self.cx, self.cy]
        rays = np.concatenate([flat, np.ones_like(z)[..., None]], axis=-1).reshape(-1, 1, 3)
        project = cv2.fisheye.projectPoints if self.model == "equidistant" else cv2.projectPoints
        pixels, _ = project(rays, np.zeros(3), np.zeros(3), self.matrix(), np.array(self.distortion))
        return np.array(pixels, float).reshape(flat.shape)


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
        trajectory_offset: (3,) metres, base frame; shifts the post-grasp trajectory tau: by nothing at its start, by this after
            a fifth of its time and from then on.
    """

    contact: Array
    wrist_rotation: Array
    joint_names: tuple[str, ...]
    joints: Array
    hand: str
    frame: str = "base_link"
    trajectory_offset: Array = field(default_factory=lambda: np.zeros(3))

    def rotation(self) -> Rotation:
        """Rotation from the grasp frame to the base frame."""
        return Rotation.from_rotvec(self.wrist_rotation)

    def raised(self, metres: float) -> GraspParameters:
        """The same grasp, higher along the base frame's z."""
        return replace(self, contact=self.contact + np.array([0.0, 0.0, metres]))

    def finite(self) -> bool:
        return all(bool(np.isfinite(a).all()) for a in (self.contact, self.wrist_rotation, self.joints, self.trajectory_offset))
