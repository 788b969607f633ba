"""A series of synthetic clips on disk, made in pieces by several processes; what is there already is not made again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deft_human_video import __version__
from deft_human_video.labels.engine import Engine, run
from deft_human_video.labels.shards import open_folder
from deft_human_video.synthetic.off_screen import off_screen
from deft_human_video.synthetic.split import Split
from deft_human_video.synthetic.things import HeldOut

PIECE = 10  # clips
FORMAT = "deft synthetic hand videos 1"


@dataclass(frozen=True)
class Series:
    """What to make. Clip number k of a seed is the same in every series that holds out the same things."""

    out: Path
    clips: int
    seed: int
    held_out: tuple[HeldOut, ...] = ()
    split: Split = Split.all


@dataclass(frozen=True)
class Piece:
    """A finished piece: its clips, and the s of one process that new ones took."""

    clips: int
    made: int
    seconds: float


def begin(series: Series) -> list[int]:
    """Writes what all clips share; returns the pieces. Raises ConfigError: the folder holds another series."""
    from deft_human_video.synthetic.hoi4d_files import write_shared

    open_folder(series.out, {"version": __version__, "seed": series.seed, "split": series.split.value, "held_out": [
        [thing.family, thing.dimensions] for thing in series.held_out]}, "series.json", FORMAT)
    write_shared(series.out)
    return list(range((series.clips + PIECE - 1) // PIECE))


def make(series: Series, engine: Engine, workers: int, address: str = "") -> Iterator[Piece]:
    """Films what is missing, piece by piece."""
    yield from run(engine, _Work(series), begin(series), workers, address)


@dataclass(frozen=True)
class _Work:
    series: Series

    def __call__(self, number: int) -> Piece:
        off_screen()
        from deft_human_video.synthetic.generator import film_clip
        from deft_human_video.synthetic.hoi4d_files import finished, write_clip

        began, made = time.perf_counter(), 0
        numbers = range(number * PIECE, min((number + 1) * PIECE, self.series.clips))
        for k in numbers:
            if not finished(k, self.series.out):
                write_clip(film_clip(k, self.series.seed, self.series.held_out, self.series.split), self.series.out)
                made += 1
        return Piece(len(numbers), made, time.perf_counter() - began)
