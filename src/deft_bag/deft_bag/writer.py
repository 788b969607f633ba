"""Writing a session's bag: a rosbag2 folder of MCAP files that survives being killed.

Each time that a session is opened a new file is begun. A record that counts is on disk when `write` returns with
`flush=True`; everything else is at most one chunk behind. A file that a killed process left without its end is
mended before anything is added. `metadata.yaml` is written when a file is ended, so that `ros2 bag play` opens the folder.
"""

from __future__ import annotations

import contextlib
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

from deft_bag.definitions import definition
from deft_bag.salvage import is_whole, salvage_mcap

CHUNK = 256 * 1024  # bytes that a killed process may lose of what was not flushed
DISTRO = "jazzy"
METADATA_VERSION = 9
QOS_KEY, HASH_KEY = "offered_qos_profiles", "topic_type_hash"
FOREVER = {"sec": 9223372036, "nsec": 854775807}


@dataclass(frozen=True)
class Topic:
    """Attributes: latched, whether late subscribers get the last message, as `ros2 bag play` will offer it."""

    name: str
    type: str
    latched: bool = False


def _qos(topic: Topic) -> list[dict[str, Any]]:
    """The topic's QoS as rosbag2 writes it."""
    return [{"history": "keep_last", "depth": 10, "reliability": "reliable",
             "durability": "transient_local" if topic.latched else "volatile", "deadline": FOREVER, "lifespan": FOREVER,
             "liveliness": "automatic", "liveliness_lease_duration": FOREVER, "avoid_ros_namespace_conventions": False}]


class BagWriter:
    """Adds to a session's bag; its methods may be called from several threads.

    Attributes:
        mended: what a killed process left unfinished, a sentence each.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create. Raises OSError: the folder cannot be written."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.mended = self._mend()
        self._lock = threading.Lock()
        self._closed = False
        self._file: IO[bytes] | None = None
        self._writer: Any = None
        self._schemas: dict[str, int] = {}
        self._channels: dict[Topic, int] = {}

    def _mend(self) -> list[str]:
        """Give files without an end one. What could not be taken over is kept beside them."""
        told = []
        for file in sorted(self.folder.glob("*.mcap")):
            if is_whole(file):
                continue
            mended = file.with_suffix(".mending")
            lost = salvage_mcap(file, mended)
            if lost.remarks:
                file.with_suffix(".torn").unlink(missing_ok=True)
                file.with_suffix(".torn").hardlink_to(file)
            mended.replace(file)
            told.append(f"{file.name}: {'; '.join(lost.words())}")
        return told

    def write(self, topic: Topic, data: bytes, time: int, flush: bool = False) -> None:
        """Add a serialized message.

        Args:
            time: ns since 1970, when it was recorded.
            flush: it is to survive this process.

        After `close` or `abandon` nothing is written any more.

        Raises:
            OSError: it could not be written. KeyError: the type is not known here.
        """
        with self._lock:
            if self._closed:
                return
            if self._writer is None:
                self._begin()
            if topic not in self._channels:
                self._channels[topic] = self._register(topic)
            self._writer.add_message(self._channels[topic], time, data, time)
            if flush:
                self._writer.flush()

    def _begin(self) -> None:
        """Begin the next file."""
        number = len(list(self.folder.glob("*.mcap")))
        while (path := self.folder / f"{self.folder.name}_{number}.mcap").exists():
            number += 1
        self._file = path.open("wb")
        self._writer = Writer(self._file, chunk_size=CHUNK, compression=CompressionType.ZSTD)
        self._writer.start(profile="ros2", library="deft")
        self._schemas, self._channels = {}, {}

    def _register(self, topic: Topic) -> int:
        text, type_hash = definition(topic.type)
        if topic.type not in self._schemas:
            self._schemas[topic.type] = self._writer.register_schema(topic.type, "ros2msg", text.encode())
        return int(self._writer.register_channel(topic.name, "cdr", self._schemas[topic.type], {
            QOS_KEY: yaml.safe_dump(_qos(topic), sort_keys=False), HASH_KEY: type_hash}))

    def complete(self) -> None:
        """End the file in progress and write the metadata: the bag is whole then. Writing may go on, in another file.

        Raises:
            OSError: it could not be written.
        """
        with self._lock:
            if self._writer is None or self._file is None:
                return
            try:
                self._writer.finish()
            finally:
                self._file.close()
                self._writer = self._file = None
            write_metadata(self.folder)

    def close(self) -> None:
        """Make the bag whole and write no more. Raises OSError: it could not be written."""
        self.complete()
        with self._lock:
            self._closed = True

    def abandon(self) -> None:
        """Let go of the file in progress as it is, after a failure, and write no more: reading mends it."""
        with self._lock, contextlib.suppress(OSError):
            self._closed = True
            if self._file is not None:
                self._file.close()
            self._writer = self._file = None


def write_metadata(folder: Path) -> None:
    """`metadata.yaml` over all whole files of a bag, from their own summaries; a reader sees the old one or the new, whole."""
    files: list[tuple[str, int, int, int]] = []
    topics: dict[str, list[Any]] = {}
    for path in sorted(folder.glob("*.mcap"), key=lambda p: int(p.stem.rsplit("_", 1)[-1])):
        if not is_whole(path):
            continue
        try:
            with path.open("rb") as file:
                summary = make_reader(file).get_summary()
        except (McapError, ValueError, struct.error):  # damaged after it was written; reading says so
            continue
        if summary is None or summary.statistics is None:
            continue
        counts = summary.statistics
        files.append((path.name, counts.message_start_time, counts.message_end_time, counts.message_count))
        for channel in summary.channels.values():
            entry = topics.setdefault(channel.topic, [summary.schemas[channel.schema_id].name, channel.metadata, 0])
            entry[2] += counts.channel_message_counts.get(channel.id, 0)
    spans = [f for f in files if f[3]]
    start, end = min((f[1] for f in spans), default=0), max((f[2] for f in spans), default=0)
    information = {
        "version": METADATA_VERSION, "storage_identifier": "mcap",
        "duration": {"nanoseconds": end - start}, "starting_time": {"nanoseconds_since_epoch": start},
        "message_count": sum(f[3] for f in files),
        "topics_with_message_count": [
            {"topic_metadata": {"name": name, "type": kind, "serialization_format": "cdr",
                                "offered_qos_profiles": yaml.safe_load(metadata.get(QOS_KEY, "[]")),
                                "type_description_hash": metadata.get(HASH_KEY, "")},
             "message_count": count} for name, (kind, metadata, count) in sorted(topics.items())],
        "compression_format": "", "compression_mode": "", "relative_file_paths": [f[0] for f in files],
        "files": [{"path": name, "starting_time": {"nanoseconds_since_epoch": a}, "duration": {"nanoseconds": b - a},
                   "message_count": n} for name, a, b, n in files],
        "custom_data": None, "ros_distro": DISTRO}
    temporary = folder / "metadata.yaml.tmp"
    temporary.write_text(yaml.safe_dump({"rosbag2_bagfile_information": information}, sort_keys=False))
    temporary.replace(folder / "metadata.yaml")
