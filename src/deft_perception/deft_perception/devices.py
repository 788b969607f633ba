"""Where neural networks run."""

from __future__ import annotations

from deft_core.errors import ConfigError
from deft_core.neural import import_torch


def chosen_device(device: str, parameter: str) -> str:
    """`auto` is CUDA where there is one. Raises ConfigError for a device that is not there."""
    torch = import_torch()
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.split(":")[0] not in ("cpu", "cuda"):
        raise ConfigError(f"{parameter} is '{device}', needs auto, cpu or cuda")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"{parameter} is '{device}', but torch sees no CUDA device; use auto or cpu")
    return device
