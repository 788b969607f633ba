"""Grasp labels as a network learns from them: read from shards, split by object, changed a little each time they are seen."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import webdataset
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_affordance.network.picture import Square, whole
from deft_core.errors import ConfigError
from deft_core.types import Array, Intrinsics

VERSION = 2              # of labels that can be learned from
HELD_OUT = 12            # one object in so many is for validation
ROLL = 0.17              # rad, by which pictures are turned
ZOOM = (0.9, 1.35)       # of the crop's longer side
SHIFT = 0.07             # of it
PART = 0.4               # share of pictures of which only the part round the contact is shown
SHOWN_ROUND = 0.12       # of the crop's longer side, what stays round the contact points of a part
SMALLEST = 24            # pixels across, of a part
UNKNOWN_BODY = 0.15      # share of pictures for which the network is not told where the arm comes from
BLUR = 0.3               # share of pictures that are shown as a far camera would


@dataclass(frozen=True)
class Row:
    """One label. Pixels are of its crop.

    Attributes:
        thing: what tells the object from all others.
        corner: (2,) pixels of the whole picture where the crop begins.
        points: (n, 2) contact points.
        contact: (2,) their mixture's mean.
        wrist: MANO's wrist frame in the optical frame.
        hand: (45,) rad, relative to the flat hand.
        body: (3,) unit vector in the optical frame, from the object to where the arm comes from, or None.
        surface, behind: m along the camera's axis: the surface that is seen at the contact points, and how far behind it the
            hand touches; NaN: not known.
    """

    thing: str
    text: str
    crop: NDArray[np.uint8]
    corner: Array
    intrinsics: Intrinsics
    points: Array
    contact: Array
    wrist: Rotation
    hand: Array
    body: Array | None
    surface: float
    behind: float


@dataclass(frozen=True)
class Example:
    """What the network is shown and should say; see net.Answer for the frames.

    Attributes:
        picture: (s, s, 3) uint8 RGB.
        points: (n, 2), contact: (2,), -1..1 across the square.
        body: (3,) unit vector in the square's frame to where the arm comes from; zeros: not known.
        turn: (3, 3), hand: (45,) rad.
        behind: in half sides of the square at the surface's depth; NaN: not known.
    """

    picture: NDArray[np.uint8]
    points: Array
    contact: Array
    body: Array
    turn: Array
    hand: Array
    behind: float


def read_rows(folders: Sequence[Path]) -> list[Row]:
    """The labels with a hand pose in folders of shards.

    Raises:
        ConfigError: a folder has none, or they are of another version.
    """
    rows: list[Row] = []
    for folder in folders:
        found = [row for path in sorted(folder.glob("shard-*.tar")) if path.with_suffix(".json").is_file()
                 for row in _rows_of(path)]
        if not found:
            raise ConfigError(f"'{folder}' has no grasp labels with a hand pose; `deft extract` and `deft synthesize-labels` "
                              "make them")
        rows += found
    return rows


def _rows_of(path: Path) -> list[Row]:
    rows = []
    # every process reads all: they share out the rows themselves
    for sample in webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False, nodesplitter=None):
        try:
            row = _row(json.loads(sample["json"]), sample["crop.jpg"], path)
        except (KeyError, ValueError, TypeError, cv2.error) as error:
            raise ConfigError(f"label '{sample.get('__key__', '?')}' in '{path}' cannot be read ({error}); remove the shard's "
                              ".tar and .json and run `deft extract` again") from None
        if row is not None:
            rows.append(row)
    return rows


def _row(record: dict[str, Any], crop: bytes, path: Path) -> Row | None:
    """The row of a label, None if it lacks the hand's pose."""
    if record["version"] != VERSION:
        raise ConfigError(f"'{path}' holds labels of version {record['version']}, needed {VERSION}; extract them again")
    if record["wrist"] is None or record["mano_pose"] is None:
        return None
    picture = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise ValueError("its picture is damaged")
    box, (fx, fy, cx, cy) = record["box"], record["lens"]
    lens = Intrinsics(int(2 * cx + 1), int(2 * cy + 1), fx, fy, cx, cy)
    thing = f"{record['dataset']}/{record['thing'] or record['key']}"
    return Row(thing, record["text"], np.asarray(picture), np.array(box[:2], float), lens,
               np.array(record["points"], float), np.array(record["contact"], float), Rotation.from_rotvec(record["wrist"]),
               np.array(record["mano_pose"], float), None if record.get("body") is None else np.array(record["body"]),
               _number(record["surface"]), _number(record["behind"]))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def split(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """For training and for validation: no object is in both. Raises ConfigError: one of them is empty."""
    held = [zlib.crc32(row.thing.encode()) % HELD_OUT == 0 for row in rows]
    train = [row for row, out in zip(rows, held, strict=True) if not out]
    validation = [row for row, out in zip(rows, held, strict=True) if out]
    if not train or not validation:
        raise ConfigError(f"{len(rows)} labels of {len({row.thing for row in rows})} objects are too few: one object in "
                          f"{HELD_OUT} is kept for validation and none was; extract more")
    return train, validation


def example(row: Row, square: Square, picture: NDArray[np.uint8] | None = None) -> Example:
    """A row as a square shows it, or with another picture of that square."""
    to_square = square.view(row.corner, row.intrinsics).inv()
    body = np.zeros(3) if row.body is None else to_square.apply(row.body)
    return Example(square.cut(row.crop) if picture is None else picture, square.to_square(row.points),
                   square.to_square(row.contact), body, (to_square * row.wrist).as_matrix(), row.hand,
                   row.behind / square.metres(row.surface, row.intrinsics))


def plain(row: Row, size: int) -> Example:
    """The row as the robot would see it."""
    return example(row, whole(row.crop, size))


def varied(row: Row, size: int, rng: np.random.Generator) -> Example:
    """The row, shown anew: moved, turned, zoomed, cut to a part, in another light."""
    crop, corner = row.crop, np.zeros(2)
    if rng.random() < PART:
        left, top, right, bottom = _part(row, rng)
        crop, corner = crop[top:bottom, left:right], np.array([left, top], float)
    square = whole(crop, size)
    moved = Square(square.centre + rng.uniform(-SHIFT, SHIFT, 2) * square.side, square.side * rng.uniform(*ZOOM), size,
                   float(rng.uniform(-ROLL, ROLL)))
    placed = Square(moved.centre + corner, moved.side, size, moved.roll)
    row = replace(row, body=None) if rng.random() < UNKNOWN_BODY else row
    return example(row, placed, _relit(moved.cut(_far(crop, rng)), rng))


def _part(row: Row, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A box inside the crop round the contact points: left, top, right, bottom, pixels."""
    size = np.array(row.crop.shape[1::-1], float)
    room = SHOWN_ROUND * size.max()
    low = np.clip(row.points.min(axis=0) - room, 0, size - 1)
    high = np.clip(row.points.max(axis=0) + room, low + 1, size)
    start, stop = rng.uniform(0, 1, 2) * low, high + rng.uniform(0, 1, 2) * (size - high)
    lack = np.maximum(SMALLEST - (stop - start), 0) / 2
    start, stop = np.clip(start - lack, 0, size).astype(int), np.clip(np.ceil(stop + lack), 0, size).astype(int)
    return int(start[0]), int(start[1]), int(stop[0]), int(stop[1])


def _far(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Now and then with the resolution of a camera further away."""
    if rng.random() > BLUR:
        return crop
    share = rng.uniform(0.4, 0.9)
    small = cv2.resize(crop, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _relit(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another exposure, contrast, white balance and hue, and a sensor's noise."""
    if rng.random() < 0.5:
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + int(rng.integers(180))) % 180
        picture = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    values = picture.astype(np.float32) / 255
    values = values ** float(np.exp(rng.normal(0, 0.25)))
    values = (values - 0.5) * float(np.exp(rng.normal(0, 0.2))) + 0.5 + float(rng.normal(0, 0.08))
    values = values * rng.uniform(0.9, 1.1, 3).astype(np.float32) + rng.normal(0, rng.uniform(0, 0.03), values.shape)
    return np.asarray(np.clip(values * 255, 0, 255), np.uint8)
