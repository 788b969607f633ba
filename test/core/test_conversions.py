"""Messages and value types agree, and malformed messages are refused."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField
from std_msgs.msg import Header

from deft_core.ros import conversions as conv
from deft_core.types import GraspParameters, Intrinsics, Pose


@pytest.mark.parametrize(("encoding", "dtype", "channels"), [("rgb8", np.uint8, 3), ("mono8", np.uint8, 1),
                                                             ("16UC1", np.uint16, 1), ("32FC1", np.float32, 1)])
def test_images_round_trip(encoding, dtype, channels):
    shape = (5, 7, 3) if channels == 3 else (5, 7)
    image = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    assert np.array_equal(conv.image_from_msg(conv.image_to_msg(image, encoding, Header()), encoding), image)


def test_big_endian_and_padded_rows():
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    msg = conv.image_to_msg(image, "16UC1", Header())
    rows = image.astype(">u2").tobytes()
    padded = b"".join(rows[i * 8:(i + 1) * 8] + b"\xff\xff" for i in range(3))
    msg.is_bigendian, msg.step, msg.data = 1, 10, padded
    assert np.array_equal(conv.image_from_msg(msg, "16UC1"), image)


def test_wrong_encoding_and_truncated_data_are_refused():
    msg = conv.image_to_msg(np.zeros((4, 4), np.uint16), "16UC1", Header())
    with pytest.raises(ValueError, match="encoding"):
        conv.image_from_msg(msg, "rgb8")
    msg.data = msg.data[:-1]
    with pytest.raises(ValueError, match="bytes"):
        conv.image_from_msg(msg, "16UC1")


def test_intrinsics_round_trip_and_refusals():
    k = Intrinsics(640, 480, 465.0, 466.0, 319.5, 239.5)
    assert conv.intrinsics_from_msg(conv.intrinsics_to_msg(k, Header())) == k
    with pytest.raises(ValueError, match="calibrated"):
        conv.intrinsics_from_msg(CameraInfo(width=640, height=480))
    for bad in ({"d": [0.1] * 7}, {"d": [float("nan")] * 5}, {"d": [0.1] * 5, "distortion_model": "fisheye62"}):
        message = conv.intrinsics_to_msg(k, Header())
        for field, value in bad.items():
            setattr(message, field, value)
        with pytest.raises(ValueError, match=r"distortion.*plumb_bob"):
            conv.intrinsics_from_msg(message)


@pytest.mark.parametrize(("model", "distortion"), [
    ("plumb_bob", (-0.05, 0.06, 0.001, 0.0, -0.02)), ("equidistant", (0.1, 0.0, 0.0, 0.0)),
    ("rational_polynomial", (0.1,) * 8)])
def test_lens_distortion_comes_along(model, distortion):
    k = Intrinsics(640, 480, 465.0, 466.0, 319.5, 239.5, distortion, model)
    assert conv.intrinsics_from_msg(conv.intrinsics_to_msg(k, Header())) == k


def test_clouds_are_read_as_points():
    points = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    msg = conv.cloud_msg(points, Header(frame_id="base_link"))
    assert msg.width * msg.height == 5 and [f.name for f in msg.fields] == ["x", "y", "z"] and msg.is_dense
    assert np.array_equal(np.frombuffer(bytes(msg.data), "<f4").reshape(5, 3), points)
    assert np.array_equal(conv.cloud_from_msg(msg), points)


def test_clouds_of_other_makers_are_read_and_broken_ones_refused():
    """A depth camera's driver packs other fields between, for one."""
    rows = np.zeros(4, [("rgb", "<f4"), ("x", "<f4"), ("y", "<f4"), ("pad", "<f4"), ("z", "<f4")])
    rows["x"], rows["y"], rows["z"] = 1.0, 2.0, np.arange(4)
    fields = [PointField(name=n, offset=o, datatype=PointField.FLOAT32, count=1) for n, o in (("x", 4), ("y", 8), ("z", 16))]
    msg = PointCloud2(height=1, width=4, fields=fields, point_step=20, row_step=80, data=rows.tobytes())
    assert conv.cloud_from_msg(msg).tolist() == [[1.0, 2.0, z] for z in range(4)]
    assert conv.cloud_from_msg(PointCloud2()).shape == (0, 3)
    whole = {"height": 1, "width": 4, "fields": fields, "point_step": 20, "row_step": 80, "data": rows.tobytes()}
    for change in ({"width": 5, "row_step": 100}, {"row_step": 96}, {"is_bigendian": True}, {"fields": fields[:2]}):
        with pytest.raises(ValueError, match="all its points"):
            conv.cloud_from_msg(PointCloud2(**(whole | change)))


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_poses_round_trip(rotvec):
    pose = Pose(np.array([1.0, 2.0, 3.0]), Rotation.from_rotvec(rotvec))
    assert np.allclose(conv.pose_from_msg(conv.pose_msg(pose)).matrix(), pose.matrix())


def test_zero_quaternion_is_refused():
    with pytest.raises(ValueError, match="not a rotation"):
        conv.rotation_from_msg(Quaternion(x=0.0, y=0.0, z=0.0, w=0.0))


def test_grasp_round_trip_and_mismatch():
    grasp = GraspParameters(np.arange(3.0), np.array([0.1, 0.2, 0.3]), ("a", "b"), np.array([0.5, 0.6]), "h", "base_link",
                            np.array([0.01, 0.02, 0.03]))
    msg = conv.grasp_to_msg(grasp)
    back = conv.grasp_from_msg(msg)
    assert back.joint_names == grasp.joint_names and np.array_equal(back.joints, grasp.joints)
    assert np.array_equal(back.trajectory_offset, grasp.trajectory_offset)
    msg.joint_names = ["a"]
    with pytest.raises(ValueError, match="joint names"):
        conv.grasp_from_msg(msg)


def test_stamps():
    assert conv.stamp_nanoseconds(conv.stamp_msg(1_234_567_890_123)) == 1_234_567_890_123
    assert conv.stamp_seconds(Time(sec=2, nanosec=500_000_000)) == 2.5
