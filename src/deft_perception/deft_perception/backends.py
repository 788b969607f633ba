"""Backends and matchers by name."""

from __future__ import annotations

from pathlib import Path

from deft_core.config import nearest
from deft_core.errors import ConfigError
from deft_perception.clip import ClipConfig, ClipMatcher, load_clip
from deft_perception.nouns import NounMatcher
from deft_perception.sam import SamConfig, SamSegmenter, load_sam
from deft_perception.scene import Matcher, Segmenter
from deft_perception.tabletop import TabletopConfig, TabletopSegmenter

BACKENDS = ("tabletop", "sam")
MATCHERS = ("nouns", "open_clip")


def make_segmenter(name: str, tabletop: TabletopConfig, sam: SamConfig, image_size: tuple[int, int]) -> Segmenter:
    """A backend, loaded and warmed up for images of (height, width). Raises ConfigError."""
    if name == "tabletop":
        return TabletopSegmenter(tabletop)
    if name == "sam":
        segmenter = SamSegmenter(load_sam(sam), sam)
        segmenter.warm_up(*image_size)
        return segmenter
    raise ConfigError(f"unknown segmentation backend '{name}': {nearest(name, BACKENDS)}")


def make_matcher(name: str, config_dir: Path, clip: ClipConfig) -> Matcher:
    """A matcher, loaded. Raises ConfigError."""
    if name == "nouns":
        return NounMatcher(config_dir / "perception")
    if name == "open_clip":
        return ClipMatcher(*load_clip(clip))
    raise ConfigError(f"unknown matcher '{name}': {nearest(name, MATCHERS)}")
