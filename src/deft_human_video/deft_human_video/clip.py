"""The one type that every data set becomes: frames, task text, and whatever annotation there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from deft_core.types import Array, Intrinsics
from deft_human_video.video import Frames, Rgb
from deft_retarget.skeleton import Side

# Contact states of the 100DOH detector, which EPIC-KITCHENS uses too
NO_CONTACT, SELF, OTHER_PERSON, PORTABLE, STATIONARY = range(5)
TOUCHES_OBJECT = (PORTABLE, STATIONARY)
GUESSED_VIEW = np.radians(60.0)  # horizontal field of view of cameras that nobody measured
Box = tuple[float, float, float, float]  # left, top, right, bottom, pixels


@dataclass(frozen=True)
class HandBox:
    """A detected hand. `object_at` is where its object's centre should be (pixels), None without contact."""

    box: Box
    score: float
    side: Side
    state: int = NO_CONTACT
    object_at: tuple[float, float] | None = None


@dataclass(frozen=True)
class ObjectBox:
    """A detected object."""

    box: Box
    score: float
    label: str = ""


@dataclass(frozen=True)
class Detections:
    """What a detector found in one frame."""

    hands: tuple[HandBox, ...] = ()
    objects: tuple[ObjectBox, ...] = ()


@dataclass(frozen=True)
class HandPose:
    """A hand in one frame.

    Attributes:
        side: whose MANO model the pose is of.
        mano_pose: (45,) rad, relative to the flat hand.
        wrist: (3,) rotation vector, rad, MANO's wrist frame in the optical frame.
        position: (3,) m, wrist joint in the optical frame, or None where only the rotation is known.
        pixels: (21, 2) keypoints in the order of OPENPOSE_21, or None.
    """

    side: Side
    mano_pose: Array
    wrist: Array
    position: Array | None = None
    pixels: Array | None = None


@dataclass(frozen=True)
class Annotation:
    """What comes with a clip. Frames are numbered as the clip's.

    Attributes:
        contact_frame: the first one in which the hand touches the object.
        detections: by frame.
        hands: by frame.
    """

    contact_frame: int | None = None
    detections: Mapping[int, Detections] = field(default_factory=dict)
    hands: Mapping[int, tuple[HandPose, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Clip:
    """One grasp on video.

    Attributes:
        key: unique within its data set, made of letters, digits, '-', '_' and '/'.
        text: what the person does, as the annotators put it.
        fps: frames a second.
        intrinsics: of the frames as they are read, or None where nobody measured them.
        thing: what tells the object from the data set's others; empty where it does not say.
    """

    key: str
    dataset: str
    text: str
    frames: Frames
    fps: float
    intrinsics: Intrinsics | None = None
    annotation: Annotation = field(default_factory=Annotation)
    thing: str = ""

    def with_annotation(self, annotation: Annotation) -> Clip:
        return replace(self, annotation=annotation)


def scaled(intrinsics: Intrinsics, width: int, height: int) -> Intrinsics:
    """Intrinsics of the same picture at another size; pixel centres lie on integer coordinates."""
    x, y = width / intrinsics.width, height / intrinsics.height
    return replace(intrinsics, width=width, height=height, fx=intrinsics.fx * x, fy=intrinsics.fy * y,
                   cx=(intrinsics.cx + 0.5) * x - 0.5, cy=(intrinsics.cy + 0.5) * y - 0.5)


def guessed_intrinsics(rgb: Rgb) -> Intrinsics:
    """A camera with the usual field of view, for clips of unmeasured ones."""
    height, width = rgb.shape[:2]
    focal = width / 2 / float(np.tan(GUESSED_VIEW / 2))
    return Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
