"""Image messages to arrays, with numpy and with cv_bridge: the same pixels for all that a RealSense driver sends."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from deft_core.ros import bridge
from deft_core.ros import conversions as conv

RNG = np.random.default_rng(0)
IMAGES = {"rgb8": RNG.integers(0, 255, (6, 9, 3), np.uint8), "bgr8": RNG.integers(0, 255, (6, 9, 3), np.uint8),
          "16UC1": RNG.integers(0, 9000, (6, 9), np.uint16), "32FC1": RNG.random((6, 9)).astype(np.float32),
          "mono8": RNG.integers(0, 255, (6, 9), np.uint8)}


class LikeCvBridge:
    """cv_bridge's two calls as its documentation has them: no conversion with "passthrough", OpenCV's decoder."""

    calls = 0

    def imgmsg_to_cv2(self, msg: Image, desired_encoding: str) -> np.ndarray:
        assert desired_encoding == "passthrough"
        self.calls += 1
        kind = {"8": np.uint8, "U": np.uint16, "F": np.float32}["8" if "8" in msg.encoding else msg.encoding[2]]
        channels = 3 if msg.encoding in ("rgb8", "bgr8") else 1
        order = np.dtype(kind).newbyteorder(">" if msg.is_bigendian else "<")
        shape = (msg.height, msg.step // order.itemsize // channels, channels)
        image = np.ndarray(shape, order, bytes(msg.data))[:, :msg.width]
        return image if channels > 1 else image[..., 0]

    def compressed_imgmsg_to_cv2(self, msg: CompressedImage, desired_encoding: str) -> np.ndarray:
        assert desired_encoding == "passthrough"
        self.calls += 1
        return cv2.imdecode(np.frombuffer(bytes(msg.data), np.uint8), cv2.IMREAD_UNCHANGED)


def bridges() -> list:
    """The stand-in, and the real one where it is installed."""
    found = bridge._find_cv_bridge()
    return [LikeCvBridge(), *([found] if found else [])]


def compressed(image: np.ndarray, extension: str, form: str) -> CompressedImage:
    return CompressedImage(format=form, data=cv2.imencode(extension, image)[1].tobytes())


MESSAGES = {**{encoding: conv.image_to_msg(image, encoding, Header()) for encoding, image in IMAGES.items()},
            "jpeg": compressed(IMAGES["bgr8"], ".jpg", "rgb8; jpeg compressed bgr8"),
            "png": compressed(IMAGES["bgr8"], ".png", "rgb8; png compressed bgr8")}


@pytest.mark.parametrize("other", bridges(), ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("kind", MESSAGES)
def test_cv_bridge_is_used_and_gives_equal_arrays(monkeypatch, kind, other):
    monkeypatch.setattr(bridge, "CV_BRIDGE", None)
    by_numpy, encoding = bridge.decoded(MESSAGES[kind])
    before = getattr(other, "calls", 0)
    monkeypatch.setattr(bridge, "CV_BRIDGE", other)
    by_bridge, same = bridge.decoded(MESSAGES[kind])
    assert same == encoding and by_bridge.shape == by_numpy.shape and np.array_equal(by_bridge, by_numpy)
    assert getattr(other, "calls", before + 1) == before + 1


def test_colours_come_in_the_order_asked_for():
    rgb = IMAGES["rgb8"]
    for encoding, image in (("rgb8", rgb), ("bgr8", rgb[..., ::-1]),
                            ("rgba8", np.dstack([rgb, rgb[..., :1]])), ("bgra8", np.dstack([rgb[..., ::-1], rgb[..., :1]]))):
        message = conv.image_to_msg(np.ascontiguousarray(image), encoding, Header())
        assert np.array_equal(conv.image_from_msg(message, "rgb8"), rgb), encoding
    grey = conv.image_from_msg(MESSAGES["mono8"], "rgb8")
    assert np.array_equal(grey, np.repeat(IMAGES["mono8"][..., None], 3, axis=2))
    assert np.array_equal(conv.image_from_msg(MESSAGES["png"], "rgb8"), IMAGES["bgr8"][..., ::-1])


def compressed_depth(image: np.ndarray, form: str, header: bytes = struct.pack("<iff", 0, 0.0, 0.0)) -> CompressedImage:
    return CompressedImage(format=form, data=header + cv2.imencode(".png", image)[1].tobytes())


def test_depth_is_metres_whatever_carries_it():
    raw = IMAGES["16UC1"].copy()
    raw[0, :3] = 0
    expected = np.where(raw > 0, raw / 1000.0, np.nan)
    metres = np.where(raw > 0, raw / 1000.0, np.nan).astype(np.float32)
    for message in (conv.image_to_msg(raw, "16UC1", Header()), conv.image_to_msg(metres, "32FC1", Header()),
                    compressed_depth(raw, "16UC1; compressedDepth png"), compressed_depth(raw, "16UC1; compressedDepth")):
        assert np.allclose(conv.depth_from_msg(message), expected, atol=1e-6, equal_nan=True)
    # floating-point depth is sent as inverse depth in steps: pixel = a / depth + b
    a, b = 100.0 * 101.0, 1.0 - 101.0 / 10.0
    near = np.array([[0.4, 0.9], [1.7, 0.0]])
    with np.errstate(divide="ignore"):
        pixels = np.where(near > 0, np.round(a / near + b), 0).astype(np.uint16)
    message = compressed_depth(pixels, "32FC1; compressedDepth png", struct.pack("<iff", 0, a, b))
    assert np.allclose(conv.depth_from_msg(message), np.where(near > 0, near, np.nan), rtol=1e-3, equal_nan=True)


@pytest.mark.parametrize("message", [
    Image(encoding="yuv422", width=2, height=2, step=4, data=b"\0" * 8), CompressedImage(format="jpeg", data=b"no jpeg"),
    CompressedImage(format="jpeg", data=b""), compressed_depth(IMAGES["16UC1"], "16UC1; compressedDepth rvl"),
    CompressedImage(format="16UC1; compressedDepth png", data=b"\0" * 12)],
    ids=["unknown encoding", "no jpeg", "empty", "rvl", "no png"])
def test_what_cannot_be_read_is_refused(message):
    with pytest.raises(ValueError, match=r"encoding|decoded|read"):
        bridge.decoded(message)


def test_a_colour_image_is_no_depth_image():
    with pytest.raises(ValueError, match="colorizer"):
        conv.depth_from_msg(MESSAGES["rgb8"])
