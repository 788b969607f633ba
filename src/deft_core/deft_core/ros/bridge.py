"""Image messages to arrays: by cv_bridge where it is installed, by numpy and OpenCV elsewhere, with equal results."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

ENCODINGS: dict[str, tuple[Any, int]] = {
    "rgb8": (np.uint8, 3), "bgr8": (np.uint8, 3), "rgba8": (np.uint8, 4), "bgra8": (np.uint8, 4), "mono8": (np.uint8, 1),
    "16UC1": (np.uint16, 1), "mono16": (np.uint16, 1), "32FC1": (np.float32, 1)}
DEPTH_HEADER = struct.Struct("<iff")  # of compressedDepth: format, and two numbers for quantised floating-point depth


def decoded(msg: Image | CompressedImage) -> tuple[NDArray[Any], str]:
    """An array (h, w[, channels]) in the message's own order of colours, and its encoding.

    Raises:
        ValueError: an encoding that DEFT does not know, or data that do not fit it.
    """
    if isinstance(msg, CompressedImage):
        return _decompressed_depth(msg) if "compressedDepth" in msg.format else _decompressed(msg)
    if msg.encoding not in ENCODINGS:
        raise ValueError(f"unknown image encoding '{msg.encoding}'; known are {', '.join(ENCODINGS)}")
    _check_size(msg)
    return (_by_numpy(msg) if CV_BRIDGE is None else _by_cv_bridge("imgmsg_to_cv2", msg)), msg.encoding


def _find_cv_bridge() -> Any:
    """A CvBridge that works, or None where the package is missing or made for another numpy, which shows in use only."""
    try:
        from cv_bridge import CvBridge

        found = CvBridge()
        found.imgmsg_to_cv2(Image(encoding="rgb8", width=1, height=1, step=3, data=b"\0\0\0"), "passthrough")
        return found
    except Exception:
        return None


CV_BRIDGE = _find_cv_bridge()


def _by_cv_bridge(call: str, msg: Any) -> NDArray[Any]:
    """One of CvBridge's calls; its errors (CvBridgeError is a TypeError) become ValueErrors."""
    try:
        return getattr(CV_BRIDGE, call)(msg, "passthrough")
    except (TypeError, cv2.error) as error:
        raise ValueError(f"the image cannot be decoded by cv_bridge: {error}") from None


def _check_size(msg: Image) -> None:
    dtype, channels = ENCODINGS[msg.encoding]
    row = msg.width * channels * np.dtype(dtype).itemsize
    if msg.step < row or len(msg.data) < msg.step * msg.height or not msg.width or not msg.height:
        raise ValueError(f"image of {msg.width}x{msg.height}, step {msg.step} carries {len(msg.data)} bytes")


def _by_numpy(msg: Image) -> NDArray[Any]:
    """A view of the message's data where its byte order and padding allow."""
    dtype, channels = ENCODINGS[msg.encoding]
    row = msg.width * channels * np.dtype(dtype).itemsize
    rows = np.frombuffer(msg.data, np.uint8)[:msg.step * msg.height].reshape(msg.height, msg.step)[:, :row]
    pixels = np.ascontiguousarray(rows).view(np.dtype(dtype).newbyteorder(">" if msg.is_bigendian else "<"))
    return pixels.astype(dtype, copy=False).reshape((msg.height, msg.width, channels)[:3 if channels > 1 else 2])


def _decompressed(msg: CompressedImage) -> tuple[NDArray[Any], str]:
    """JPEG or PNG colour, which OpenCV and cv_bridge give as bgr8."""
    if CV_BRIDGE is not None and len(msg.data):
        image = _by_cv_bridge("compressed_imgmsg_to_cv2", msg)
    else:
        image = _imdecode(msg.data, cv2.IMREAD_UNCHANGED, msg.format)
    if image is None:
        raise ValueError(f"the compressed image ('{msg.format}') cannot be decoded")
    return image, "bgr8" if image.ndim == 3 else "mono8"


def _decompressed_depth(msg: CompressedImage) -> tuple[NDArray[Any], str]:
    """What compressed_depth_image_transport sends: 12 bytes, then PNG; cv_bridge does not read it.

    16UC1 is stored as it is; 32FC1 (m) as a / (pixel - b) with a and b from the header.
    """
    data = bytes(msg.data)
    if len(data) <= DEPTH_HEADER.size or not ("png" in msg.format or msg.format.endswith("compressedDepth")):
        raise ValueError(f"compressed depth of format '{msg.format}' with {len(data)} bytes cannot be read; set the "
                         "transport's format to png")
    image = _imdecode(data[DEPTH_HEADER.size:], cv2.IMREAD_UNCHANGED, msg.format)
    if not msg.format.startswith("32FC1"):
        return image, "16UC1"
    _, a, b = DEPTH_HEADER.unpack(data[:DEPTH_HEADER.size])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(image > 0, a / (image.astype(np.float32) - b), np.nan).astype(np.float32), "32FC1"


def _imdecode(data: Any, flags: int, form: str) -> NDArray[Any]:
    buffer = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(buffer, flags) if len(buffer) else None
    if image is None:
        raise ValueError(f"the compressed image ('{form}') of {len(buffer)} bytes cannot be decoded")
    return image
