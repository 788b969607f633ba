"""Going on with a session that changed meanwhile: another configuration, an older schema, damaged records."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
from cem.stand_in import run, spec

from deft_cem import codes
from deft_cem.journal import Journal
from deft_cem.schema import SCHEMA
from deft_cem.session import Session, different
from deft_core.errors import DeftError

OTHER = {"search": {"sigma": [1, 2, 4], "elites": 5}}


@pytest.mark.parametrize("change", [{"config_hash": "x"}, {"calibration_hash": "x"}])
def test_another_configuration_stops_with_the_difference_and_force_goes_on(tmp_path, change):
    run(tmp_path, episodes=3)
    before = (tmp_path / "journal.jsonl").read_bytes()
    with pytest.raises(DeftError) as caught:
        Session(tmp_path, spec(resolved=OTHER, **change))
    assert caught.value.code == codes.SESSION_MISMATCH and "--force" in caught.value.message
    assert "search.sigma: [1, 2, 3] -> [1, 2, 4]" in caught.value.message and next(iter(change)) in caught.value.message
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    forced = Session(tmp_path, spec(resolved=OTHER, **change), force=True)
    last = forced.journal.records[-1]
    assert last.kind == "reconfigured" and "search.elites: (none) -> 5" in last.data["differences"]
    assert len(forced.scored()) == 3
    forced.close()
    Session(tmp_path, spec(resolved=OTHER, **change)).close()  # from now on that is the session's
    with pytest.raises(DeftError):
        Session(tmp_path, spec())


def test_differences_are_named_to_the_last_key():
    a, b = {"x": {"y": {"z": 1, "same": 2}}, "gone": 1}, {"x": {"y": {"z": 3, "same": 2}}, "new": [1]}
    assert different(a, b) == ["x.y.z: 1 -> 3", "gone: 1 -> (none)", "new: (none) -> [1]"]
    assert len(different({"k": "a" * 500}, {"k": "b"})[0]) < 100


def old_line(number: int, kind: str, data: dict) -> bytes:
    text = json.dumps({"n": number, "time": "2026-11-01T00:00:00+00:00", "kind": kind, "data": data}, sort_keys=True).encode()
    return text[:-1] + b', "crc": "%08x"}\n' % zlib.crc32(text)


def test_a_session_of_the_first_schema_goes_on(tmp_path):
    """As the first version wrote it, with its one search `cem` and its configuration in session.yaml."""
    run(tmp_path / "now", episodes=4)
    opened = {"schema": 1, "session": "t-old", "task": "t", "method": "cem", "seed": 5, "object_set": "train",
              "config_hash": "old", "residual_names": list(spec().residual_names)}
    lines = [old_line(0, "opened", opened)]
    for record in Journal(tmp_path / "now" / "journal.jsonl").records[1:]:
        data = {k: v for k, v in record.data.items() if k not in ("control", "repeat_of", "source")}
        lines.append(old_line(len(lines), record.kind, data))
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "journal.jsonl").write_bytes(b"".join(lines))
    (folder / "session.yaml").write_text("cem: {elites: 2}\n")
    with pytest.raises(DeftError, match=r"cem: .*none"):
        Session(folder, spec())
    session = Session(folder, spec(), force=True)
    now = Session(tmp_path / "now", spec())
    assert session.id == "t-old" and session.rewards() == now.rewards() and len(session.scored()) == 4
    for session_ in (session, now):
        session_.close()
    old, new = run(folder)[0], run(tmp_path / "now")[0]
    again = Session(folder, spec())
    assert again.rewards() == old.rewards(), "what was added since is not read as old"
    again.close()
    assert [s.eps for s in old.finished()] == [s.eps for s in new.finished()], "the same samples follow"


def test_a_later_schema_is_refused(tmp_path):
    (tmp_path / "journal.jsonl").write_bytes(old_line(0, "opened", {"schema": SCHEMA + 1, "session": "s"}))
    with pytest.raises(DeftError, match="later DEFT"):
        Session(tmp_path, spec())


def test_a_session_without_its_beginning_is_refused(tmp_path):
    (tmp_path / "journal.jsonl").write_bytes(old_line(0, "finished", {"episode": 0}))
    with pytest.raises(DeftError, match="does not begin"):
        Session(tmp_path, spec())
    Session(tmp_path / "other", spec()).close()


def test_without_a_damaged_record_the_session_goes_on(tmp_path):
    """Every record of a finished session damaged in turn: refused; with --force the rest counts, and the session ends."""
    run(tmp_path / "whole", episodes=4)
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for i in range(1, len(lines)):
        folder = tmp_path / f"damaged_{i}"
        folder.mkdir()
        line = lines[i][:-4] + bytes([lines[i][-4] ^ 1]) + lines[i][-3:]
        (folder / "journal.jsonl").write_bytes(b"".join([*lines[:i], line, *lines[i + 1:]]))
        with pytest.raises(DeftError, match=f"line {i + 1} "):
            Session(folder, spec(4))
        Session(folder, spec(4), force=True).close()
        session, _ = run(folder, episodes=4)
        kept = [r for r in session.journal.records if r.kind == "finished"]
        assert len(session.finished()) == 4 and len({r.data["episode"] for r in kept}) == 4
        assert all(np.isfinite(e.eps).all() for e in session.scored())
