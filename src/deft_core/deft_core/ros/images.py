"""The synchronised colour, depth and intrinsics triple of an RGB-D camera."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from deft_core.descriptions import CameraConfig
from deft_core.ros import qos
from deft_core.ros.conversions import stamp_nanoseconds

KEEP = 5  # stamps waited for their partners
AnyImage = Image | CompressedImage


def colour_topic(camera: CameraConfig) -> tuple[type, str]:
    """Message and topic of the colour image."""
    raw = f"{camera.namespace}/color/image_raw"
    return (Image, raw) if camera.transport == "raw" else (CompressedImage, f"{raw}/compressed")


def depth_topic(camera: CameraConfig) -> tuple[type, str]:
    """Message and topic of the depth image that is aligned to colour."""
    raw = f"{camera.namespace}/aligned_depth_to_color/image_raw"
    return (Image, raw) if camera.transport == "raw" else (CompressedImage, f"{raw}/compressedDepth")


@dataclass(frozen=True)
class ImageSet:
    """Messages with one stamp (ns), and when the last of them arrived (s, monotonic clock)."""

    stamp: int
    rgb: AnyImage
    depth: AnyImage
    info: CameraInfo
    received: float


class ImageSynchronizer:
    """Joins the three topics by exactly equal stamps, as realsense2_camera gives them with enable_sync.

    Args:
        on_set: told of every complete set, in the subscriptions' threads.
    """

    def __init__(self, node: Node, camera: CameraConfig, group: CallbackGroup,
                 on_set: Callable[[ImageSet], None] = lambda _: None) -> None:
        self._on_set = on_set
        self._condition = threading.Condition()
        self._partial: OrderedDict[int, dict[str, AnyImage | CameraInfo]] = OrderedDict()
        self._latest: ImageSet | None = None
        self.topics = {"rgb": colour_topic(camera), "depth": depth_topic(camera),
                       "info": (CameraInfo, f"{camera.namespace}/color/camera_info")}
        for kind, (message, topic) in self.topics.items():
            node.create_subscription(message, topic, lambda m, k=kind: self._add(k, m),
                                     qos.images(camera.reliability), callback_group=group)

    def _add(self, kind: str, message: AnyImage | CameraInfo) -> None:
        stamp = stamp_nanoseconds(message.header.stamp)
        with self._condition:
            parts = self._partial.setdefault(stamp, {})
            parts[kind] = message
            if len(parts) == len(self.topics):
                del self._partial[stamp]
                self._latest = ImageSet(stamp, parts["rgb"], parts["depth"], parts["info"], time.monotonic())
                self._on_set(self._latest)
                self._condition.notify_all()
            while len(self._partial) > KEEP:
                self._partial.popitem(last=False)

    def newer_than(self, stamp: int, timeout: float) -> ImageSet | None:
        """A set with a stamp (ns) later than this that arrived after the call or is still fresh enough.

        Args:
            stamp: ns, camera clock; 0 asks for any set that arrives after the call.
            timeout: s of wall time.
        """
        called = time.monotonic()

        def good() -> bool:
            latest = self._latest
            return latest is not None and (latest.stamp > stamp if stamp else latest.received > called)

        with self._condition:
            return self._latest if self._condition.wait_for(good, timeout) else None

    def latest(self) -> ImageSet | None:
        """The last complete set, however old."""
        with self._condition:
            return self._latest

    def silence(self) -> float:
        """s since the last complete set, infinity before the first."""
        with self._condition:
            return time.monotonic() - self._latest.received if self._latest else float("inf")
