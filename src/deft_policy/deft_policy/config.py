"""Parameters of the fit; the reasons of the defaults are in docs/policy.md."""

from __future__ import annotations

from enum import Enum

from pydantic import Field

from deft_core.config import Config


class PolicyKind(str, Enum):
    """What is fitted."""

    cvae = "cvae"                # the paper's: a conditional VAE of the residual
    mlp = "mlp"                  # a regression of the residual
    transformer = "transformer"  # of the residual given the reward, asked for the best one
    direct = "direct"            # a VAE of the grasp itself, not of its residual
    elite_mean = "elite_mean"    # the mean of the best residuals, whatever is seen


class Encoder(str, Enum):
    """phi, what makes features of the object's picture."""

    efficientnet_lite0 = "efficientnet_lite0"
    resnet18 = "resnet18"
    r3m = "r3m"
    none = "none"


class PolicyConfig(Config):
    """Parameters `policy.*` of deft_policy, also of `deft fit`."""

    kind: PolicyKind = Field(default=PolicyKind.elite_mean, description="cvae | mlp | transformer | direct | elite_mean")
    elites: int = Field(default=10, ge=3, description="best episodes that it is fitted to (the paper's top ten)")
    mean_elites: int = Field(default=10, ge=3, description="best episodes whose mean elite_mean is")
    encoder: Encoder = Field(default=Encoder.efficientnet_lite0,
                             description="of the object's picture: efficientnet_lite0 | resnet18 | r3m | none")
    checkpoint: str = Field(default="", description="weights of resnet18 or r3m")
    picture_components: int = Field(default=3, ge=1, description="numbers that the picture's features are compressed to")
    joint_components: int = Field(default=1, ge=1, description="numbers that the joints of the prior's grasp are compressed "
                                  "to, beside contact and wrist")
    hidden: int = Field(default=16, ge=2, multiple_of=2, description="width of the hidden layers, even")
    latent: int = Field(default=2, ge=1, description="numbers of z, of cvae and direct")
    beta: float = Field(default=1.0, ge=0.0, description="weight of the KL term at the end of its schedule")
    beta_steps: int = Field(default=100, ge=1, description="steps over which it grows from 0")
    learning_rate: float = Field(default=0.003, gt=0.0, description="of Adam")
    weight_decay: float = Field(default=0.1, ge=0.0, description="decoupled, as in AdamW")
    steps: int = Field(default=300, ge=10, description="most steps; the number is chosen by leaving elites out, one at a time")
    every: int = Field(default=10, ge=1, description="steps between looks at the elites that were left out")
