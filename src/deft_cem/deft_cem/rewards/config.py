"""Parameters of rewards."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deft_core.config import Config


class RewardConfig(Config):
    """Who scores, and how it is checked."""

    source: Literal["operator", "suggested", "comparison", "automatic"] = Field(
        default="operator", description="operator (a score) | suggested (a score, filled in from the pictures) | "
        "comparison (better or worse than earlier grasps) | automatic (from the pictures alone)")
    encoder: Literal["efficientnet_lite0", "resnet18", "r3m", "clip_text"] = Field(
        default="efficientnet_lite0", description="of suggested and automatic: distance of the last picture to the "
        "demonstration's in this encoder's features; clip_text: to the task's text")
    checkpoint: str = Field(default="",
                            description="of resnet18 (torchvision's), r3m (resnet18) or clip_text (open_clip's ViT-B-32)")
    calibration_episodes: int = Field(default=10, ge=2,
                                      description="first episodes whose distances say what is much and what is little")
    recheck_every: int = Field(
        default=0, ge=0, description="every so many episodes an earlier sample is executed again, to see how "
        "consistent the scores are; 0 = never")
