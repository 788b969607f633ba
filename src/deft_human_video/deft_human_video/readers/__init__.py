"""Readers of published data sets: each yields clips and names what is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from deft_human_video.readers.ego4d import Ego4dReader
from deft_human_video.readers.epic import EpicReader
from deft_human_video.readers.hoi4d import Hoi4dReader
from deft_human_video.readers.reader import Reader

READERS: dict[str, Callable[[Path], Reader]] = {"hoi4d": Hoi4dReader, "epic": EpicReader, "ego4d": Ego4dReader}
