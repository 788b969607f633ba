"""A few synthetic clips for all tests of this folder, filmed once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deft_human_video.readers.hoi4d import Hoi4dReader

# Numbers of clips of seed 0: a cup lifted by a left hand, a drawer, a ladle
NUMBERS = (14, 20, 23)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `deft synthesize` makes it."""
    from deft_human_video.synthetic.generator import film_clip
    from deft_human_video.synthetic.hoi4d_files import write_clip, write_shared

    out = tmp_path_factory.mktemp("clips")
    write_shared(out)
    for number in NUMBERS:
        write_clip(film_clip(number, 0), out)
    return out


@pytest.fixture(scope="session")
def reader(clips: Path) -> Hoi4dReader:
    return Hoi4dReader(clips / "hoi4d")


def truth(clips: Path, key: str) -> dict[str, Any]:
    """What the film knows of a clip."""
    return json.loads((clips / "truth" / f"{key.split('/')[3][1:]}.json").read_text())
