"""Hands in pictures by MediaPipe's hand landmarker: 21 keypoints in pixels and, about the hand's middle, in metres."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deft_core.errors import ConfigError
from deft_core.types import Array
from deft_human_video.mirror import FLIP, OTHER, mirrored_pixels
from deft_human_video.video import Rgb
from deft_retarget.skeleton import Side

MODEL = Path(sys.prefix) / "share/deft/hand_landmarker.task"  # where tools/bootstrap.py puts it
SURE = 0.4          # of MediaPipe's detection, presence and tracking scores: hands that hold things score low
MOST_HANDS = 2


@dataclass(frozen=True)
class TrackedHand:
    """One hand in one frame; keypoints in the order of OPENPOSE_21.

    Attributes:
        score: 0..1, how surely it is of this side.
        pixels: (21, 2).
        shape: (21, 3) m, about the hand's middle, axes of the optical frame for a hand straight ahead.
    """

    side: Side
    score: float
    pixels: Array
    shape: Array


def mirrored_hand(hand: TrackedHand, width: int) -> TrackedHand:
    """The hand as a mirror shows it, in pictures `width` pixels wide."""
    return TrackedHand(OTHER[hand.side], hand.score, mirrored_pixels(hand.pixels, width), hand.shape * FLIP)


class HandTracker:
    """MediaPipe's landmarker for one clip after the other."""

    def __init__(self) -> None:
        if not MODEL.is_file():
            raise ConfigError(f"the hand landmarker's model '{MODEL}' is missing: `make setup` makes it, or put MediaPipe's "
                              "hand_landmarker.task there")
        with _quiet():
            from mediapipe.tasks.python import BaseOptions, vision

            self._options = vision.HandLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(MODEL)), running_mode=vision.RunningMode.VIDEO,
                num_hands=MOST_HANDS, min_hand_detection_confidence=SURE, min_hand_presence_confidence=SURE,
                min_tracking_confidence=SURE)

    @contextlib.contextmanager
    def clip(self, fps: float) -> Iterator[_ClipTracker]:
        """A tracker of successive frames."""
        from mediapipe.tasks.python import vision

        with _quiet():
            landmarker = vision.HandLandmarker.create_from_options(self._options)
        try:
            yield _ClipTracker(landmarker, fps)
        finally:
            landmarker.close()


class _ClipTracker:
    def __init__(self, landmarker, fps: float) -> None:  # type: ignore[no-untyped-def]
        self._landmarker, self._step, self._time = landmarker, max(round(1000 / fps), 1), 0

    def hands(self, rgb: Rgb) -> list[TrackedHand]:
        """The hands in the next frame."""
        import mediapipe

        self._time += self._step
        size = max(rgb.shape[:2])
        square = np.zeros((size, size, 3), np.uint8)  # in pictures that are not square the landmarks of turned hands are skewed
        square[:rgb.shape[0], :rgb.shape[1]] = rgb
        with _quiet():
            found = self._landmarker.detect_for_video(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=square),
                                                      self._time)
        return [TrackedHand("right" if side[0].category_name == "Right" else "left", float(side[0].score),
                            np.array([(p.x, p.y) for p in points]) * size - 0.5, np.array([(p.x, p.y, p.z) for p in shape]))
                for side, points, shape in zip(found.handedness, found.hand_landmarks, found.hand_world_landmarks, strict=True)]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """MediaPipe's log goes to the file descriptor of stderr, past Python: it is kept off the user's screen."""
    sys.stderr.flush()
    saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)
