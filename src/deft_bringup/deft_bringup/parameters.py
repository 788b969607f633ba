"""Parameter files of the nodes, read without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from deft_core.config import default_config_dir, nearest
from deft_core.errors import ConfigError

DRIVER_NODES = frozenset({"deft_hand", "deft_xarm"})  # beside the drivers of a robot
NODES = DRIVER_NODES | {"deft_sim", "deft_perception", "deft_affordance", "deft_retarget", "deft_motion", "deft_cem",
                        "deft_policy", "deft_scripted_operator"}


def read_parameters(file: Path) -> dict[str, Any]:
    """Sections of a parameter file by node. Raises ConfigError: it cannot be read, or names a node that does not exist."""
    try:
        sections = yaml.safe_load(file.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: not a parameter file: {error}") from None
    named = {_node_of(name): section for name, section in sections.items()}
    for name in named:
        if name not in NODES | {"**"}:
            raise ConfigError(f"{file}: unknown node '{name}': {nearest(name, NODES)}")
    return named


def _node_of(key: str) -> str:
    """The node that a key of a parameter file is for: /**/deft_cem means it in any namespace."""
    return "**" if key == "/**" else key.removeprefix("/**/").strip("/")


def node_parameters(file: Path | None, node: str) -> dict[str, Any]:
    """A node's parameters in a file (default: config/finetune.yaml), nested: those of all nodes, then its own.

    Raises:
        ConfigError: it is no parameter file.
    """
    path = file or default_config_dir() / "finetune.yaml"
    sections, values = read_parameters(path), {}
    for name in ("**", node):
        given = (sections.get(name) or {}).get("ros__parameters") or {}
        if not isinstance(given, dict):
            raise ConfigError(f"{path}: ros__parameters of {name} needs keys and values")
        for key, value in given.items():
            _put(values, key.split("."), value)
    return values


def _put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    """policy.kind: mlp and policy: {kind: mlp} are the same."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _put(values, [*keys, str(key)], inner)
        return
    for key in keys[:-1]:
        values = values.setdefault(key, {})
    values[keys[-1]] = value
