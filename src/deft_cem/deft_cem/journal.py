"""The session journal: append-only JSON lines, one fsynced and checksummed record per state change.

A record is {"n": running number, "time": ISO 8601 UTC, "kind": ..., "data": {...}, "crc": hex} where
crc is the CRC-32 of the line without it.

Two things can be wrong with the file, and they are not the same. A torn tail, the beginning of a line without its end, is
what a crash in the middle of an append leaves: nobody was told that it is saved, so it is cut off and kept aside before
anything is appended. A whole line that does not check was damaged after it had been saved: that is never dropped silently.
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


def peek(path: Path) -> list[Record]:
    """The records up to the first that does not check, of a journal that another process may be writing. Changes nothing."""
    records: list[Record] = []
    for line in path.read_bytes().splitlines(keepends=True):
        record = _parse(line)
        if record is None:
            break
        records.append(record)
    return records


class Journal:
    """An open journal. Reading happens once, when it is opened; afterwards it only grows.

    Attributes:
        records: all good records.
        repaired: "" or what was cut off and where it is kept.
    """

    def __init__(self, path: Path, salvage: bool = False) -> None:
        """Open or create.

        Args:
            salvage: leave damaged lines out and go on with the others; the damaged file is kept beside the new one.

        Raises:
            DeftError: JOURNAL_FAILED; the file cannot be read or written, or a line of it is damaged.
        """
        self.path = path
        self.repaired = ""
        try:
            self.records, good = self._read(salvage)
            self._repair(good)
            self._file = path.open("ab")
            self._sync_folder()
        except OSError as error:
            raise DeftError(codes.JOURNAL_FAILED, f"{path}: {error.strerror}") from None

    def _read(self, salvage: bool) -> tuple[list[Record], int]:
        """Good records and the number of bytes that they take."""
        if not self.path.exists():
            return [], 0
        data = self.path.read_bytes()
        lines = data.split(b"\n")
        whole, tail = [line + b"\n" for line in lines[:-1]], lines[-1]
        if tail and _parse(tail[:-1] + b"\n") is not None:  # a saved line whose end was altered, not a torn one
            whole, tail = [*whole, tail], b""
        parsed = [_parse(line) for line in whole]
        good = [r for r in parsed if r is not None]
        damaged = [i + 1 for i, r in enumerate(parsed) if r is None]
        if not damaged and any(r.number != i for i, r in enumerate(good)):
            damaged = [next(i + 1 for i, r in enumerate(good) if r.number != i)]
        if damaged and not salvage:
            raise DeftError(codes.JOURNAL_FAILED, f"{self.path}: line {', '.join(map(str, damaged))} does not check; the file "
                            "was damaged or edited after it was saved. Restore it, or go on without what stood there with "
                            "--force (the damaged file is kept)")
        return self._salvaged(data, good, damaged) if damaged else (good, len(data) - len(tail))

    def _salvaged(self, data: bytes, good: list[Record], damaged: list[int]) -> tuple[list[Record], int]:
        """Put a journal of the good records in the damaged one's place, which is kept."""
        kept = self._beside("damaged")
        kept.write_bytes(data)
        records = [Record(i, r.time, r.kind, r.data) for i, r in enumerate(good)]
        lines = b"".join(_line(r.number, r.time, r.kind, r.data) for r in records)
        new = self._beside("new")
        with new.open("wb") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        self.repaired = f"line {', '.join(map(str, damaged))} of {self.path} did not check and was left out; the file is {kept}"
        return records, len(lines)

    def _beside(self, what: str) -> Path:
        """A file name for what is kept."""
        return self.path.with_name(f"{self.path.name}.{what}-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S%f}")

    def _repair(self, good: int) -> None:
        """Cut the file after its good records; what is cut is kept beside it."""
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        if len(data) == good:
            return
        kept = self._beside("torn")
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
