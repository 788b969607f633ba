"""What a mirror makes of pictures, cameras, poses and whole clips, so that a left hand in them is a right one.

The mirror turns round x of the optical frame: u becomes width - 1 - u, points flip, rotation vectors keep x and turn y and z.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.types import Array, Intrinsics, Pose
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


def mirrored_pixels(pixels: Array, width: int) -> Array:
    """Pixels (..., 2) of a picture this wide."""
    return np.stack([width - 1 - pixels[..., 0], pixels[..., 1]], axis=-1)


def mirrored_frame(pose: Pose) -> Pose:
    """A hand's or a camera's frame in an optical frame; both are mirrored, so that it stays a rotation."""
    return Pose(pose.position * FLIP, Rotation.from_rotvec(pose.rotation.as_rotvec() * MIRROR))


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
    pixels = None if hand.pixels is None else mirrored_pixels(hand.pixels, width)
    return HandPose(OTHER[hand.side], mirrored(hand.mano_pose), hand.wrist * MIRROR,
                    None if hand.position is None else hand.position * FLIP, pixels)
