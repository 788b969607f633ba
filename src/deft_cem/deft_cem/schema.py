"""Versions of the journal's records: older ones are read as if they had been written today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from deft_cem import codes
from deft_cem.journal import Record
from deft_core.errors import DeftError

SCHEMA = 2


def migrated(records: list[Record], folder: Path) -> list[Record]:
    """Records of any earlier version as records of this one; the file itself is left as it is.

    Raises:
        DeftError: JOURNAL_FAILED; they were written by a later version.
    """
    version = int(records[0].data.get("schema", 1)) if records else SCHEMA
    if version > SCHEMA:
        raise DeftError(codes.JOURNAL_FAILED, f"{folder} was written by a later DEFT (journal schema {version}, this one reads "
                        f"up to {SCHEMA}); use that, or another session folder")
    return [_from_1(r, folder) for r in records] if version == 1 else records


def _from_1(record: Record, folder: Path) -> Record:
    """Schema 1 had one search, `cem`, the operator's scores only, no calibration, and its configuration in session.yaml."""
    data = dict(record.data)
    if record.kind == "opened":
        data |= {"schema": SCHEMA, "calibration_hash": "", "resolved": _resolved(folder)}
        data["method"] = {"cem": "deft", "elite_mean": "tuned"}.get(data["method"], data["method"])
    elif record.kind == "sampled":
        data = {"control": False, "repeat_of": None, **data}  # a later version may have gone on with the session
    elif record.kind == "finished" and data.get("status") == "scored":
        data.setdefault("source", "operator")
    return Record(record.number, record.time, record.kind, data)


def _resolved(folder: Path) -> dict[str, Any]:
    try:
        return dict(yaml.safe_load((folder / "session.yaml").read_text()))
    except (OSError, yaml.YAMLError, TypeError, ValueError):
        return {}
