"""The perception node over DDS: a camera that shows tables of several things, clicks, names, and all that can go wrong."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
import rclpy
from deft_msgs.srv import Observe
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from graph_support import domain, wait_for
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from deft_core.config import default_config_dir
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.node import call
from deft_perception.node import PerceptionNode
from deft_sim.clutter import Table, TableSetter

pytestmark = pytest.mark.graph
FROZEN_FRAMES = 5
TOPIC = "/camera/camera/aligned_depth_to_color/image_raw"


class Camera(Node):
    """Sends a table's picture on demand, as realsense2_camera does, raw or through image_transport."""

    def __init__(self, table: Table, robot, transport: str) -> None:
        super().__init__("camera")
        self.table, self.stamp, self.raw = table, 10**12, transport == "raw"
        self.k = robot.camera.intrinsics()
        kind, colour, depth = (Image, "", "") if self.raw else (CompressedImage, "/compressed", "/compressedDepth")
        self._colour = self.create_publisher(kind, f"/camera/camera/color/image_raw{colour}", 5)
        self._depth = self.create_publisher(kind, f"{TOPIC}{depth}", 5)
        self._info = self.create_publisher(CameraInfo, "/camera/camera/color/camera_info", 5)
        self._rng = np.random.default_rng(0)

    def send(self, noise: int = 1, step: float = 0.1) -> None:
        self.stamp += round(step * 1e9)
        header = Header(stamp=conv.stamp_msg(self.stamp), frame_id="camera_color_optical_frame")
        known = self.table.depth > 0
        depth = self.table.depth + self._rng.integers(0, noise + 1, known.shape).astype(np.uint16) * known
        if self.raw:
            self._colour.publish(conv.image_to_msg(self.table.rgb, "rgb8", header))
            self._depth.publish(conv.image_to_msg(depth, "16UC1", header))
        else:
            self._colour.publish(conv.jpeg_msg(self.table.rgb, header))
            png = cv2.imencode(".png", depth)[1].tobytes()
            self._depth.publish(CompressedImage(header=header, format="16UC1; compressedDepth png",
                                                data=struct.pack("<iff", 0, 0.0, 0.0) + png))
        self._info.publish(conv.intrinsics_to_msg(self.k, header))


class Rig:
    """Node, camera and client."""

    def __init__(self, camera: Camera, node: PerceptionNode, pictures) -> None:
        self.camera, self.node, self.pictures = camera, node, pictures
        self.client = camera.create_client(Observe, names.OBSERVE)
        self.clicks = camera.create_publisher(PointStamped, "/clicked_point", 1)
        self.diagnostics: list[DiagnosticArray] = []
        camera.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, 5)
        wait_for(lambda: camera.count_subscribers("/clicked_point") and camera.count_subscribers(
            "/camera/camera/color/camera_info"), 10)

    def observe(self, noise: int = 1, step: float = 0.1, **fields) -> Observe.Response:
        """Ask, and send pictures until the answer comes."""
        time.sleep(0.3)  # what was sent before has arrived
        answer: list[Observe.Response] = []
        asking = threading.Thread(target=lambda: answer.append(call(self.client, Observe.Request(timeout=5.0, **fields), 20.0)))
        asking.start()
        while asking.is_alive():
            self.camera.send(noise, step)
            step = 0.1
            asking.join(0.05)
        return answer[0]

    def shown(self, response: Observe.Response) -> str:
        """What the mask shows."""
        assert response.error_code == 0, response.error_msg
        mask = conv.image_from_msg(response.observation.mask, "mono8") > 0
        return max(self.camera.table.masks, key=lambda name: int((self.camera.table.masks[name] & mask).sum()))

    def middle(self, name: str) -> np.ndarray:
        """A point in the base frame on a thing."""
        rows, columns = np.nonzero(self.camera.table.masks[name])
        k = len(rows) // 2
        depth = float(self.camera.table.true_depth[rows[k], columns[k]])
        return self.camera.table.camera.apply(self.camera.k.deproject(np.array([columns[k], rows[k]], float), np.array(depth)))


@pytest.fixture(scope="module")
def table(robot, hand):
    """Three things or more, none of them seen in training."""
    found = TableSetter(robot, hand).table("test", 4, 1, 4)
    assert len(found.objects) >= 3 and "cup" in found.objects, found.objects
    return found


@pytest.fixture(scope="module", params=["raw", "compressed"])
def rig(request, table, robot, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    config = folder / "config"
    shutil.copytree(default_config_dir(), config)
    yaml = config / "robots" / "xarm7_sim.yaml"
    yaml.write_text(yaml.read_text().replace("frozen_frames: 0 ",
                                             f"frozen_frames: {FROZEN_FRAMES}\n  transport: {request.param}"))
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(14), "LOCALHOST"
    rclpy.init()
    camera = Camera(table, robot, request.param)
    node = PerceptionNode(parameter_overrides=[Parameter("config_dir", value=str(config)),
                                               Parameter("debug_dir", value=str(folder / "pictures"))])
    executor = MultiThreadedExecutor(4)
    executor.add_node(camera)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield Rig(camera, node, folder / "pictures")
    executor.shutdown(timeout_sec=2)
    thread.join(timeout=2)
    for each in (camera, node):
        each.destroy_node()
    rclpy.try_shutdown()


def test_the_task_alone_tells_which_thing_is_meant(rig):
    response = rig.observe(task="pick_cup")
    assert rig.shown(response) == "cup"
    seen = response.observation
    assert seen.quality_flags == 0 and not seen.warnings and seen.mask_score > 0.3
    points = np.frombuffer(bytes(seen.cloud.data), "<f4").reshape(-1, 3)
    assert seen.cloud.header.frame_id == "base_link" and len(points) > 100
    assert np.linalg.norm(points.mean(axis=0) - conv.xyz(seen.centroid)) < 0.03
    sent = np.where(rig.camera.table.depth > 0, rig.camera.table.depth / 1000.0, np.nan)
    assert np.allclose(conv.depth_from_msg(seen.aligned_depth), sent, atol=0.0011, equal_nan=True)


def test_another_name_another_thing_and_a_click_before_both(rig):
    other = next(name for name in rig.camera.table.objects if name != "cup")
    assert rig.shown(rig.observe(task="pick_cup", prompt_text=other)) == other
    x, y, z = rig.middle(other)
    click = PointStamped(header=Header(frame_id="base_link"))
    click.point.x, click.point.y, click.point.z = float(x), float(y), float(z)
    rig.clicks.publish(click)
    wait_for(lambda: rig.node._clicks.pixel() is not None, 5)
    assert rig.shown(rig.observe(task="pick_cup")) == other
    assert rig.shown(rig.observe(task="pick_cup")) == "cup", "a click is for one look"
    rows, columns = np.nonzero(rig.camera.table.masks[other])
    middle = len(rows) // 2
    assert rig.shown(rig.observe(prompt_point=[float(columns[middle]), float(rows[middle])])) == other


@pytest.mark.parametrize(("fields", "code", "said"), [
    ({"prompt_text": "hammer"}, Observe.Request.BAD_INPUT, "nouns.yaml"),
    ({"task": "juggle"}, Observe.Request.BAD_INPUT, "juggle"),
    ({"prompt_point": [1.0]}, Observe.Request.BAD_INPUT, "needs u and v"),
    ({"prompt_point": [2.0, 2.0]}, Observe.Request.NO_OBJECT, "point at one")])
def test_what_cannot_be_found_is_refused_with_a_way_out(rig, fields, code, said):
    response = rig.observe(**fields)
    assert response.error_code == code and said in response.error_msg
    if code == Observe.Request.NO_OBJECT:
        path = response.error_msg.split("picture: ")[1].rstrip(")")
        assert cv2.imread(path) is not None and path.startswith(str(rig.pictures))


def test_a_frozen_camera_is_noticed_and_forgiven(rig):
    for _ in range(FROZEN_FRAMES + 3):
        rig.camera.send(noise=0)
        time.sleep(0.05)
    response = rig.observe(noise=0, task="pick_cup")
    assert response.error_code == Observe.Request.CAMERA_FROZEN and "restart its driver" in response.error_msg
    assert rig.shown(rig.observe(task="pick_cup")) == "cup"


def test_a_clock_that_is_set_back_is_told_once(rig):
    rig.observe(task="pick_cup")
    response = rig.observe(step=-50.0, task="pick_cup")
    assert response.error_code == Observe.Request.CLOCK_JUMP and "-50" in response.error_msg
    assert rig.shown(rig.observe(task="pick_cup")) == "cup"


def test_a_node_that_lacks_its_weights_says_so_and_ends():
    command = [sys.executable, "-m", "deft_perception.node", "--ros-args", "-p", "backend:=sam"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1 and "docs/perception.md" in ended.stderr and "Traceback" not in ended.stderr


def test_diagnostics_name_backend_latency_and_trouble(rig):
    rig.observe(task="pick_cup", prompt_text="hammer")
    rig.diagnostics.clear()
    wait_for(lambda: bool(rig.diagnostics), 5)
    status = rig.diagnostics[-1].status[0]
    values = {item.key: item.value for item in status.values}
    assert values["backend"] == "tabletop" and float(values["median segmentation, ms"]) > 0.0
    assert "hammer" in values["last problem"]
