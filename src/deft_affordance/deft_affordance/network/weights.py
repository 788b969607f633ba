"""Weights on disk: one safetensors file that says what network they are of and how its spread is to be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from deft_affordance.network.net import AffordanceNet
from deft_affordance.network.settings import NetworkSettings
from deft_core.config import Config, parse
from deft_core.errors import ConfigError
from deft_core.neural import import_torch

if TYPE_CHECKING:
    import torch
else:
    torch = import_torch()

FORMAT = "deft affordance 1"
SHIPPED = Path(__file__).parent.parent / "weights" / "affordance.safetensors"


class Calibration(Config):
    """log of the standard deviation of an axis = offset + slope * log of what the network says, found on held-out objects."""

    contact: tuple[float, float] = Field(default=(0.0, 1.0), description="offset and slope; of half squares")
    wrist: tuple[float, float] = Field(default=(0.0, 1.0), description="offset and slope; of rad")


class About(Config):
    """What stands in the file's header beside the tensors."""

    format: str = FORMAT
    network: NetworkSettings
    calibration: Calibration = Calibration()
    trained: dict[str, Any] = Field(default_factory=dict, description="data, recipe, seed, metrics: for people")


def save(net: AffordanceNet, calibration: Calibration, trained: dict[str, Any], path: Path) -> None:
    """Writes half-precision weights, whole or not at all."""
    about = About(network=net.settings.model_copy(update={"vision_checkpoint": ""}), calibration=calibration, trained=trained)
    tensors = {name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
               for name, tensor in net.state_dict().items()}
    part = path.with_suffix(".part")
    save_file(tensors, part, {"about": json.dumps(about.model_dump(mode="json"))})
    part.replace(path)


def load(path: Path = SHIPPED) -> tuple[AffordanceNet, About]:
    """The network, ready to answer.

    Raises:
        ConfigError: there is no such file, or it holds something else; it says what to do.
    """
    if not path.is_file():
        raise ConfigError(f"there are no affordance weights at '{path}'; `deft train-affordance` makes them, and prior: "
                          "heuristic needs none")
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get("about", "{}")
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"'{path}' is no whole safetensors file ({error}); fetch or train it again") from None
    data = json.loads(header)
    if data.get("format") != FORMAT:
        raise ConfigError(f"'{path}' holds '{data.get('format', 'something else')}', needed '{FORMAT}'; train it again")
    about = parse(About, data, f"header of '{path}'")
    net = AffordanceNet(about.network, pretrained=False)
    try:
        net.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ConfigError(f"'{path}' does not fit its own header: {str(error).splitlines()[-1].strip()}") from None
    return net.eval(), about
