"""Single video files as clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deft_core.errors import ConfigError
from deft_core.types import Intrinsics
from deft_human_video.clip import Clip, scaled
from deft_human_video.video import VideoFrames, probe


def clip_of_files(video: Path, depth: Path | None, intrinsics: str) -> Clip:
    """A video, and depth aligned to it.

    Args:
        intrinsics: `fx,fy,cx,cy` in pixels of the video, the path of a .npy of the (3, 3) matrix, or '' where unknown.

    Raises:
        ConfigError: the intrinsics cannot be read.
        ClipError: a video cannot.
    """
    width, height, fps = probe(video)
    frames = VideoFrames(video, depth=depth)
    shown = frames.rgb(0).shape
    lens = _lens(intrinsics, width, height) if intrinsics else None
    return Clip(video.stem, "file", "", frames, fps or 30.0, None if lens is None else scaled(lens, shown[1], shown[0]))


def _lens(text: str, width: int, height: int) -> Intrinsics:
    try:
        if text.endswith(".npy"):
            matrix = np.load(text, allow_pickle=False).astype(float).reshape(3, 3)
            values = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
        else:
            values = [float(value) for value in text.split(",")]
        fx, fy, cx, cy = (float(value) for value in values)
    except (OSError, ValueError) as error:
        raise ConfigError(f"intrinsics '{text}' are neither fx,fy,cx,cy nor a .npy of a 3x3 matrix: {error}") from None
    if not (fx > 0 and fy > 0 and np.isfinite([fx, fy, cx, cy]).all()):
        raise ConfigError(f"intrinsics '{text}': focal lengths must be positive pixels")
    return Intrinsics(width, height, fx, fy, cx, cy)
