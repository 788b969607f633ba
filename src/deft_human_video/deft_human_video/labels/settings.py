"""config/human_video.yaml: how labels are made from clips."""

from __future__ import annotations

from enum import Enum

from pydantic import Field

from deft_core.config import Config
from deft_core.descriptions import Positive


class ContactSource(str, Enum):
    """What tells the first frame of contact."""

    auto = "auto"              # the first of those below that the clip has
    dataset = "dataset"        # its annotation
    detections = "detections"  # contact states of a hand-object detector
    motion = "motion"          # the hand comes to rest


class HandSource(str, Enum):
    """What tells the hand's pose."""

    mediapipe = "mediapipe"    # MediaPipe's keypoints, fitted to the MANO skeleton
    dataset = "dataset"        # the data set's annotation, or a file of FrankMocap, HaMeR or WiLoR


class ObjectSource(str, Enum):
    """What tells the object in the first frame."""

    auto = "auto"              # detected boxes where the clip has them, else depth
    boxes = "boxes"            # a detector's boxes (Detic, 100DOH, the data set's)
    depth = "depth"            # what stands on the table


class LabelSettings(Config):
    """Section `labels`."""

    contact_frame: ContactSource = ContactSource.auto
    hand: HandSource = HandSource.mediapipe
    object: ObjectSource = ObjectSource.auto
    components: int = Field(default=3, ge=1, description="k, Gaussians over the contact points")
    object_score: float = Field(default=0.3, ge=0.0, le=1.0, description="least score of a detected object")
    most_fit_error: Positive = Field(default=0.25, description="share of the hand's extent; worse fits are rejected")
    most_cost: Positive = Field(default=46.0, description="of the hand's fit to depth; worse fits are rejected")
    longest: int = Field(default=600, gt=0, description="frames; longer clips are rejected")
    shortest: int = Field(default=8, gt=0, description="frames; shorter clips are rejected")


class HumanVideoConfig(Config):
    """The file config/human_video.yaml."""

    labels: LabelSettings = LabelSettings()
