"""What all readers have in common: listing clips by key, opening one, and reading files that other people's tools pickled."""

from __future__ import annotations

import csv
import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from deft_core.types import Array
from deft_human_video.clip import Clip
from deft_human_video.errors import ClipError


@dataclass(frozen=True)
class Problem:
    """A clip that gives no label because of a file: which clip ('' where the file concerns many), file, and what is wrong."""

    key: str
    file: str
    problem: str


class Reader(Protocol):
    """One data set on disk."""

    name: str

    def keys(self) -> tuple[list[str], list[Problem]]:
        """All clips, sorted, and what is malformed in the lists they stand in. Raises ConfigError: not such a data set."""
        ...

    def open(self, key: str) -> Clip:
        """One clip. Raises ClipError: a file of it is missing, malformed or truncated."""
        ...


class _Unpickler(pickle.Unpickler):
    """Reads plain data and NumPy arrays; refuses everything else, which could run code."""

    def find_class(self, module: str, name: str) -> Any:
        numpy = module.split(".")[0] == "numpy" and name in ("_reconstruct", "scalar", "ndarray", "dtype", "_frombuffer")
        if numpy or (module, name) in {("_codecs", "encode"), ("collections", "OrderedDict")}:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds a {module}.{name}; only plain data and NumPy arrays are read")


def unpickled(path: Path) -> Any:
    """The content of a pickle of plain data. Raises ClipError."""
    try:
        return _Unpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except OSError as error:
        raise ClipError(path, f"it cannot be read ({error.strerror})") from None
    except Exception as error:  # a broken pickle raises nearly anything
        raise ClipError(path, f"it is not a whole pickle: {error}") from None


def json_of(path: Path) -> Any:
    """The content of a JSON file. Raises ClipError."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise ClipError(path, f"it cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ClipError(path, f"it is not whole JSON: {error}") from None


def rows_of(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file that has at least these columns. Raises ClipError."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise ClipError(path, f"it lacks the column {', '.join(missing)}")
            return [{k: v for k, v in row.items() if isinstance(k, str) and isinstance(v, str)} for row in reader]
    except OSError as error:
        raise ClipError(path, f"it cannot be read ({error.strerror})") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise ClipError(path, f"it is not a CSV file: {error}") from None


def numbers(value: Any, count: int, file: Path, name: str) -> Array:
    """`value` as finite floats (count,). Raises ClipError."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            raise ValueError(f"numbers of type {array.dtype}")
        array = array.astype(float).reshape(-1)
    except (TypeError, ValueError) as error:
        raise ClipError(file, f"'{name}' is no row of numbers: {error}") from None
    if array.size != count:
        raise ClipError(file, f"'{name}' has {array.size} numbers; {count} are needed")
    if not np.isfinite(array).all():
        raise ClipError(file, f"'{name}' has numbers that are not finite")
    return array
