"""A whole extraction: from a data set's folder to shards of labels."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
from threadpoolctl import threadpool_limits

from deft_human_video import __version__
from deft_human_video.errors import ClipError, Rejected
from deft_human_video.labels import shards
from deft_human_video.labels.engine import Engine, run
from deft_human_video.labels.extractor import Extractor
from deft_human_video.labels.settings import LabelSettings
from deft_human_video.labels.shards import ShardResult
from deft_human_video.readers import READERS
from deft_human_video.readers.reader import Problem, Reader
from deft_human_video.readers.results import Results
from deft_retarget.mano_file import skeleton_of
from deft_retarget.skeleton import HandSkeleton


@dataclass(frozen=True)
class Job:
    """What to extract. It is sent to the workers, which open the data set for themselves.

    Attributes:
        limit: clips, the first of the sorted list; 0 = all.
        shard: clips a shard.
    """

    dataset: str
    root: Path
    out: Path
    settings: LabelSettings = field(default_factory=LabelSettings)
    results: Results = field(default_factory=Results)
    mano_file: Path | None = None
    limit: int = 0
    shard: int = 50


@dataclass(frozen=True)
class Plan:
    """The clips of a job and what is left to do.

    Attributes:
        problems: clips that their data set's lists already spoil.
        done: finished shards of an earlier run.
    """

    keys: list[str]
    problems: list[Problem]
    numbers: list[int]
    done: list[ShardResult] = field(default_factory=list)


def plan(job: Job) -> Plan:
    """Lists the clips and opens the folder of shards.

    Raises:
        ConfigError: the data set is not there, or the folder holds another extraction.
    """
    keys, problems = _reader(job).keys()
    keys = keys[:job.limit] if job.limit else keys
    shards.open_folder(job.out, {
        "dataset": job.dataset, "clips": len(keys), "keys": shards.digest(keys), "shard": job.shard, "version": __version__,
        "settings": job.settings.model_dump(mode="json"), "skeleton": _skeleton(job.mano_file).source,
        "results": {name: str(path) for name, path in job.results.__dict__.items() if path is not None}})
    return Plan(keys, problems, *shards.left_to_do(job.out, (len(keys) + job.shard - 1) // job.shard))


def extract(job: Job, planned: Plan, engine: Engine, workers: int, address: str = "") -> Iterator[ShardResult]:
    """Does what is left, shard by shard. Raises WorkerLost or ConfigError, see engine.run."""
    yield from run(engine, _Work(job, tuple(planned.keys)), planned.numbers, workers, address)


@dataclass(frozen=True)
class _Work:
    """One shard after the other, in a worker."""

    job: Job
    keys: tuple[str, ...]

    def __call__(self, number: int) -> ShardResult:
        done = shards.read_result(self.job.out, number)
        if done is not None:  # another worker did it and died before it could say so
            return done
        cv2.setNumThreads(1)  # the work is shared out by clips, here and in linear algebra
        began = time.perf_counter()
        reader, extractor = _reader(self.job), _extractor(self.job.settings, self.job.mano_file)
        skeleton = _skeleton(self.job.mano_file)
        labels, rejected, damaged = [], {}, {}
        with threadpool_limits(1):
            for key in self.keys[number * self.job.shard:(number + 1) * self.job.shard]:
                try:
                    labels.append(extractor.label(self.job.results.added(reader.open(key), skeleton)))
                except Rejected as error:
                    rejected[key] = f"{error.step}: {error.reason}"
                except ClipError as error:
                    damaged[key] = [error.file, error.problem]
                except Exception as error:  # one clip that no step foresaw must not cost the others
                    damaged[key] = ["", f"unforeseen {type(error).__name__} at {_where(error)}: {error}; please report it"]
        result = ShardResult(number, [label.key for label in labels], rejected, damaged, time.perf_counter() - began)
        shards.write_shard(self.job.out, result, labels)
        return result


def _where(error: Exception) -> str:
    """The innermost line of ours."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if "deft_" in frame.filename]
    return f"{Path(lines[-1].filename).name}:{lines[-1].lineno}" if lines else "an unknown place"


def _reader(job: Job) -> Reader:
    return _opened(job.dataset, job.root)


@lru_cache(maxsize=1)
def _opened(dataset: str, root: Path) -> Reader:
    return READERS[dataset](root)


@lru_cache(maxsize=1)
def _skeleton(mano_file: Path | None) -> HandSkeleton:
    return skeleton_of(mano_file)


@lru_cache(maxsize=1)
def _extractor(settings: LabelSettings, mano_file: Path | None) -> Extractor:
    return Extractor(settings, _skeleton(mano_file))
