"""One module a task: what stands on the table, where it is put, and how a grasp is scored.

A scene module offers `object_sets() -> dict[str, int]` (how many objects each set has), `add(spec, set, index)`,
`place(rng, config) -> (x, y, yaw)` and `judge(history, phases) -> Verdict`.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from deft_core.config import nearest
from deft_core.errors import ConfigError

SCENES = ("pick_cup",)


def scene_module(name: str) -> ModuleType:
    """The module of a scene. Raises ConfigError with the valid names."""
    if name not in SCENES:
        raise ConfigError(f"unknown scene '{name}' in the task's sim section: {nearest(name, SCENES)}")
    return importlib.import_module(f"deft_sim.scenes.{name}")
