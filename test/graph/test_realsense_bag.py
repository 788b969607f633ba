"""A recorded bag with messages as realsense2_camera (4.58) publishes them, played to the perception node."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
from deft_msgs.srv import Observe
from graph_support import domain, wait_for
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.node import call
from deft_perception import codes
from deft_perception.node import PerceptionNode
from deft_sim.clutter import Table, TableSetter

pytestmark = pytest.mark.graph
SPACE = "/camera/camera"
KINDS = {f"{SPACE}/color/image_raw": Image, f"{SPACE}/color/camera_info": CameraInfo,
         f"{SPACE}/aligned_depth_to_color/image_raw": Image, f"{SPACE}/aligned_depth_to_color/camera_info": CameraInfo,
         f"{SPACE}/depth/image_rect_raw": Image}
FRAMES, NO_DEPTH_AT, ZERO_AT = 20, 4, 7
PERIOD = 33_366_666  # ns
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)  # SYSTEM_DEFAULT of Fast DDS and Cyclone


def image(rows: np.ndarray, encoding: str, header: Header) -> Image:
    return Image(header=header, height=rows.shape[0], width=rows.shape[1], encoding=encoding, is_bigendian=0,
                 step=rows.strides[0], data=rows.tobytes())


def info(intrinsics, header: Header) -> CameraInfo:
    """With the distortion model of a D435's colour stream, whose coefficients are 0, and all matrices."""
    k = intrinsics
    return CameraInfo(header=header, height=k.height, width=k.width, distortion_model="plumb_bob", d=[0.0] * 5,
                      k=[k.fx, 0.0, k.cx, 0.0, k.fy, k.cy, 0.0, 0.0, 1.0], r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
                      p=[k.fx, 0.0, k.cx, 0.0, 0.0, k.fy, k.cy, 0.0, 0.0, 0.0, 1.0, 0.0])


def record(folder: Path, table: Table, intrinsics) -> None:
    """Frames at 30 Hz: colour in the colour optical frame, depth aligned to it and raw in its own; an aligned one was dropped,
    and one is all zero."""
    store, rng = get_typestore(Stores.ROS2_JAZZY), np.random.default_rng(0)
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = {Image: "sensor_msgs/msg/Image", CameraInfo: "sensor_msgs/msg/CameraInfo"}
        connections = {topic: writer.add_connection(topic, kind[KINDS[topic]], typestore=store) for topic in KINDS}
        for k in range(FRAMES):
            stamp = 1_700_000_000 * 10**9 + k * PERIOD
            header = Header(stamp=Time(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id="camera_color_optical_frame")
            raw = Header(stamp=header.stamp, frame_id="camera_depth_optical_frame")
            noise = rng.integers(0, 2, table.depth.shape).astype(np.uint16)
            depth = (table.depth + noise * (table.depth > 0)).astype("<u2") * (k != ZERO_AT)
            messages = {f"{SPACE}/color/image_raw": image(table.rgb, "rgb8", header),
                        f"{SPACE}/color/camera_info": info(intrinsics, header),
                        f"{SPACE}/aligned_depth_to_color/image_raw": image(depth.astype("<u2"), "16UC1", header),
                        f"{SPACE}/aligned_depth_to_color/camera_info": info(intrinsics, header),
                        f"{SPACE}/depth/image_rect_raw": image(np.zeros((480, 848), "<u2"), "16UC1", raw)}
            for topic, message in messages.items():
                if not (k == NO_DEPTH_AT and "aligned_depth_to_color/image" in topic):
                    writer.write(connections[topic], stamp, serialize_message(message))


class Player(Node):
    """Publishes a bag's messages with the stamps that they have, in the rhythm that they had."""

    def __init__(self, bag: Path) -> None:
        super().__init__("camera")
        self._senders = {topic: self.create_publisher(kind, topic, RELIABLE) for topic, kind in KINDS.items()}
        with Reader(bag) as reader:
            self.messages = [(stamp, c.topic, deserialize_message(bytes(data), KINDS[c.topic]))
                             for c, stamp, data in reader.messages()]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)

    def play(self, frames: slice = slice(None)) -> None:
        stamps = sorted({s for s, _, _ in self.messages})[frames]
        self._chosen = [m for m in self.messages if m[0] in set(stamps)]
        self._thread.start()

    def _play(self) -> None:
        shift = 0
        while not self._stop.is_set():
            before = None
            for stamp, topic, message in self._chosen:
                if before is not None and stamp != before and self._stop.wait(PERIOD * 1e-9):
                    return
                before, moved = stamp, stamp + shift
                message.header.stamp = Time(sec=moved // 10**9, nanosec=moved % 10**9)
                self._senders[topic].publish(message)
            shift += PERIOD * len({stamp for stamp, _, _ in self._chosen})
            self._stop.wait(PERIOD * 1e-9)

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=2)
        self.destroy_node()


@pytest.fixture(scope="module")
def bag(tmp_path_factory, robot, hand):
    table = TableSetter(robot, hand).table("test", 4, 1, 4)
    folder = tmp_path_factory.mktemp("realsense") / "bag"
    record(folder, table, robot.camera.intrinsics())
    return folder, table


@pytest.fixture
def rig(tmp_path):
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(28), "LOCALHOST"
    rclpy.init()
    node, client = PerceptionNode(parameter_overrides=[Parameter("debug_dir", value=str(tmp_path))]), Node("client")
    executor = MultiThreadedExecutor(4)
    executor.add_node(node)
    executor.add_node(client)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield client
    executor.shutdown(timeout_sec=2)
    thread.join(timeout=2)
    node.destroy_node()
    client.destroy_node()
    rclpy.try_shutdown()


def observe(client: Node) -> Observe.Response:
    return call(client.create_client(Observe, names.OBSERVE), Observe.Request(timeout=5.0, prompt_text="cup"), 20.0)


def test_a_realsense_bag_is_seen_in_metres_and_a_driver_that_came_back_too(bag, rig):
    folder, table = bag
    for _ in range(2):  # the driver lost its device and is started again: new publishers
        with Player(folder) as player:
            player.play()
            response = observe(rig)
            deadline = time.monotonic() + 30
            while response.error_code and time.monotonic() < deadline:  # a look at the frame of zeros, for one
                response = observe(rig)
        assert response.error_code == 0, response.error_msg
        seen = response.observation
        assert seen.header.frame_id == "camera_color_optical_frame" and seen.camera_info.k[0] == pytest.approx(465.0)
        mask, truth = conv.image_from_msg(seen.mask, "mono8") > 0, table.masks["cup"]
        assert (mask & truth).sum() / (mask | truth).sum() > 0.8
        rows, columns = np.nonzero(truth)
        intrinsics = conv.intrinsics_from_msg(seen.camera_info)
        pixels = np.column_stack([columns, rows]).astype(float)
        points = table.camera.apply(intrinsics.deproject(pixels, table.true_depth[truth]))
        np.testing.assert_allclose(conv.xyz(seen.centroid), np.median(points, axis=0), atol=0.01)  # m, not mm
        time.sleep(0.5)


def test_a_frame_of_zeros_and_one_without_depth_are_told_apart_from_a_table(bag, rig):
    folder, _ = bag
    with Player(folder) as player:
        player.play(slice(ZERO_AT, ZERO_AT + 1))
        wait_for(lambda: observe(rig).error_code not in (0, codes.CAMERA_STALE), 30, "a refusal")
        response = observe(rig)
        assert response.error_code in (codes.NO_DEPTH, codes.NO_TABLE, codes.CAMERA_FROZEN), response.error_msg
    with Player(folder) as player:
        player.play(slice(NO_DEPTH_AT, NO_DEPTH_AT + 1))
        time.sleep(1.0)
        response = observe(rig)
        assert response.error_code == codes.CAMERA_STALE and "align_depth and enable_sync" in response.error_msg
