"""The journal survives a torn or altered tail at every byte, and full disks."""

from __future__ import annotations

import json

import pytest

from deft_cem.journal import Journal
from deft_core.errors import DeftError


def written(path, n=4):
    journal = Journal(path)
    for k in range(n):
        journal.append("finished", {"episode": k, "reward": 0.1 * k, "note": "ünïcode\nnewline"})
    journal.close()
    return path.read_bytes()


def test_records_come_back(tmp_path):
    path = tmp_path / "journal.jsonl"
    written(path)
    journal = Journal(path)
    assert [r.data["episode"] for r in journal.records] == [0, 1, 2, 3] and journal.repaired == ""
    assert journal.append("x", {}).number == 4


def test_every_torn_length_of_the_last_record(tmp_path):
    whole = written(tmp_path / "whole.jsonl")
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(start + 1, len(whole)):
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(whole[:cut])
        journal = Journal(path)
        assert len(journal.records) == 3 and "moved to" in journal.repaired
        journal.append("after", {"k": 1})
        journal.close()
        again = Journal(path)
        assert [r.kind for r in again.records] == ["finished"] * 3 + ["after"] and again.repaired == ""
        again.close()
        kept = list(tmp_path.glob(f"cut{cut}.jsonl.torn-*"))
        assert len(kept) == 1 and kept[0].read_bytes() == whole[start:cut]


def test_every_altered_byte_of_the_last_record_is_noticed(tmp_path):
    whole = written(tmp_path / "whole.jsonl")
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    for place in range(start, len(whole)):
        path = tmp_path / "altered.jsonl"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1:])
        journal = Journal(path)
        assert len(journal.records) == 3, f"byte {place - start} of the last record"
        journal.close()
        path.unlink()


def test_damage_before_the_tail_is_refused_not_cut(tmp_path):
    """Cutting at a flipped bit in the middle would throw away the good records behind it."""
    path = tmp_path / "journal.jsonl"
    whole = written(path)
    for line in range(3):
        start = sum(len(x) for x in whole.splitlines(keepends=True)[:line])
        damaged = whole[:start + 9] + b"#" + whole[start + 10:]
        path.write_bytes(damaged)
        with pytest.raises(DeftError, match=f"line {line + 1} does not check"):
            Journal(path)
        assert path.read_bytes() == damaged and not list(tmp_path.glob("*.torn-*"))


def test_numbers_that_json_cannot_hold_are_refused_and_leave_no_trace(tmp_path):
    path = tmp_path / "journal.jsonl"
    before = written(path)
    journal = Journal(path)
    with pytest.raises(DeftError, match="could not be written"):
        journal.append("finished", {"reward": float("nan")})
    assert path.read_bytes() == before
    journal.append("finished", {"reward": 0.5})
    assert json.loads(path.read_bytes().splitlines()[-1])["n"] == 4


def test_a_full_disk_loses_nothing(tmp_path):
    path = tmp_path / "journal.jsonl"
    before = written(path)
    journal = Journal(path)
    journal._file.close()
    journal._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115  (the journal closes it)
    with pytest.raises(DeftError, match="is the disk full"):
        journal.append("finished", {"reward": 0.5})
    assert path.read_bytes() == before
    journal.append("finished", {"reward": 0.5})
    assert len(Journal(path).records) == 5
