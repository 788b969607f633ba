"""When the hand first touches the object: from a detector's contact states, or from the hand coming to rest.

A detector (100DOH, and EPIC-KITCHENS' detections, which are its output) says of every hand in every frame whether it touches
something. Without one, a hand that reaches out and then stops has arrived: grasping hands pause while the fingers close.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from deft_core.types import Array
from deft_human_video.clip import TOUCHES_OBJECT, Detections, HandBox, ObjectBox
from deft_human_video.errors import Rejected

STEP = "contact frame"
HAND_SCORE, OBJECT_SCORE = 0.5, 0.5  # least, as EPIC-KITCHENS advises
LASTING, OF_THE_NEXT = 3, 5          # frames of contact among the next ones, so that a flicker does not count
STILL = 0.15                         # share of the hand's outline that may move between frames while it rests
STILL_FRAMES = 2
MOVED_PIXELS = 0.004                 # of the picture, what moves less is no hand
BRIGHTER = 14                        # grey levels by which a pixel has changed


def matched_object(hand: HandBox, objects: tuple[ObjectBox, ...]) -> ObjectBox | None:
    """The object that a hand touches: the one whose centre is nearest to where the hand points. None without contact."""
    sure = [o for o in objects if o.score >= OBJECT_SCORE]
    if hand.state not in TOUCHES_OBJECT or hand.object_at is None or not sure:
        return None
    centres = np.array([((o.box[0] + o.box[2]) / 2, (o.box[1] + o.box[3]) / 2) for o in sure])
    return sure[int(np.argmin(np.linalg.norm(centres - hand.object_at, axis=1)))]


def detected_contact(detections: Mapping[int, Detections], frames: int) -> tuple[int, HandBox, ObjectBox]:
    """The first frame in which a hand touches an object, and goes on doing so.

    Raises:
        Rejected: no hand, or none that touches anything for long enough.
    """
    if not any(hand.score >= HAND_SCORE for found in detections.values() for hand in found.hands):
        raise Rejected(STEP, "the detector finds no hand")
    touching = {i: pair for i in range(frames) if (pair := _touching(detections.get(i))) is not None}
    for i, (hand, thing) in sorted(touching.items()):
        same = [j for j in range(i, i + OF_THE_NEXT) if j in touching and touching[j][0].side == hand.side]
        if len(same) >= min(LASTING, frames - i):
            return i, hand, thing
    raise Rejected(STEP, "no hand keeps touching an object")


def _touching(found: Detections | None) -> tuple[HandBox, ObjectBox] | None:
    if found is None:
        return None
    sure = sorted((hand for hand in found.hands if hand.score >= HAND_SCORE), key=lambda hand: -hand.score)
    pairs = ((hand, matched_object(hand, found.objects)) for hand in sure)
    return next(((hand, thing) for hand, thing in pairs if thing is not None), None)


class HandMotion:
    """Watches the outline of what moves, frame by frame, all in the pixels of the first frame."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size  # height, width
        self._before: NDArray[np.bool_] | None = None
        self._still = 0
        self._moved = False

    def rests(self, outline: NDArray[np.bool_], homography: Array) -> bool:
        """The hand has come to rest STILL_FRAMES ago, after it moved.

        Args:
            outline: (h, w) pixels of this frame that a hand covers.
            homography: from the first frame to this one.
        """
        height, width = self._size
        now = cv2.warpPerspective(outline.astype(np.uint8), np.linalg.inv(homography), (width, height)) > 0
        before, self._before = self._before, now
        least = MOVED_PIXELS * now.size
        if before is None or max(now.sum(), before.sum()) < least:
            return False
        change = (now ^ before).sum() / max(now.sum(), before.sum())
        self._moved = self._moved or change > 2 * STILL
        self._still = self._still + 1 if self._moved and change < STILL else 0
        return self._still == STILL_FRAMES


def changed(grey: NDArray[np.uint8], first: NDArray[np.uint8], homography: Array) -> NDArray[np.bool_]:
    """(h, w): pixels that look otherwise than in the first frame: the hand without depth, and its shadow with it."""
    expected = cv2.warpPerspective(first, homography, grey.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    mask = (cv2.absdiff(cv2.GaussianBlur(grey, (5, 5), 0), cv2.GaussianBlur(expected, (5, 5), 0)) > BRIGHTER).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), bool)
