"""Rewards from pictures (paper Table 2): how near the last picture comes to the demonstration's, in an encoder's features.

The value is -|f(picture) - f(goal)|, or with clip_text the cosine between the picture and the task's text. It has no
scale that means anything, so it is calibrated on the first episodes: the reward is the normal distribution function of
how many of their standard deviations the value lies above their mean. That keeps the order of all values, which is what
the searches use.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image
from scipy.stats import norm

from deft_cem.rewards.config import RewardConfig
from deft_core.errors import ConfigError
from deft_core.neural import import_torch
from deft_core.vision import Normalisation, Picture, PooledEncoder, middle, open_clip_model

CLIP: Normalisation = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


class Judge(Protocol):
    """What says how good a picture is; the greater the better, on no particular scale."""

    def value(self, picture: Picture) -> float:
        """Of one picture."""
        ...


class GoalDistance:
    """Negative distance to the goal picture in a convolutional network's pooled features.

    Raises:
        ConfigError: the checkpoint is missing or is none of this encoder.
    """

    def __init__(self, encoder: str, checkpoint: str, goal: Picture) -> None:
        self._encoder = PooledEncoder(encoder, checkpoint, "rewards.checkpoint")
        self._goal = self._encoder.features(goal)

    def value(self, picture: Picture) -> float:
        """See Judge."""
        return -float(np.linalg.norm(self._encoder.features(picture) - self._goal))


class TextMatch:
    """Cosine between picture and the task's text in CLIP. Raises ConfigError: the checkpoint is missing or another's."""

    def __init__(self, checkpoint: str, text: str) -> None:
        torch = import_torch()
        self._model, tokens = open_clip_model(checkpoint, "rewards.checkpoint")
        with torch.inference_mode():
            self._text = torch.nn.functional.normalize(self._model.encode_text(tokens([text])), dim=-1)

    def value(self, picture: Picture) -> float:
        """See Judge."""
        torch = import_torch()
        with torch.inference_mode():
            features = self._model.encode_image(torch.tensor(middle(picture, CLIP)[None]).float())
            return float((torch.nn.functional.normalize(features, dim=-1) @ self._text.T)[0, 0])


def make_judge(config: RewardConfig, goal: Path | None, text: str) -> Judge:
    """The judge of a configuration.

    Args:
        goal: the demonstration's last picture.
        text: of the task.

    Raises:
        ConfigError: no goal picture, or an unusable checkpoint.
    """
    if config.encoder == "clip_text":
        return TextMatch(config.checkpoint, text)
    if goal is None or not goal.is_file():
        raise ConfigError(f"rewards.source {config.source} needs the demonstration's last picture, and the task has none"
                          + (f" at {goal}" if goal else "") + "; `deft extract-demo` makes one, or use encoder clip_text")
    return GoalDistance(config.encoder, config.checkpoint, np.asarray(Image.open(goal).convert("RGB")))


def calibrated(values: Sequence[float], value: float) -> float:
    """A value as a reward 0..1.

    Args:
        values: of the first episodes; with fewer than two, or all equal, the reward is 0.5 whatever the value.
    """
    if len(values) < 2 or np.std(values) < 1e-9:
        return 0.5
    return float(norm.cdf((value - np.mean(values)) / np.std(values)))
