"""A calibration file of easy_handeye2 takes the place of the camera's pose in the robot's YAML."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation
from support import CONFIG

from deft_core.calibration import read_hand_eye
from deft_core.config import content_hash, find, load, read_yaml
from deft_core.descriptions import RobotConfig
from deft_core.errors import ConfigError

QUATERNION = Rotation.from_euler("xyz", [-2.2, 0.1, -2.3]).as_quat()


def calib(frame: str = "camera_color_optical_frame", base: str = "base_link", kind: str = "eye_on_base",
          w: float = QUATERNION[3]):
    """As easy_handeye2 writes it."""
    return {"parameters": {"name": "deft", "calibration_type": kind, "robot_base_frame": base, "robot_effector_frame": "link7",
                           "tracking_base_frame": frame, "tracking_marker_frame": "marker", "freehand_robot_movement": True,
                           "move_group_namespace": "/", "move_group": "manipulator"},
            "transform": {"translation": {"x": 0.1, "y": 0.42, "z": 0.6},
                          "rotation": dict(zip("xyzw", [*map(float, QUATERNION[:3]), float(w)], strict=True))}}


@pytest.fixture
def with_file(tmp_path):
    """The simulated robot with a calibration file."""
    def make(content, **camera) -> RobotConfig:
        file = tmp_path / "deft.calib"
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        data = read_yaml(find(CONFIG, "robots", "xarm7_sim"))
        data["camera"] |= {"calibration_file": str(file), **camera}
        (tmp_path / "robot.yaml").write_text(yaml.safe_dump(data))
        return load(RobotConfig, tmp_path / "robot.yaml")

    return make


def test_the_file_says_where_the_camera_is(with_file, robot):
    found = with_file(calib())
    pose = found.camera.optical_in_base.pose()
    np.testing.assert_allclose(pose.position, [0.1, 0.42, 0.6])
    assert (pose.rotation * Rotation.from_quat(QUATERNION).inv()).magnitude() < 1e-9
    hashes = [content_hash(r.camera.model_dump(mode="json")) for r in (robot, found)]
    assert hashes[0] != hashes[1]  # of which the session keeps one


def test_another_calibration_is_another_session(with_file):
    first = with_file(calib()).camera.model_dump(mode="json")
    again = calib()
    again["transform"]["translation"]["x"] = 0.101
    assert content_hash(first) != content_hash(with_file(again).camera.model_dump(mode="json"))


def test_a_calibrated_link_needs_the_way_to_the_optical_frame(with_file):
    with pytest.raises(ConfigError, match=r"tf2_echo camera_link camera_color_optical_frame"):
        with_file(calib(frame="camera_link"))
    offset = {"xyz": [0.0, 0.015, 0.0], "rpy": [-1.5708, 0.0, -1.5708]}
    pose = with_file(calib(frame="camera_link"), optical_in_calibrated=offset).camera.optical_in_base.pose()
    want = Rotation.from_quat(QUATERNION).apply([0.0, 0.015, 0.0]) + np.array([0.1, 0.42, 0.6])
    np.testing.assert_allclose(pose.position, want)


@pytest.mark.parametrize(("content", "words"), [
    (calib(kind="eye_in_hand"), "calibration_type:=eye_on_base"), (calib(base="world"), "robot_base_frame:=base_link"),
    (calib(w=float("nan")), "unit quaternion"), (calib(w=0.0), "unit quaternion"),
    ("parameters: {", "is not a file of easy_handeye2"),
    ("just text", "is not a file"), ({"transform": {}}, "is not a file")])
def test_a_file_that_cannot_be_used_is_refused_with_a_way_out(with_file, content, words):
    with pytest.raises(ConfigError, match=words):
        with_file(content)


def test_a_missing_file_says_how_it_is_made(tmp_path):
    with pytest.raises(ConfigError, match="calibrate with easy_handeye2"):
        read_hand_eye(tmp_path / "none.calib")
