"""Labels on disk: WebDataset shards (tar files) that say what they are, written whole or not at all.

    OUT/dataset.json             what was extracted, how, by which version
    OUT/shard-000012.tar         of each label: <key>.json, <key>.crop.jpg, <key>.contact.jpg
    OUT/shard-000012.json        the clips of this shard: labelled, rejected (why), damaged (file and problem), seconds

A shard's JSON is written after its tar; where it exists, the shard is done. Every clip belongs to one shard by its place in the
sorted list, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import webdataset

from deft_core.errors import ConfigError
from deft_human_video.labels.label import GraspLabel

FORMAT = "deft grasp labels 1"
QUALITY = 92  # of the JPEGs


@dataclass(frozen=True)
class ShardResult:
    """What became of a shard's clips.

    Attributes:
        rejected: by key, "step: reason".
        damaged: by key, file and problem.
        seconds: what it took, s of one process.
    """

    number: int
    labelled: list[str]
    rejected: dict[str, str]
    damaged: dict[str, list[str]]
    seconds: float


def safe_key(key: str) -> str:
    """A clip's key as a file name: WebDataset takes all after the first dot for the type."""
    return key.replace("/", "-").replace(".", "_")


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.tar"


def write_shard(folder: Path, result: ShardResult, labels: list[GraspLabel]) -> None:
    """The tar, then its summary, each by a rename."""
    path = shard_path(folder, result.number)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with webdataset.TarWriter(str(part)) as writer:
        for label in labels:
            writer.write({"__key__": safe_key(label.key), "json": json.dumps(label.record()).encode(),
                          "crop.jpg": _jpeg(label.crop), "contact.jpg": _jpeg(label.picture)})
    part.replace(path)
    write_json(path.with_suffix(".json"), result.__dict__)


def write_json(path: Path, data: Any) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(data, indent=1))
    part.replace(path)


def read_result(folder: Path, number: int) -> ShardResult | None:
    """A finished shard's summary; None where it has to be done (again)."""
    path = shard_path(folder, number)
    try:
        data = json.loads(path.with_suffix(".json").read_text())
        return ShardResult(**data) if path.is_file() else None
    except (OSError, ValueError, TypeError):
        return None


def left_to_do(folder: Path, count: int) -> tuple[list[int], list[ShardResult]]:
    """Numbers of the shards that are still to be made, of `count` in all, and the results of those that are there."""
    done = {number: result for number in range(count) if (result := read_result(folder, number)) is not None}
    return [number for number in range(count) if number not in done], list(done.values())


def open_folder(folder: Path, about: dict[str, Any], name: str = "dataset.json", kind: str = FORMAT) -> None:
    """Begin or go on with what fills a folder and is described in it. Raises ConfigError: the folder holds something else."""
    folder.mkdir(parents=True, exist_ok=True)
    path, wanted = folder / name, {"format": kind, **about}
    if path.is_file():
        try:
            there = dict(json.loads(path.read_text()))
        except (ValueError, TypeError):
            raise ConfigError(f"'{path}' is damaged; remove '{folder}' or give another folder") from None
        different = sorted(k for k in wanted.keys() | there.keys() if wanted.get(k) != there.get(k))
        if different:
            raise ConfigError(f"'{folder}' holds something that differs in {', '.join(different)}; give another folder")
    write_json(path, wanted)


def digest(keys: list[str]) -> str:
    """Of a list of clips: the same clips, the same shards."""
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]


def read_labels(folder: Path) -> Iterator[dict[str, Any]]:
    """Records of all finished shards, with `crop` and `contact_picture` as (h, w, 3) uint8 RGB, in order."""
    for path in sorted(folder.glob("shard-*.tar")):
        if not path.with_suffix(".json").is_file():
            continue
        for sample in webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False):
            record = json.loads(sample["json"])
            yield record | {"crop": _picture(sample["crop.jpg"]), "contact_picture": _picture(sample["contact.jpg"])}


def counted(results: list[ShardResult]) -> tuple[int, Counter[str], dict[str, list[str]]]:
    """Labels, rejections by reason, and damaged clips of all shards."""
    reasons = Counter(reason for result in results for reason in result.rejected.values())
    damaged = {key: what for result in results for key, what in result.damaged.items()}
    return sum(len(result.labelled) for result in results), reasons, damaged


def _jpeg(rgb: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


def _picture(data: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))
