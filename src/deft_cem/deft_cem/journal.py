"""The session journal: append-only JSON lines, one fsynced and checksummed record per state change.

A record is {"n": running number, "time": ISO 8601 UTC, "kind": ..., "data": {...}, "crc": hex} where
crc is the CRC-32 of the line without it. A tail that does not check is cut off and kept aside
before anything is appended.
"""

from __future__ import annotations

import datetime
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deft_cem import codes
from deft_core.errors import DeftError

CRC_KEY = b', "crc": '


@dataclass(frozen=True)
class Record:
    """One line of the journal."""

    number: int
    time: str
    kind: str
    data: dict[str, Any]


def _line(number: int, time: str, kind: str, data: dict[str, Any]) -> bytes:
    body = {"n": number, "time": time, "kind": kind, "data": data}
    text = json.dumps(body, sort_keys=True, allow_nan=False).encode()
    return text[:-1] + CRC_KEY + b'"%08x"}\n' % zlib.crc32(text)


def _parse(line: bytes) -> Record | None:
    """The record of a whole line, None when it is torn or altered."""
    try:
        text, crc = line.rsplit(CRC_KEY, 1)
        if crc != b'"%08x"}\n' % zlib.crc32(text + b"}"):
            return None
        body = json.loads(text + b"}")
        return Record(body["n"], body["time"], body["kind"], body["data"])
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


class Journal:
    """An open journal. Reading happens once, when it is opened; afterwards it only grows.

    Attributes:
        records: all good records.
        repaired: "" or what was cut off and where it is kept.
    """

    def __init__(self, path: Path) -> None:
        """Open or create.

        Raises:
            DeftError: JOURNAL_FAILED; the file cannot be read or written, or is damaged before its tail.
        """
        self.path = path
        self.repaired = ""
        try:
            self.records, good = self._read()
            self._repair(good)
            self._file = path.open("ab")
            self._sync_folder()
        except OSError as error:
            raise DeftError(codes.JOURNAL_FAILED, f"{path}: {error.strerror}") from None

    def _read(self) -> tuple[list[Record], int]:
        """Good records and the number of bytes that they take."""
        if not self.path.exists():
            return [], 0
        records: list[Record] = []
        good = 0
        lines = self.path.read_bytes().splitlines(keepends=True)
        for line in lines:
            record = _parse(line)
            if record is None or record.number != len(records):
                break
            records.append(record)
            good += len(line)
        later = [i for i in range(len(records) + 1, len(lines)) if _parse(lines[i]) is not None]
        if later:  # not a torn tail: cutting here would lose what was saved
            raise DeftError(codes.JOURNAL_FAILED, f"{self.path}: line {len(records) + 1} does not check, but line "
                            f"{later[0] + 1} does; the file was damaged or edited. Restore it, or use another session folder")
        return records, good

    def _repair(self, good: int) -> None:
        """Cut the file after its good records; what is cut is kept beside it."""
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        if len(data) == good:
            return
        kept = self.path.with_name(f"{self.path.name}.torn-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S%f}")
        kept.write_bytes(data[good:])
        with self.path.open("r+b") as file:
            file.truncate(good)
            os.fsync(file.fileno())
        self.repaired = f"the last {len(data) - good} bytes of {self.path} did not check and were moved to {kept}"

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def append(self, kind: str, data: dict[str, Any]) -> Record:
        """Write one record and wait until it is on disk.

        Raises:
            DeftError: JOURNAL_FAILED; a half-written line is removed, so the journal stays good.
        """
        record = Record(len(self.records), datetime.datetime.now(datetime.UTC).isoformat(), kind, data)
        before = self.path.stat().st_size if self.path.exists() else 0
        try:
            self._file.write(_line(record.number, record.time, kind, data))
            self._file.flush()
            os.fsync(self._file.fileno())
        except (OSError, ValueError) as error:
            self._take_back(before)
            raise DeftError(codes.JOURNAL_FAILED, f"{self.path} could not be written ({error}); is the disk full?") from None
        self.records.append(record)
        return record

    def _take_back(self, size: int) -> None:
        """After a failed append: drop what was buffered or half-written."""
        try:
            self._file.close()
        except OSError:
            pass
        os.truncate(self.path, size)
        self._file = self.path.open("ab")

    def close(self) -> None:
        self._file.close()
