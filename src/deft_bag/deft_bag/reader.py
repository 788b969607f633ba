"""Reading bags as they are found: MCAP or sqlite3, one file or several, compressed, interrupted, damaged.

Every file of a bag is read through `rosbags`, as it is or, where it is compressed or damaged, as a mended copy in a temporary
folder. What was lost is said, never passed over.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
import zstandard
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from deft_bag import codes
from deft_bag.definitions import OWN, installed
from deft_bag.salvage import Lost, is_whole, salvage_mcap, salvage_sqlite3
from deft_core.errors import DeftError

SUFFIXES = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")
HEADER = 4  # bytes before a serialized message, of which the second says its byte order
ZSTD = b"\x28\xb5\x2f\xfd"  # what a message begins with that was compressed by itself


@dataclass(slots=True)
class BagMessage:
    """One message as it stands in a bag.

    Attributes:
        time: ns, when it was recorded.
        data: serialized (CDR).
    """

    topic: str
    type: str
    time: int
    data: bytes
    types: Typestore = field(repr=False, compare=False)

    def decoded(self) -> Any:
        """The message with its fields as attributes. Raises DeftError BAD_BAG: it does not fit its definition.

        ROS leaves up to seven unused bytes behind a message for each empty sequence in it, which `deserialize_cdr` of rosbags
        refuses; its decoders are therefore called directly.
        """
        try:
            kind = self.types.get_msgdef(self.type)
            decode = kind.deserialize_cdr_le if self.data[1] else kind.deserialize_cdr_be
            return decode(self.data[HEADER:], 0, kind.cls, self.types)[0]
        except Exception as error:  # rosbags raises what struct, numpy or its own decoder raise
            raise DeftError(codes.BAD_BAG, f"a message on {self.topic} does not fit its definition ({self.type}): {error!r}"
                            ) from None


@dataclass(frozen=True)
class _File:
    """An open file of a bag. Attributes: source, it or its unpacked copy, from which it can be mended."""

    path: Path
    source: Path
    reader: Reader
    types: Typestore


class Bag:
    """An open bag; use as a context manager.

    Attributes:
        topics: name -> type, of all files.
        lost: what could not be read, a sentence each.
    """

    def __init__(self, path: Path) -> None:
        """Open.

        Args:
            path: a folder that `ros2 bag record` or a session made, or one of its files.

        Raises:
            DeftError: BAD_BAG; there is no bag, or nothing of it can be read.
        """
        self.path = path
        self.topics: dict[str, str] = {}
        self.lost: list[str] = []
        self._stack = ExitStack()
        self._readers: list[_File] = []
        try:
            self._scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="deft_bag_")))
            for file in self._files(path):
                self._open(file)
            if not self._readers:
                raise DeftError(codes.BAD_BAG, f"nothing in {path} can be read: {'; '.join(self.lost)}")
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def _files(self, path: Path) -> list[Path]:
        """The files of a bag in the order that its metadata names, else by name."""
        if not path.exists():
            raise DeftError(codes.BAD_BAG, f"there is no bag at {path}")
        if path.is_file():
            if not path.name.endswith(SUFFIXES):
                raise DeftError(codes.BAD_BAG, f"{path} is no file of a bag; those end in {', '.join(SUFFIXES)}")
            return [path]
        found = sorted((p for p in path.iterdir() if p.is_file() and p.name.endswith(SUFFIXES)), key=_numbered)
        if not found:
            raise DeftError(codes.BAD_BAG, f"there is no bag in {path}; a bag is a folder with files that end in "
                            f"{', '.join(SUFFIXES)}")
        for name in self._named(path / "metadata.yaml"):
            if not (path / name).exists():
                self.lost.append(f"{name}, which metadata.yaml names, is not there")
        return found

    @staticmethod
    def _named(metadata: Path) -> list[str]:
        """The files that a bag's metadata names; none where it has none that can be read: a recorder writes it last."""
        try:
            return [Path(name).name for name in
                    yaml.safe_load(metadata.read_text())["rosbag2_bagfile_information"]["relative_file_paths"]]
        except (OSError, yaml.YAMLError, KeyError, TypeError):
            return []

    def _open(self, file: Path) -> None:
        """Open a file, mended where it must be."""
        lost = Lost()
        source = self._unpacked(file, lost)
        try:
            reader = self._opened(source if self._looks_whole(source) else self._mended(source, lost))
            self._readers.append(_File(file, source, reader, self._types(reader)))
            self.topics |= {c.topic: c.msgtype for c in reader.connections}
        except Exception as error:  # rosbags raises what struct, zstd, sqlite or its own checks raise
            lost.add(f"cannot be opened: {error}")
        self._tell(file, lost)

    def _tell(self, file: Path, lost: Lost) -> None:
        self.lost += [f"{file.name}: {remark}" for remark in lost.words()]

    def _unpacked(self, file: Path, lost: Lost) -> Path:
        """The file itself, or an unpacked copy; what is wrong with it is added to `lost`."""
        if file.suffix != ".zstd":
            return file
        copy = self._scratch / file.stem
        with file.open("rb") as packed, copy.open("wb") as plain:
            try:
                zstandard.ZstdDecompressor().copy_stream(packed, plain)
            except zstandard.ZstdError as error:
                lost.add(f"cannot be unpacked to its end: {error}")
        return copy

    @staticmethod
    def _looks_whole(file: Path) -> bool:
        if file.suffix == ".mcap":
            return is_whole(file)
        wal = file.with_name(f"{file.name}-wal")
        return _database_is_whole(file) and not (wal.exists() and wal.stat().st_size)

    def _mended(self, file: Path, lost: Lost) -> Path:
        """A copy of what can be read; what cannot is added to `lost`."""
        copy = self._scratch / f"mended_{file.name}"
        lost.take((salvage_mcap if file.suffix == ".mcap" else salvage_sqlite3)(file, copy))
        return copy

    def _opened(self, file: Path) -> Reader:
        reader = Reader(file)
        reader.open()
        self._stack.callback(reader.close)
        return reader

    @staticmethod
    def _types(reader: Reader) -> Typestore:
        """The types that a file defines, or those installed here where it does not."""
        store = get_typestore(Stores.ROS2_JAZZY)
        missing = False
        for connection in reader.connections:
            if not connection.msgtype.startswith(OWN):  # nothing else is decoded that Jazzy does not have
                continue
            if connection.msgdef.format is MessageDefinitionFormat.MSG:
                store.register({name: definition for name, definition in
                                get_types_from_msg(connection.msgdef.data, connection.msgtype).items()
                                if name not in store.fielddefs})
            else:
                missing = True
        return installed() if missing else store

    def messages(self, types: Collection[str] = (), on_read: Callable[[int], None] = lambda n: None) -> Iterator[BagMessage]:
        """All messages of some types (none given: of all), file by file.

        Args:
            on_read: told the number of messages so far, now and then.
        """
        read = 0
        for file in self._readers:
            for message in self._of(file, types):
                yield message
                read += 1
                if read % 100 == 0:
                    on_read(read)

    def _of(self, file: _File, types: Collection[str]) -> Iterator[BagMessage]:
        """A file's messages. Where reading breaks off, a mended copy gives those that had not come before."""
        given: set[tuple[str, int, int]] = set()
        try:
            for message in _messages(file.reader, file.types, types):
                yield message
                given.add((message.topic, message.time, len(message.data)))
            return
        except Exception as error:  # rosbags raises what struct, zstd, sqlite or its own checks raise
            lost = Lost([f"reading breaks off: {error!r}"])
        try:
            reader = self._opened(self._mended(file.source, lost))
            for message in _messages(reader, self._types(reader), types):
                if (message.topic, message.time, len(message.data)) not in given:
                    yield message
        except Exception as error:
            lost.add(f"nor can a mended copy be read: {error!r}")
        self._tell(file.path, lost)


def _messages(reader: Reader, store: Typestore, types: Collection[str]) -> Iterator[BagMessage]:
    """What a reader has of some types."""
    wanted = [c for c in reader.connections if not types or c.msgtype in types]
    kinds = {c.id: (c.topic, c.msgtype) for c in wanted}
    for connection, time, data in reader.messages(wanted) if wanted else ():
        topic, kind = kinds[connection.id]
        yield BagMessage(topic, kind, time, zstandard.decompress(data) if data.startswith(ZSTD) else data, store)


def _numbered(path: Path) -> tuple[int, str]:
    """bag_2.mcap before bag_10.mcap."""
    number = path.name.split(".")[0].rsplit("_", 1)[-1]
    return (int(number) if number.isdigit() else 0, path.name)


def _database_is_whole(file: Path) -> bool:
    """Whether a sqlite3 file has the length that its own header gives it."""
    with file.open("rb") as opened:
        head = opened.read(100)
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        return False
    page = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big")
    return file.stat().st_size >= (65536 if page == 1 else page) * pages

