"""A clip as a mirror shows it, so that a left hand in it is a right one: pictures, camera and annotation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from deft_core.types import Array, Intrinsics
from deft_human_video.clip import Annotation, Box, Clip, Detections, HandBox, HandPose, ObjectBox
from deft_human_video.video import MirroredFrames
from deft_retarget.skeleton import MIRROR, Side, mirrored

OTHER: dict[Side, Side] = {"left": "right", "right": "left"}
FLIP = np.array([-1.0, 1.0, 1.0])  # of points in the optical frame


def mirrored_clip(clip: Clip) -> Clip:
    """The clip in a mirror."""
    width = clip.frames.rgb(0).shape[1]
    annotation = Annotation(
        clip.annotation.contact_frame,
        {i: Detections(tuple(mirrored_hand_box(h, width) for h in found.hands),
                       tuple(mirrored_object_box(o, width) for o in found.objects))
         for i, found in clip.annotation.detections.items()},
        {i: tuple(mirrored_pose(hand, width) for hand in hands) for i, hands in clip.annotation.hands.items()})
    return replace(clip, frames=MirroredFrames(clip.frames), annotation=annotation,
                   intrinsics=None if clip.intrinsics is None else mirrored_intrinsics(clip.intrinsics))


def mirrored_intrinsics(intrinsics: Intrinsics) -> Intrinsics:
    return replace(intrinsics, cx=intrinsics.width - 1 - intrinsics.cx)


def mirrored_box(box: Box, width: int) -> Box:
    return width - box[2], box[1], width - box[0], box[3]


def mirrored_hand_box(hand: HandBox, width: int) -> HandBox:
    at = hand.object_at
    return replace(hand, box=mirrored_box(hand.box, width), side=OTHER[hand.side],
                   object_at=None if at is None else (width - at[0], at[1]))


def mirrored_object_box(found: ObjectBox, width: int) -> ObjectBox:
    return replace(found, box=mirrored_box(found.box, width))


def mirrored_pose(hand: HandPose, width: int) -> HandPose:
    """Of MANO's other hand."""
    pixels: Array | None = None
    if hand.pixels is not None:
        pixels = np.stack([width - 1 - hand.pixels[:, 0], hand.pixels[:, 1]], axis=1)
    return HandPose(OTHER[hand.side], mirrored(hand.mano_pose), hand.wrist * MIRROR,
                    None if hand.position is None else hand.position * FLIP, pixels)
