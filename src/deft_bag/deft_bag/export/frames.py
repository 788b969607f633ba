"""How robot and scene looked while each grasp of a session was executed, at a steady rate."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
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

    stamps: list[float] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

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
    joints: dict[str, _Track] = {}
    pictures: dict[str, _Track] = {}
    with Bag(bag_of(source)) as bag:
        for message in bag.messages((EPISODE, JOINT_STATE, COMPRESSED_IMAGE)):
            decoded = message.decoded()
            if message.type == EPISODE:
                key = int(decoded.episode), int(decoded.attempt)
                if decoded.session == session.id and decoded.status == EXECUTED and key in wanted and joints:
                    found = list(_of(wanted[key], _fullest(joints, wanted[key]), _colour(pictures), fps))
                    if found:
                        del wanted[key]
                    yield from found
                continue
            stamp = float(decoded.header.stamp.sec) + 1e-9 * float(decoded.header.stamp.nanosec)
            if message.type == JOINT_STATE:
                joints.setdefault(message.topic, _Track()).add(stamp, (tuple(decoded.name), np.array(decoded.position, float)))
            elif "compressedDepth" not in decoded.format:
                pictures.setdefault(message.topic, _Track()).add(stamp, bytes(decoded.data))


def _fullest(joints: dict[str, _Track], episode: RecordedEpisode) -> _Track:
    """Of several topics with joint states the one that says most while the episode lasts."""
    start, end = episode.phases[0][1], episode.phases[-1][2]

    def said(track: _Track) -> int:
        return sum(len(names) for stamp, (names, _) in zip(track.stamps, track.values, strict=True) if start <= stamp <= end)

    return max(joints.values(), key=said)


def _colour(pictures: dict[str, _Track]) -> _Track:
    """Of several cameras' topics that of the colour images, else the first by name."""
    return pictures[min(pictures, key=lambda name: ("/color/" not in name, name))] if pictures else _Track()


def _of(episode: RecordedEpisode, joints: _Track, pictures: _Track, fps: int) -> Iterator[Frames]:
    """The frames of one episode; nothing where no joint state lies in it."""
    start, end = episode.phases[0][1], episode.phases[-1][2]
    rows = [(stamp, value) for stamp, value in zip(joints.stamps, joints.values, strict=True) if start <= stamp <= end]
    if len(rows) < 2 or len({names for _, (names, _) in rows}) > 1:
        return
    names = rows[0][1][0]
    times, stamps = np.arange(start, end, 1.0 / fps), np.array([stamp for stamp, _ in rows])
    moved = np.stack([np.interp(times, stamps, column) for column in np.array([q for _, (_, q) in rows]).T], axis=1)
    yield Frames(episode, times, names, moved, _seen(pictures, times))


def _seen(pictures: _Track, times: Array) -> list[Picture] | None:
    """The newest picture at each time; before the first one, that."""
    if not pictures.stamps:
        return None
    index = np.clip(np.searchsorted(pictures.stamps, times + ROUNDING, side="right") - 1, 0, None)
    decoded = {int(k): np.asarray(Image.open(io.BytesIO(pictures.values[int(k)])).convert("RGB")) for k in set(index.tolist())}
    return [decoded[int(k)] for k in index]
