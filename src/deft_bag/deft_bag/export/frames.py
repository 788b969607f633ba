"""How robot and scene looked while each grasp of a session was executed, at a steady rate."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deft_bag.definitions import COMPRESSED_IMAGE, EPISODE, JOINT_STATE
from deft_bag.episodes import EXECUTED, RecordedEpisode, RecordedSession, bag_of
from deft_bag.reader import Bag
from deft_core.types import Array
from deft_core.vision import Picture

ROUNDING = 1e-6  # s
KEPT = 20_000  # joint states and pictures that are looked back on; a grasp has some hundreds


@dataclass(frozen=True)
class Frames:
    """One executed grasp.

    Attributes:
        times: (n,) s of robot clock.
        joint_names: of the columns.
        joints: (n, j) rad.
        pictures: of each frame the newest one that had been taken; None where the bag has none of the camera.
    """

    episode: RecordedEpisode
    times: Array
    joint_names: tuple[str, ...]
    joints: Array
    pictures: list[Picture] | None


@dataclass
class _Track:
    """Stamps and values of a topic, as far back as they are needed."""

    stamps: list[float]
    values: list[Any]

    def add(self, stamp: float, value: Any) -> None:
        """The next one. A clock that was set back begins anew."""
        if self.stamps and stamp < self.stamps[-1] - 1.0:
            self.stamps.clear()
            self.values.clear()
        self.stamps.append(stamp)
        self.values.append(value)
        if len(self.stamps) > KEPT:
            del self.stamps[:KEPT // 2], self.values[:KEPT // 2]


def frames(source: Path, session: RecordedSession, fps: int) -> Iterator[Frames]:
    """Of every scored episode that was executed, in their order. Episodes without joint states in the bag are left out.

    Args:
        fps: Hz of the robot's clock.
    """
    wanted = {(e.episode, e.attempt): e for e in session.episodes if e.status == "scored" and e.phases}
    joints, pictures = _Track([], []), _Track([], [])
    names: tuple[str, ...] = ()
    with Bag(bag_of(source)) as bag:
        for message in bag.messages((EPISODE, JOINT_STATE, COMPRESSED_IMAGE)):
            decoded = message.decoded()
            if message.type == EPISODE:
                key = int(decoded.episode), int(decoded.attempt)
                if decoded.session == session.id and decoded.status == EXECUTED and key in wanted and names:
                    yield from _of(wanted.pop(key), joints, pictures, names, fps)
                continue
            stamp = float(decoded.header.stamp.sec) + 1e-9 * float(decoded.header.stamp.nanosec)
            if message.type == COMPRESSED_IMAGE:
                pictures.add(stamp, bytes(decoded.data))
                continue
            if tuple(decoded.name) != names:
                names = tuple(decoded.name)
                joints = _Track([], [])
            joints.add(stamp, np.array(decoded.position, float))


def _of(episode: RecordedEpisode, joints: _Track, pictures: _Track, names: tuple[str, ...], fps: int) -> Iterator[Frames]:
    """The frames of one episode; nothing where no joint state lies in it."""
    start, end = episode.phases[0][1], episode.phases[-1][2]
    stamps = np.array(joints.stamps)
    inside = (stamps >= start) & (stamps <= end)
    if inside.sum() < 2:
        return
    times = np.arange(start, end, 1.0 / fps)
    positions = np.array(joints.values)[inside]
    moved = np.stack([np.interp(times, stamps[inside], column) for column in positions.T], axis=1)
    yield Frames(episode, times, names, moved, _seen(pictures, times))


def _seen(pictures: _Track, times: Array) -> list[Picture] | None:
    """The newest picture at each time; before the first one, that."""
    if not pictures.stamps:
        return None
    index = np.clip(np.searchsorted(pictures.stamps, times + ROUNDING, side="right") - 1, 0, None)
    decoded = {int(k): np.asarray(Image.open(io.BytesIO(pictures.values[int(k)])).convert("RGB")) for k in set(index.tolist())}
    return [decoded[int(k)] for k in index]
