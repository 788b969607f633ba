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


def starts(whole: bytes) -> list[int]:
    """Where each line begins, and the end."""
    return [0, *(i + 1 for i, byte in enumerate(whole) if byte == 10)]


def test_truncated_at_every_byte_of_the_last_two_records(tmp_path):
    whole = written(tmp_path / "whole.jsonl")
    begins = starts(whole)
    for cut in range(begins[2] + 1, len(whole)):
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(whole[:cut])
        journal = Journal(path)
        kept = 2 if cut < begins[3] else 3
        assert len(journal.records) == kept and ("moved to" in journal.repaired) == (cut not in begins)
        journal.append("after", {"k": 1})
        journal.close()
        again = Journal(path)
        assert [r.kind for r in again.records] == ["finished"] * kept + ["after"] and again.repaired == ""
        again.close()
        torn = list(tmp_path.glob(f"cut{cut}.jsonl.torn-*"))
        assert [t.read_bytes() for t in torn] == ([] if cut in begins else [whole[begins[kept]:cut]])


def test_every_altered_byte_of_every_record_is_refused_and_nothing_is_cut(tmp_path):
    """A whole line that does not check was saved once: somebody was told so, and it is not dropped silently."""
    path = tmp_path / "journal.jsonl"
    whole = written(path)
    for place in range(len(whole)):
        for change in (0x01, 0x20):
            damaged = whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1:]
            path.write_bytes(damaged)
            with pytest.raises(DeftError, match="does not check"):
                Journal(path)
            assert path.read_bytes() == damaged and not list(tmp_path.glob("*.torn-*"))


def test_salvage_leaves_out_the_damaged_record_alone_and_keeps_the_file(tmp_path):
    for line in range(4):
        folder = tmp_path / str(line)
        folder.mkdir()
        path = folder / "journal.jsonl"
        whole = written(path)
        begins = starts(whole)
        damaged = whole[:begins[line] + 9] + b"#" + whole[begins[line] + 10:]
        path.write_bytes(damaged)
        journal = Journal(path, salvage=True)
        expected = [k for k in range(4) if k != line]
        assert [r.data["episode"] for r in journal.records] == expected and f"line {line + 1} " in journal.repaired
        journal.append("after", {})
        journal.close()
        again = Journal(path)
        assert [r.data.get("episode") for r in again.records] == [*expected, None] and again.repaired == ""
        assert [p.read_bytes() for p in folder.glob("*.damaged-*")] == [damaged] and not list(folder.glob("*.new-*"))


def test_a_line_twice_or_out_of_order_is_damage(tmp_path):
    path = tmp_path / "journal.jsonl"
    lines = written(path).splitlines(keepends=True)
    for order in ([0, 1, 1, 2], [0, 2, 1, 3], [1, 2, 3]):
        path.write_bytes(b"".join(lines[i] for i in order))
        with pytest.raises(DeftError, match="does not check"):
            Journal(path)


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
