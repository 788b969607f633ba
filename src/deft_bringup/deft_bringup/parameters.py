"""Parameter files of the nodes, read without ROS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from deft_core.config import default_config_dir, nearest
from deft_core.errors import ConfigError

NODES = frozenset({"deft_sim", "deft_perception", "deft_affordance", "deft_retarget", "deft_motion", "deft_cem", "deft_policy",
                   "deft_scripted_operator"})


def read_parameters(file: Path) -> dict[str, Any]:
    """Sections of a parameter file by node. Raises ConfigError: it cannot be read, or names a node that does not exist."""
    try:
        sections = yaml.safe_load(file.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: not a parameter file: {error}") from None
    for name in sections:
        if name.strip("/") not in NODES | {"**"}:
            raise ConfigError(f"{file}: unknown node '{name}': {nearest(name.strip('/'), NODES)}")
    return {name.strip("/"): section for name, section in sections.items()}


def node_parameters(file: Path | None, node: str) -> dict[str, Any]:
    """A node's own parameters in a file (default: config/finetune.yaml), nested. Raises ConfigError."""
    section = read_parameters(file or default_config_dir() / "finetune.yaml").get(node) or {}
    return dict(section.get("ros__parameters") or {})
