"""Files of bags that ended without their end: what can still be read goes into a whole file.

A recorder that is killed, or a disk that is full, leaves an MCAP file without footer and index, and perhaps half a record at
its end; a copy that broke off leaves the same. All messages before the break are taken over, those in the readable part of
a torn chunk, too. A chunk that was damaged in the middle is left out, and what follows it is kept.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import lz4.frame
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Message, Schema
from mcap.writer import Writer

MAGIC = b"\x89MCAP0\r\n"
HEAD = struct.Struct("<BQ")               # of a record: what it is, bytes that follow
CHUNK_HEAD = struct.Struct("<QQQI")       # of a chunk: first and last time, its size and CRC when it is unpacked
Record = tuple[int, bytes]


@dataclass
class Lost:
    """What is wrong with a file.

    Attributes:
        remarks: what could not be read, in words for a person.
        unfinished: it ends between two records, without its index; nothing that had been written is lost.
    """

    remarks: list[str] = field(default_factory=list)
    unfinished: bool = False

    def add(self, remark: str) -> None:
        """One more thing that could not be read."""
        self.remarks.append(remark)

    def take(self, other: Lost) -> None:
        """What is wrong with a copy is wrong with this, too."""
        self.remarks += other.remarks
        self.unfinished |= other.unfinished

    def words(self) -> list[str]:
        """Everything, a sentence each."""
        end = ["it has no end: the recorder was stopped before it could write one, or the file was cut there"]
        return [*self.remarks, *(end if self.unfinished else [])]


def is_whole(path: Path) -> bool:
    """Whether an MCAP file ends as it should."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < 2 * len(MAGIC) or file.read(len(MAGIC)) != MAGIC:
            return False
        file.seek(-len(MAGIC), 2)
        return file.read() == MAGIC


def salvage_mcap(source: Path, target: Path) -> Lost:
    """Write what can be read of an MCAP file as a whole one. What is not MCAP at all gives a file without messages."""
    lost = Lost()
    schemas: dict[int, int] = {0: 0}
    channels: dict[int, int] = {}
    with target.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2", library="deft salvage")
        for opcode, body in _records(source.read_bytes(), lost):
            try:
                _copy_record(opcode, body, writer, schemas, channels, lost)
            except (McapError, ValueError, struct.error) as error:
                lost.add(f"a record cannot be read: {error}")
        writer.finish()
    return lost


def _copy_record(opcode: int, body: bytes, writer: Writer, schemas: dict[int, int], channels: dict[int, int],
                 lost: Lost) -> None:
    """One record into another file, where schemas and channels have other numbers."""
    stream = ReadDataStream(BytesIO(body))
    if opcode == Opcode.SCHEMA:
        schema = Schema.read(stream)
        schemas[schema.id] = schemas.get(schema.id) or writer.register_schema(schema.name, schema.encoding, schema.data)
    elif opcode == Opcode.CHANNEL:
        channel = Channel.read(stream)
        if channel.id not in channels and channel.schema_id in schemas:
            channels[channel.id] = writer.register_channel(channel.topic, channel.message_encoding,
                                                           schemas[channel.schema_id], channel.metadata)
    elif opcode == Opcode.MESSAGE:
        message = Message.read(stream, len(body))
        if message.channel_id in channels:
            writer.add_message(channels[message.channel_id], message.log_time, message.data, message.publish_time,
                               message.sequence)
        else:
            lost.add("a message belongs to a topic that the readable part does not name")


def _records(data: bytes, lost: Lost) -> Iterator[Record]:
    """Schemas, channels and messages of a file in their order, chunks unpacked; what is wrong goes to `lost`."""
    at = len(MAGIC)
    if data[:at] != MAGIC:
        lost.add("it does not begin as an MCAP file" if data else "it is empty")
        return
    while at < len(data):
        if data[at:] == MAGIC:
            return
        opcode, length = HEAD.unpack_from(data, at) if at + HEAD.size <= len(data) else (0, len(data))
        at += HEAD.size
        body = data[at:at + length]
        if opcode == Opcode.CHUNK:
            yield from _unpacked(body, len(body) < length, lost)
        if len(body) < length:
            lost.add(f"it breaks off after {len(data)} bytes, in the middle of a record")
            return
        if opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE):
            yield opcode, body
        elif opcode == Opcode.DATA_END:  # an index follows, which is made anew
            lost.unfinished = not data.endswith(MAGIC)
            return
        at += length
    lost.unfinished = True


def _unpacked(chunk: bytes, torn: bool, lost: Lost) -> Iterator[Record]:
    """The records in a chunk; of a torn one those before the tear."""
    try:
        _, _, size, crc = CHUNK_HEAD.unpack_from(chunk)
        at = CHUNK_HEAD.size
        name_length = struct.unpack_from("<I", chunk, at)[0]
        compression = chunk[at + 4:at + 4 + name_length].decode()
        packed = chunk[at + 4 + name_length + 8:]
        data = _decompressed(packed, compression)
    except (struct.error, UnicodeDecodeError, zstandard.ZstdError, RuntimeError, ValueError) as error:
        if not torn:
            lost.add(f"a chunk cannot be unpacked: {error}")
        return
    if not torn and (len(data) != size or (crc and zlib.crc32(data) != crc)):
        lost.add(f"a chunk of {size} bytes does not check; what it held is left out")
        return
    at = 0
    while at + HEAD.size <= len(data):
        opcode, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        if at + length > len(data):
            return
        yield opcode, data[at:at + length]
        at += length


def _decompressed(packed: bytes, compression: str) -> bytes:
    """As much as can be unpacked, of a torn chunk a part."""
    if compression == "zstd":
        return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
    if compression == "lz4":
        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(packed))
    if compression:
        raise ValueError(f"unknown compression '{compression}'")
    return packed


def salvage_sqlite3(source: Path, target: Path) -> Lost:
    """Write what can be read of a sqlite3 bag file as a whole one."""
    lost = Lost()
    target.unlink(missing_ok=True)
    into = sqlite3.connect(target)
    try:
        out = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    except sqlite3.Error as error:
        lost.add(f"it cannot be opened: {error}")
        into.close()
        return lost
    try:
        for name, create in out.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                                        ).fetchall():
            into.execute(create)
            _copy_table(out, into, name, lost)
        into.commit()
    except sqlite3.Error as error:
        lost.add(f"it cannot be read: {error}")
    finally:
        out.close()
        into.close()
    return lost


def _copy_table(out: sqlite3.Connection, into: sqlite3.Connection, name: str, lost: Lost) -> None:
    """Row by row until one cannot be read."""
    copied = 0
    try:
        for row in out.execute(f'SELECT * FROM "{name}"'):
            into.execute(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(row))})', row)
            copied += 1
    except sqlite3.Error as error:
        lost.add(f"its table {name} breaks off after {copied} rows: {error}")
