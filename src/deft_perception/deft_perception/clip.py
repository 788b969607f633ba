"""The open_clip matcher: any noun, by the similarity of picture and text. Needs a checkpoint; see docs/perception.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from deft_core.config import Config
from deft_core.errors import ConfigError
from deft_core.neural import import_torch
from deft_perception.devices import chosen_device
from deft_perception.scene import Mask, TableScene

MARGIN = 0.15          # of a crop about the mask's box, share of its longer side
BACKGROUND = 127       # grey value outside the mask, so that a neighbour in the crop does not count
PHRASES = ("a photo of a {}", "a photo of a {} on a table")
OTHERS = ("thing", "block", "table", "robot")  # what a picture may show instead of the noun


class ClipConfig(Config):
    """`clip.` parameters of the perception node."""

    model: str = Field(default="ViT-B-32", description="architecture, as open_clip names it")
    checkpoint: str = Field(default="", description="path of its weights")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:1...")


def load_clip(config: ClipConfig) -> tuple[Any, Any, Any]:
    """Model, preprocessing and tokenizer. Raises ConfigError that says what to install or where to look."""
    import_torch()
    try:
        import open_clip
    except ImportError:
        raise ConfigError("matcher open_clip needs the package: pip install open_clip_torch") from None
    path = Path(config.checkpoint).expanduser()
    if not config.checkpoint or not path.is_file():
        raise ConfigError(f"clip.checkpoint '{config.checkpoint}' is no file; docs/perception.md tells how to get the "
                          f"weights of {config.model}")
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(config.model, pretrained=str(path),
                                                                     device=chosen_device(config.device, "clip.device"))
    except Exception as error:  # open_clip raises what torch, safetensors or its own registry raise
        raise ConfigError(f"clip.checkpoint {path} cannot be loaded as {config.model}: {error}") from None
    return model.eval(), preprocess, open_clip.get_tokenizer(config.model)


class ClipMatcher:
    """See Matcher.

    Args:
        model, preprocess, tokenizer: as load_clip gives them.
    """

    name = "open_clip"

    def __init__(self, model: Any, preprocess: Any, tokenizer: Any) -> None:
        self._torch = import_torch()
        self._model, self._preprocess, self._tokenizer = model, preprocess, tokenizer
        self._device = next(model.parameters()).device
        self._texts: dict[str, Any] = {}
        with self._torch.inference_mode():  # the first run allocates, and chooses kernels
            self._picture_embeddings([np.zeros((8, 8, 3), np.uint8)])

    def scores(self, scene: TableScene, masks: list[Mask], noun: str) -> NDArray[np.float64]:
        """See Matcher: the softmax over the noun and OTHERS of picture-text similarity, at the model's own temperature."""
        with self._torch.inference_mode():
            pictures = self._picture_embeddings([crop(scene.rgb, mask) for mask in masks])
            texts = self._torch.stack([self._text(word) for word in (noun, *OTHERS)])
            similarity = pictures @ texts.T * self._model.logit_scale.exp().float()
            return np.asarray(similarity.softmax(dim=1)[:, 0].cpu().numpy(), float)

    def _picture_embeddings(self, crops: list[NDArray[np.uint8]]) -> Any:
        """(n, d) of pictures (h, w, 3)."""
        batch = self._torch.stack([self._preprocess(Image.fromarray(picture)) for picture in crops])
        return self._model.encode_image(batch.to(self._device), normalize=True).float()

    def _text(self, noun: str) -> Any:
        """The mean embedding of a noun's phrases, kept for the next time."""
        if noun not in self._texts:
            tokens = self._tokenizer([phrase.format(noun) for phrase in PHRASES]).to(self._device)
            mean = self._model.encode_text(tokens, normalize=True).float().mean(dim=0)
            self._texts[noun] = mean / mean.norm()
        return self._texts[noun]


def crop(rgb: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """A square (s, s, 3) about a mask, the rest greyed out."""
    rows, columns = np.nonzero(mask)
    middle = (rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2
    half = int(np.ceil(max(np.ptp(rows), np.ptp(columns)) * (0.5 + MARGIN))) + 1
    out = np.full((2 * half, 2 * half, 3), BACKGROUND, np.uint8)
    out[rows - middle[0] + half, columns - middle[1] + half] = rgb[rows, columns]
    return out
