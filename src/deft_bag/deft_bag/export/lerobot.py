"""A session as a LeRobot dataset, version 3.0: one LeRobot episode for every grasp that was executed and scored.

State and action are joint positions of arm and hand (rad), the action being the state of the next frame; a grasp is open
loop, so that nothing else was decided on the way. The residual stands in every frame, reward and success in the last one.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deft_bag import codes
from deft_bag.episodes import RecordedSession, read_session
from deft_bag.export.frames import Frames, frames
from deft_core.errors import DeftError
from deft_core.types import Array
from deft_core.vision import Picture

VERSION = "v3.0"
CAMERA = "observation.images.camera"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
CODEC, PIXELS = "libx264", "yuv420p"
CODEC_OPTIONS = {"g": "2", "crf": "23"}  # a key frame every second frame: readers seek
QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
SAMPLED = 20  # pictures an episode whose pixels go into the statistics


@dataclass
class Written:
    """What was written. Attributes: stats, of each feature by episode."""

    episodes: int = 0
    frames: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    stats: list[dict[str, dict[str, Array]]] = field(default_factory=list)


def write_lerobot(source: Path, out: Path, session: str = "", fps: int = 10) -> Written:
    """Write the dataset, whole or not at all.

    Args:
        source: a bag, or a session's folder.
        out: a folder that does not exist yet.
        session: which one, where the bag holds several.
        fps: Hz of the robot's clock.

    Raises:
        DeftError: BAD_BAG; no bag, or no executed and scored grasp with joint states in it; or `out` is there already.
    """
    if out.exists():
        raise DeftError(codes.BAD_BAG, f"{out} is there already; name another folder, or remove it")
    recorded = read_session(source, session)
    making = out.with_name(f".{out.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    try:
        written = _Writer(making, recorded, fps).write(source)
        out.parent.mkdir(parents=True, exist_ok=True)
        making.replace(out)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return written


class _Writer:
    """Writes one dataset into a folder."""

    def __init__(self, folder: Path, session: RecordedSession, fps: int) -> None:
        self._folder, self._session, self._fps = folder, session, fps
        self._columns: dict[str, list[Any]] = {}
        self._video: Any = None
        self._stream: Any = None
        self._picture_shape: tuple[int, ...] | None = None

    def write(self, source: Path) -> Written:
        """See write_lerobot."""
        written = Written()
        names: tuple[str, ...] = ()
        for grasp in frames(source, self._session, self._fps):
            if names and grasp.joint_names != names:
                raise DeftError(codes.BAD_BAG, f"joint states change their joints before episode {grasp.episode.episode}; a "
                                "dataset has the same ones throughout")
            names = grasp.joint_names
            self._add(grasp, written)
        if self._video is not None:
            self._encode(None)
            self._video.close()
        if not written.episodes:
            raise DeftError(codes.BAD_BAG, "no grasp was executed, scored and recorded with joint states; record /joint_states "
                            "(parameter record.joint_state_rate of deft_cem)")
        self._write_files(written, names)
        return written

    def _add(self, grasp: Frames, written: Written) -> None:
        """One episode."""
        n, first = len(grasp.times), written.frames
        last = np.arange(n) == n - 1
        reward = np.where(last, grasp.episode.reward, 0.0)
        columns = {
            "observation.state": grasp.joints.astype(np.float32),
            "action": np.vstack([grasp.joints[1:], grasp.joints[-1:]]).astype(np.float32),
            "residual": np.tile(grasp.episode.eps.astype(np.float32), (n, 1)),
            "next.reward": reward.astype(np.float32), "next.success": last & bool(grasp.episode.success), "next.done": last,
            "timestamp": (np.arange(n) / self._fps).astype(np.float32), "frame_index": np.arange(n),
            "episode_index": np.full(n, written.episodes), "index": first + np.arange(n), "task_index": np.zeros(n, int)}
        for name, values in columns.items():
            self._columns.setdefault(name, []).append(values)
        stats = {name: _statistics(values.astype(float).reshape(n, -1)) for name, values in columns.items()}
        row = {"episode_index": written.episodes, "tasks": [self._session.text], "length": n, "dataset_from_index": first,
               "dataset_to_index": first + n, "data/chunk_index": 0, "data/file_index": 0, "meta/episodes/chunk_index": 0,
               "meta/episodes/file_index": 0, "deft/episode": grasp.episode.episode, "deft/session": self._session.id}
        if written.episodes and (grasp.pictures is None) != (self._video is None):
            raise DeftError(codes.BAD_BAG, f"the bag has pictures of some episodes and not of others, first of episode "
                            f"{grasp.episode.episode}")
        if grasp.pictures is not None:
            self._film(grasp.pictures)
            stats[CAMERA] = _pixel_statistics(grasp.pictures)
            row |= {f"videos/{CAMERA}/chunk_index": 0, f"videos/{CAMERA}/file_index": 0,
                    f"videos/{CAMERA}/from_timestamp": first / self._fps,
                    f"videos/{CAMERA}/to_timestamp": (first + n) / self._fps}
        written.rows.append(row | {f"stats/{name}/{key}": value.tolist() for name, each in stats.items()
                                   for key, value in each.items()})
        written.stats.append(stats)
        written.episodes, written.frames = written.episodes + 1, first + n

    def _film(self, pictures: list[Picture]) -> None:
        """Append pictures to the video."""
        if self._video is None:
            path = self._folder / VIDEO.format(video_key=CAMERA, chunk_index=0, file_index=0)
            path.parent.mkdir(parents=True)
            self._video = av.open(str(path), "w")
            self._stream = self._video.add_stream(CODEC, rate=self._fps, options=CODEC_OPTIONS)
            self._picture_shape = pictures[0].shape
            self._stream.height, self._stream.width = pictures[0].shape[:2]
            self._stream.pix_fmt = PIXELS
        for picture in pictures:
            self._encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))

    def _encode(self, frame: Any) -> None:
        """A frame, or with None the last ones that the encoder holds."""
        for packet in self._stream.encode(frame):
            self._video.mux(packet)

    def _features(self, joint_names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """What the columns are."""
        joints = [f"{name}.pos" for name in joint_names]
        features: dict[str, dict[str, Any]] = {
            "observation.state": {"dtype": "float32", "shape": [len(joints)], "names": joints},
            "action": {"dtype": "float32", "shape": [len(joints)], "names": joints},
            "residual": {"dtype": "float32", "shape": [self._session.space.size], "names": list(self._session.space.names)},
            "next.reward": {"dtype": "float32", "shape": [1], "names": None},
            "next.success": {"dtype": "bool", "shape": [1], "names": None},
            "next.done": {"dtype": "bool", "shape": [1], "names": None},
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            **{name: {"dtype": "int64", "shape": [1], "names": None}
               for name in ("frame_index", "episode_index", "index", "task_index")}}
        if self._picture_shape is not None:
            height, width, _ = self._picture_shape
            features[CAMERA] = {"dtype": "video", "shape": [height, width, 3], "names": ["height", "width", "channels"],
                                "info": {"video.height": height, "video.width": width, "video.codec": "h264",
                                         "video.pix_fmt": PIXELS, "video.is_depth_map": False, "video.fps": self._fps,
                                         "video.channels": 3, "has_audio": False}}
        return features

    def _write_files(self, written: Written, joint_names: tuple[str, ...]) -> None:
        features = self._features(joint_names)
        arrays = {name: _arrow(np.concatenate(parts), features[name]) for name, parts in self._columns.items()}
        _write(pa.table(arrays), self._folder / DATA.format(chunk_index=0, file_index=0))
        _write(pa.Table.from_pylist(written.rows), self._folder / EPISODES)
        _write(_tasks_table(self._session.text), self._folder / "meta/tasks.parquet")
        info = {"codebase_version": VERSION, "robot_type": f"{self._session.robot}+{self._session.hand}",
                "total_episodes": written.episodes, "total_frames": written.frames, "total_tasks": 1, "chunks_size": 1000,
                "data_files_size_in_mb": 100, "video_files_size_in_mb": 200, "fps": self._fps,
                "splits": {"train": f"0:{written.episodes}"}, "data_path": DATA,
                "video_path": VIDEO if CAMERA in features else None, "features": features}
        together = {name: {key: value.tolist() for key, value in _together([s[name] for s in written.stats]).items()}
                    for name in written.stats[0]}
        for name, data in (("info", info), ("stats", together)):
            (self._folder / f"meta/{name}.json").write_text(json.dumps(data, indent=1))


def _arrow(values: Array, feature: dict[str, Any]) -> pa.Array:
    """A column of scalars or of lists of fixed length."""
    kind = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}[feature["dtype"]]
    if values.ndim == 1:
        return pa.array(values, kind)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel(), kind), values.shape[1])


def _tasks_table(task: str) -> pa.Table:
    """Tasks by their index, with what tells pandas that the text is the index."""
    table = pa.table({"task_index": pa.array([0], pa.int64()), "__index_level_0__": pa.array([task])})
    column = {"field_name": "task_index", "name": "task_index", "pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    index = {**column, "field_name": "__index_level_0__", "name": None, "pandas_type": "unicode", "numpy_type": "object"}
    pandas = {"index_columns": ["__index_level_0__"], "column_indexes": [], "columns": [column, index],
              "creator": {"library": "pyarrow", "version": pa.__version__}, "pandas_version": "2.0.0"}
    return table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()})


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _statistics(rows: Array) -> dict[str, Array]:
    """Of rows (n, d), a value a column."""
    return {"min": rows.min(axis=0), "max": rows.max(axis=0), "mean": rows.mean(axis=0), "std": rows.std(axis=0),
            "count": np.array([len(rows)]), **{name: np.quantile(rows, q, axis=0) for name, q in QUANTILES.items()}}


def _pixel_statistics(pictures: list[Picture]) -> dict[str, Array]:
    """Of channels in 0..1, each (3, 1, 1), over some of the pictures."""
    chosen = [pictures[k] for k in np.linspace(0, len(pictures) - 1, min(SAMPLED, len(pictures))).round().astype(int)]
    pixels = np.concatenate([p[::4, ::4].reshape(-1, 3) for p in chosen]) / 255.0
    stats = {key: value.reshape(3, 1, 1) for key, value in _statistics(pixels).items() if key != "count"}
    return stats | {"count": np.array([len(chosen)])}


def _together(each: list[dict[str, Array]]) -> dict[str, Array]:
    """Statistics over episodes; quantiles are the episodes' weighted means, as LeRobot adds them up."""
    counts = np.array([s["count"][0] for s in each], float)
    weights = (counts / counts.sum()).reshape(-1, *[1] * each[0]["mean"].ndim)
    mean = (weights * np.array([s["mean"] for s in each])).sum(axis=0)
    variance = (weights * np.array([s["std"]**2 + (s["mean"] - mean)**2 for s in each])).sum(axis=0)
    result = {"min": np.min([s["min"] for s in each], axis=0), "max": np.max([s["max"] for s in each], axis=0), "mean": mean,
              "std": np.sqrt(variance), "count": np.array([int(counts.sum())])}
    return result | {name: (weights * np.array([s[name] for s in each])).sum(axis=0) for name in QUANTILES}
