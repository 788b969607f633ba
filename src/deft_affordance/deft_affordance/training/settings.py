"""How a network is trained: config/affordance.yaml."""

from __future__ import annotations

from enum import Enum

from pydantic import Field

from deft_affordance.network.settings import NetworkSettings
from deft_affordance.training.losses import LossSettings
from deft_core.config import Config


class Precision(str, Enum):
    """Arithmetic of the forward pass."""

    auto = "auto"  # half on a GPU, full on a CPU
    full = "full"
    half = "half"


class TrainingSettings(Config):
    """Schedule. The paper's: 70 epochs, Adam, 2e-4, cosine, batch 224."""

    epochs: int = Field(default=70, ge=1)
    batch: int = Field(default=224, ge=2)
    learning_rate: float = Field(default=2e-4, gt=0.0)
    encoder_rate: float = Field(default=1.0, gt=0.0, description="times learning_rate, for the visual encoder")
    frozen_stages: int | None = Field(default=None, ge=0, le=7, description="first stages of the visual encoder, after its "
                                      "stem, that stay as they are; null: all of it learns")
    weight_decay: float = Field(default=0.0, ge=0.0)
    warmup: float = Field(default=0.03, ge=0.0, lt=1.0, description="share of the steps in which the rate grows")
    patience: int = Field(default=15, ge=1, description="epochs without a better validation loss that end the training")
    precision: Precision = Field(default=Precision.auto, description="auto | full | half")
    seed: int = Field(default=0, ge=0)


class AffordanceConfig(Config):
    """config/affordance.yaml."""

    network: NetworkSettings = NetworkSettings()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
