"""Reading and writing videos and folders of images: colour as (h, w, 3) uint8 RGB, depth as (h, w) uint16 mm."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from deft_human_video.errors import ClipError

Rgb = NDArray[np.uint8]
Depth = NDArray[np.uint16]
GREY16 = "gray16le"
WIDTH = 640  # pixels, larger pictures are reduced to this width: what the steps look at is no finer


class Frames(Protocol):
    """The pictures of one clip, numbered from 0."""

    def __len__(self) -> int: ...

    def rgb(self, i: int) -> Rgb:
        """Frame i. Raises ClipError where it cannot be read, IndexError outside the clip."""
        ...

    def depth(self, i: int) -> Depth | None:
        """Depth aligned to frame i, 0 = none; None where the clip has no depth."""
        ...


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """A video's container and its first video stream. Raises ClipError, also for what goes wrong while it is open."""
    if not path.is_file():
        raise ClipError(path, "the video is missing")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ClipError(path, "there is no video stream in it")
            yield container, container.streams.video[0]
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ClipError(path, f"it cannot be decoded: {error}") from None


def decoded(path: Path, first: int, last: int | None, pixels: str) -> Iterator[NDArray]:
    """Frames first..last (inclusive, None = to the end) of a video, reduced to WIDTH.

    Args:
        pixels: PyAV's name of the wanted format, `rgb24` or GREY16.

    Raises:
        ClipError: missing, empty, broken or of another format.
    """
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        if pixels == GREY16 and not (stream.codec_context.pix_fmt or "").startswith("gray16"):
            raise ClipError(path, f"depth needs 16 bits a pixel, this is {stream.codec_context.pix_fmt}")
        for i, frame in enumerate(container.decode(stream)):
            if i >= first:
                yield _reduced(frame.to_ndarray(format=pixels))
            if last is not None and i >= last:
                break


def _reduced(image: NDArray) -> NDArray:
    if image.shape[1] <= WIDTH:
        return image
    size = (WIDTH, round(image.shape[0] * WIDTH / image.shape[1]))
    return cv2.resize(image, size, interpolation=cv2.INTER_NEAREST if image.ndim == 2 else cv2.INTER_AREA)


def grey_of(rgb: Rgb) -> NDArray[np.uint8]:
    """(h, w) of a picture (h, w, 3)."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def probe(path: Path) -> tuple[int, int, float]:
    """Width, height (pixels) and frames a second of a video. Raises ClipError."""
    with _opened(path) as (_, stream):
        return stream.codec_context.width, stream.codec_context.height, float(stream.average_rate or 0)


class VideoFrames:
    """A stretch of a video, decoded once when first looked at, and of the depth video beside it, if there is one."""

    def __init__(self, path: Path, first: int = 0, last: int | None = None, depth: Path | None = None) -> None:
        self._path, self._first, self._last, self._depth_path = path, first, last, depth
        self._colour: list[Rgb] | None = None
        self._depth: list[Depth] | None = None

    def _pictures(self) -> list[Rgb]:
        if self._colour is None:
            colour = list(decoded(self._path, self._first, self._last, "rgb24"))
            wanted = None if self._last is None else self._last - self._first + 1
            if not colour or (wanted is not None and len(colour) < wanted):
                raise ClipError(self._path, f"it ends after {self._first + len(colour)} frames; frames {self._first} to "
                                f"{'the end' if self._last is None else self._last} are asked for")
            self._colour = colour
        return self._colour

    def __len__(self) -> int:
        return len(self._pictures())

    def rgb(self, i: int) -> Rgb:
        return self._pictures()[i]

    def depth(self, i: int) -> Depth | None:
        if self._depth_path is None:
            return None
        if self._depth is None:
            depth = list(decoded(self._depth_path, self._first, self._last, GREY16))
            if len(depth) != len(self):
                raise ClipError(self._depth_path, f"it has {len(depth)} frames where the colour video has {len(self)}")
            if depth[0].shape != self.rgb(0).shape[:2]:
                raise ClipError(self._depth_path, f"it is {depth[0].shape[::-1]} pixels, colour is "
                                f"{self.rgb(0).shape[1::-1]}: depth must be aligned to colour")
            self._depth = depth
        return self._depth[i]


class ImageFrames:
    """Image files as frames."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)

    def __len__(self) -> int:
        return len(self._paths)

    def rgb(self, i: int) -> Rgb:
        path = self._paths[i]
        if not path.is_file():
            raise ClipError(path, "the frame is missing")
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise ClipError(path, "the frame is not an image that can be read")
        return np.asarray(_reduced(image), np.uint8)

    def depth(self, i: int) -> None:
        return None


class MirroredFrames:
    """Frames as in a mirror: a left hand in them is a right one."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def rgb(self, i: int) -> Rgb:
        return np.ascontiguousarray(self._frames.rgb(i)[:, ::-1])

    def depth(self, i: int) -> Depth | None:
        depth = self._frames.depth(i)
        return None if depth is None else np.ascontiguousarray(depth[:, ::-1])


def write_video(path: Path, frames: Iterable[NDArray], fps: int) -> None:
    """Colour (h, w, 3) uint8 as H.264 or depth (h, w) uint16 as FFV1, by the type of the frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = None
        for image in frames:
            grey = image.dtype == np.uint16
            if stream is None:
                stream = container.add_stream("ffv1" if grey else "libx264", rate=Fraction(fps))
                stream.width, stream.height = image.shape[1], image.shape[0]
                stream.pix_fmt = GREY16 if grey else "yuv420p"
                if not grey:
                    stream.options = {"crf": "20", "preset": "veryfast"}
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format=GREY16 if grey else "rgb24")):
                container.mux(packet)
        if stream is not None:
            for packet in stream.encode():
                container.mux(packet)
