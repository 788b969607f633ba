"""Between messages and value types."""

from __future__ import annotations

import array
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Duration, Time
from deft_msgs.msg import GraspParameters as GraspMsg
from deft_msgs.msg import PhaseTime
from deft_msgs.msg import Residual as ResidualMsg
from geometry_msgs.msg import Point, Quaternion, Vector3
from geometry_msgs.msg import Pose as PoseMsg
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectoryPoint

from deft_core.projection import metres
from deft_core.residual import ResidualSpace
from deft_core.ros import bridge
from deft_core.types import DISTORTION_COUNTS, Array, GraspParameters, Intrinsics, Pose

ENCODINGS = bridge.ENCODINGS
COLOUR_CHANGES = {("bgr8", "rgb8"): cv2.COLOR_BGR2RGB, ("rgba8", "rgb8"): cv2.COLOR_RGBA2RGB,
                  ("bgra8", "rgb8"): cv2.COLOR_BGRA2RGB, ("mono8", "rgb8"): cv2.COLOR_GRAY2RGB}


def image_to_msg(image: NDArray[Any], encoding: str, header: Header) -> Image:
    """A (h, w[, 3]) array as sensor_msgs/Image. Raises ValueError when array and encoding disagree."""
    dtype, channels = ENCODINGS[encoding]
    if image.dtype != dtype or image.shape[2:] != ((channels,) if channels > 1 else ()):
        raise ValueError(f"an image of {image.dtype} {image.shape} is not {encoding}")
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(image).tobytes())
    return Image(header=header, height=image.shape[0], width=image.shape[1], encoding=encoding, is_bigendian=0,
                 step=image.shape[1] * channels * np.dtype(dtype).itemsize, data=data)


def image_from_msg(msg: Image | CompressedImage, encoding: str) -> NDArray[Any]:
    """An image message as an array (h, w[, 3]) of the encoding asked for; colours are reordered where they must be.

    Raises:
        ValueError: the message cannot be turned into that encoding, or its sizes do not fit together.
    """
    image, found = bridge.decoded(msg)
    if found == encoding or {found, encoding} == {"16UC1", "mono16"}:
        return image
    if (found, encoding) not in COLOUR_CHANGES:
        raise ValueError(f"image encoding is '{found}', needed '{encoding}'")
    return cv2.cvtColor(image, COLOUR_CHANGES[found, encoding])


def depth_from_msg(msg: Image | CompressedImage) -> NDArray[np.float32]:
    """A depth image (h, w) in m, NaN for none, from 16UC1 (mm), 32FC1 (m) or compressedDepth.

    Raises:
        ValueError: another encoding, or sizes that do not fit together.
    """
    image, found = bridge.decoded(msg)
    if found not in ("16UC1", "mono16", "32FC1"):
        raise ValueError(f"depth encoding is '{found}', needed 16UC1 or 32FC1; is the camera's colorizer on?")
    return metres(image)


def jpeg_msg(rgb: NDArray[np.uint8], header: Header) -> CompressedImage:
    """An (h, w, 3) rgb image as JPEG."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not ok:
        raise ValueError("JPEG encoding failed")
    return CompressedImage(header=header, format="jpeg", data=data.tobytes())


def intrinsics_to_msg(k: Intrinsics, header: Header) -> CameraInfo:
    return CameraInfo(header=header, width=k.width, height=k.height, distortion_model=k.model, d=k.distortion or [0.0] * 5,
                      k=[k.fx, 0.0, k.cx, 0.0, k.fy, k.cy, 0.0, 0.0, 1.0], r=np.eye(3).ravel().tolist(),
                      p=[k.fx, 0.0, k.cx, 0.0, 0.0, k.fy, k.cy, 0.0, 0.0, 0.0, 1.0, 0.0])


def intrinsics_from_msg(msg: CameraInfo) -> Intrinsics:
    """Raises ValueError for intrinsics that cannot be used (zero or non-finite focal length, zero size)."""
    fx, fy, cx, cy = msg.k[0], msg.k[4], msg.k[2], msg.k[5]
    if not np.isfinite([fx, fy, cx, cy]).all() or fx <= 0 or fy <= 0 or not msg.width or not msg.height:
        raise ValueError(f"camera_info has unusable intrinsics fx={fx} fy={fy} size={msg.width}x{msg.height}; "
                         "is the camera calibrated?")
    distortion = tuple(float(d) for d in msg.d)
    if not any(abs(d) > 1e-9 for d in distortion):  # also NaN
        distortion = distortion if any(d != d for d in distortion) else ()
    if distortion and (msg.distortion_model not in DISTORTION_COUNTS
                       or len(distortion) not in DISTORTION_COUNTS[msg.distortion_model] or not np.isfinite(distortion).all()):
        known = ", ".join(f"{name} ({' or '.join(map(str, n))})" for name, n in DISTORTION_COUNTS.items())
        raise ValueError(f"camera_info has distortion model '{msg.distortion_model}' with coefficients {list(distortion)}; "
                         f"known are {known}")
    return Intrinsics(msg.width, msg.height, fx, fy, cx, cy, distortion, msg.distortion_model if distortion else "plumb_bob")


def cloud_msg(points: NDArray[np.float32], header: Header) -> PointCloud2:
    """Points (n, 3), m, in the header's frame."""
    fields = [PointField(name=name, offset=4 * k, datatype=PointField.FLOAT32, count=1) for k, name in enumerate("xyz")]
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(points, "<f4").tobytes())
    return PointCloud2(header=header, height=1, width=len(points), fields=fields, is_bigendian=False, point_step=12,
                       row_step=12 * len(points), data=data, is_dense=bool(np.isfinite(points).all()))


def cloud_from_msg(message: PointCloud2) -> Array:
    """Points (n, 3), m, in the message's frame. Raises ValueError: no float32 x, y, z, padded rows, or bytes are missing."""
    offsets = {f.name: f.offset for f in message.fields if f.datatype == PointField.FLOAT32 and f.count == 1}
    size, step = message.width * message.height, message.point_step
    if not size:
        return np.zeros((0, 3))
    if not set("xyz") <= set(offsets) or message.is_bigendian or message.row_step != message.width * step \
            or len(message.data) < size * step:
        raise ValueError("the cloud needs little-endian float32 fields x, y and z, rows without padding, and all its points")
    layout = np.dtype({"names": list("xyz"), "formats": ["<f4"] * 3, "offsets": [offsets[n] for n in "xyz"], "itemsize": step})
    points = np.frombuffer(message.data, layout, size)
    return np.stack([points[n] for n in "xyz"], axis=1).astype(float)


def point_msg(p: Array) -> Point:
    return Point(x=float(p[0]), y=float(p[1]), z=float(p[2]))


def vector_msg(v: Array) -> Vector3:
    return Vector3(x=float(v[0]), y=float(v[1]), z=float(v[2]))


def xyz(msg: Point | Vector3) -> Array:
    return np.array([msg.x, msg.y, msg.z])


def quaternion_msg(rotation: Rotation) -> Quaternion:
    x, y, z, w = rotation.as_quat().tolist()
    return Quaternion(x=x, y=y, z=z, w=w)


def rotation_from_msg(msg: Quaternion) -> Rotation:
    """Raises ValueError for a zero or non-finite quaternion."""
    q = np.array([msg.x, msg.y, msg.z, msg.w])
    if not np.isfinite(q).all() or np.linalg.norm(q) < 1e-6:
        raise ValueError(f"not a rotation: quaternion xyzw {q.tolist()}")
    return Rotation.from_quat(q)


def pose_msg(pose: Pose) -> PoseMsg:
    return PoseMsg(position=point_msg(pose.position), orientation=quaternion_msg(pose.rotation))


def pose_from_msg(msg: PoseMsg) -> Pose:
    return Pose(xyz(msg.position), rotation_from_msg(msg.orientation))


def pose_of_transform(msg: Any) -> Pose:
    """A geometry_msgs/Transform as the pose of its child frame, m."""
    return Pose(xyz(msg.translation), rotation_from_msg(msg.rotation))


def grasp_to_msg(grasp: GraspParameters) -> GraspMsg:
    return GraspMsg(header=Header(frame_id=grasp.frame), hand=grasp.hand, contact=point_msg(grasp.contact),
                    wrist_rotation=vector_msg(grasp.wrist_rotation), joint_names=list(grasp.joint_names),
                    joint_positions=grasp.joints.tolist(), trajectory_offset=vector_msg(grasp.trajectory_offset))


def grasp_from_msg(msg: GraspMsg) -> GraspParameters:
    """Raises ValueError when names and positions differ in number."""
    if len(msg.joint_names) != len(msg.joint_positions):
        raise ValueError(f"{len(msg.joint_names)} joint names, {len(msg.joint_positions)} positions")
    return GraspParameters(xyz(msg.contact), xyz(msg.wrist_rotation), tuple(msg.joint_names),
                           np.array(msg.joint_positions, float), msg.hand, msg.header.frame_id, xyz(msg.trajectory_offset))


def residual_to_msg(space: ResidualSpace, values: Array) -> ResidualMsg:
    return ResidualMsg(names=list(space.names), values=np.asarray(values, float).tolist(), sigma=space.sigma.tolist(),
                       bound=space.bound.tolist())


def phases_to_msg(phases: Iterable[tuple[str, float, float]]) -> list[PhaseTime]:
    """(name, start, end), s of robot clock, as messages."""
    return [PhaseTime(phase=name, start=stamp_msg(round(start * 1e9)), end=stamp_msg(round(end * 1e9)))
            for name, start, end in phases]


def phases_from_msg(messages: Iterable[PhaseTime]) -> list[tuple[str, float, float]]:
    """(name, start, end), s of robot clock."""
    return [(m.phase, stamp_seconds(m.start), stamp_seconds(m.end)) for m in messages]


def stamp_seconds(stamp: Time | Duration) -> float:
    return float(stamp.sec) + 1e-9 * stamp.nanosec


def trajectory_times(points: Sequence[JointTrajectoryPoint]) -> Array:
    """(k,) s from the trajectory's start."""
    return np.array([stamp_seconds(point.time_from_start) for point in points])


def stamp_msg(nanoseconds: int) -> Time:
    return Time(sec=int(nanoseconds // 10**9), nanosec=int(nanoseconds % 10**9))


def stamp_nanoseconds(stamp: Time) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
