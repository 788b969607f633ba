"""Rows as batches of tensors, varied anew in every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from deft_affordance.training.losses import Batch
from deft_affordance.training.rows import Example, Row, plain, varied
from deft_core.neural import import_torch
from deft_core.types import Array

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader, Dataset
else:
    torch = import_torch()
    from torch.utils.data import DataLoader, Dataset

POINTS = 20  # contact points of an example; fewer are repeated


class Examples(Dataset[tuple[Example, str]]):
    """Rows as examples; `epoch` changes how they are varied."""

    def __init__(self, rows: Sequence[Row], size: int, seed: int | None) -> None:
        """`seed`: None shows each row plainly."""
        self._rows, self._size, self._seed, self.epoch = rows, size, seed, 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> tuple[Example, str]:
        row = self._rows[i]
        if self._seed is None:
            return plain(row, self._size), row.text
        return varied(row, self._size, np.random.default_rng([self._seed, self.epoch, i])), row.text


class Collate:
    """Examples to a Batch."""

    def __init__(self, texts: Mapping[str, Array]) -> None:
        self._texts = texts

    def __call__(self, items: list[tuple[Example, str]]) -> Batch:
        examples = [example for example, _ in items]
        pictures = torch.from_numpy(np.stack([e.picture for e in examples])).permute(0, 3, 1, 2).float() / 255
        numbers = (np.stack(values) for values in (
            [self._texts[text] for _, text in items], [_padded(e.points) for e in examples], [e.contact for e in examples],
            [e.body for e in examples], [e.turn for e in examples], [e.hand for e in examples], [e.behind for e in examples]))
        return Batch(pictures, *(torch.from_numpy(values).float() for values in numbers))


def _padded(points: Array) -> Array:
    return points[np.arange(POINTS) % len(points)]


class Batches:
    """Epochs of shuffled batches for one of `world` processes.

    Args:
        rows: of all processes; each takes its share.
        workers: processes that prepare batches.
    """

    def __init__(self, rows: Sequence[Row], texts: Mapping[str, Array], size: int, batch: int, seed: int, rank: int = 0,
                 world: int = 1, workers: int = 0) -> None:
        self._examples, self._collate = Examples(rows, size, seed), Collate(texts)
        self._batch, self._seed, self._rank, self._world, self._workers = batch, seed, rank, world, workers

    def __len__(self) -> int:
        return max(len(self._examples) // (self._batch * self._world), 1)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of one epoch; the same number gives the same ones."""
        self._examples.epoch = number
        order = np.random.default_rng([self._seed, number]).permutation(len(self._examples))
        count = len(self) * self._batch * self._world
        mine = np.resize(order, count)[self._rank::self._world].tolist()
        yield from DataLoader(self._examples, self._batch, sampler=mine, collate_fn=self._collate, num_workers=self._workers,
                              persistent_workers=False)


def plain_batches(rows: Sequence[Row], texts: Mapping[str, Array], size: int, batch: int) -> Iterator[Batch]:
    """The rows as the robot would see them, in order."""
    yield from DataLoader(Examples(rows, size, None), batch, collate_fn=Collate(texts))
