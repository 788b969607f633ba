"""What a model may learn from and what it is tested on, told apart by what a thing, a background or a phrase is.

One cell in TEST_SHARE of each kind's space is kept for tests: neighbouring shapes and colours fall into the same cell, so that
a tested thing is not a training thing drawn again.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from enum import Enum

TEST_SHARE = 6


class Split(str, Enum):
    """Which things, backgrounds and phrases are shown."""

    all = "all"
    train = "train"
    test = "test"

    def has(self, kind: str, cell: Iterable[object]) -> bool:
        """Whether a cell of a kind's space belongs to this split."""
        if self is Split.all:
            return True
        kept = zlib.crc32(repr((kind, tuple(cell))).encode()) % TEST_SHARE == 0
        return kept is (self is Split.test)


def cells(values: Iterable[float], share: float) -> tuple[int, ...]:
    """The cell of positive values: those of neighbouring cells differ by this share."""
    return tuple(round(math.log(value) / share) for value in values)
