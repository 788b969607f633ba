"""The report says what the journal says, needs nothing from outside, and stays small."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from cem.stand_in import method, run
from PIL import Image
from typer.testing import CliRunner

from deft_bringup.cli import app
from deft_bringup.operator_cli import write_report
from deft_cem.journal import peek
from deft_cem.rewards.desk import Answer
from deft_cem.session import Session
from deft_cem.summary import summarise, write


class Tables(HTMLParser):
    """Rows of the tables by their class: lists of the cells' texts."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self._kind, self._cell = "", False

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "table":
            self._kind = values.get("class") or ""
        elif tag == "tr":
            self.rows.setdefault(self._kind, []).append([])
        elif tag == "td":
            self.rows[self._kind][-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        if tag == "td":
            self._cell = False

    def handle_data(self, data):
        if self._cell:
            self.rows[self._kind][-1][-1] += data


def finished_session(folder, seed: int = 5, episodes: int = 30):
    """A session of the stand-in graph with noisy pictures, which compress badly, an odd remark and an amendment."""
    def answers(request, graph):
        if request.episode == 2 and request.outcome is not None:
            graph.desk.submit("", 2, Answer(0.25, False, True, "<b>odd & \"quoted\"</b>"))
        else:
            graph.answer(request)

    session, _ = run(folder, {"answers": answers}, episodes=episodes, seed=seed, made=method(seed=seed))
    session = Session(folder, session.spec)
    session.amend(1, 0.875, False, False, "looked again")
    write(folder / "summary.json", summarise(session, method(seed=seed)))
    session.close()
    rng = np.random.default_rng(seed)
    (folder / "pictures").mkdir()
    for episode in range(episodes):
        for name in ("before", "end", "after"):
            noise = rng.integers(0, 255, (120, 160, 3), np.uint8).repeat(4, axis=0).repeat(4, axis=1)
            Image.fromarray(noise).save(folder / "pictures" / f"episode_{episode:03d}_0_{name}.jpg")
    return session


def test_every_number_is_the_journals(tmp_path):
    session = finished_session(tmp_path)
    write_report([tmp_path], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert len(text.encode()) < 5_000_000
    tables = Tables()
    tables.feed(text)
    said: dict[int, tuple[float, bool]] = {}
    for record in peek(tmp_path / "journal.jsonl"):  # what counts is what was said last
        if record.kind in ("finished", "amended"):
            said[record.data["episode"]] = (record.data["reward"], record.data["success"])
    rows = [row for row in tables.rows["episodes"] if row]
    assert {int(r[0]) - 1: float(r[2]) for r in rows} == {e: reward for e, (reward, _) in said.items()}
    assert {int(r[0]) - 1: r[3] for r in rows} == {e: {True: "yes", False: "no"}[s] for e, (_, s) in said.items()}
    tuned = [row for row in tables.rows["tuned"] if row]
    expected = summarise(Session(tmp_path, session.spec), method())["tuned"]
    assert [float(r[1]) for r in tuned] == expected and [r[0] for r in tuned] == list(session.spec.residual_names)
    embedded = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert embedded == [json.loads((tmp_path / "summary.json").read_text())]


def test_it_is_one_file_and_escapes_what_people_wrote(tmp_path):
    finished_session(tmp_path, episodes=6)
    write_report([tmp_path], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert all(s.startswith(("data:", "#")) for s in sources)
    assert "<link" not in text and "<b>odd" not in text and "&lt;b&gt;odd" in text
    assert re.findall(r"<script[^>]*>", text) == ['<script type="application/json" id="data">']


def test_sessions_beside_each_other(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for seed, folder in enumerate(folders):
        finished_session(folder, seed, episodes=6)
    out = tmp_path / "both.html"
    result = CliRunner().invoke(app, ["report", *map(str, folders), "--out", str(out)])
    assert result.exit_code == 0, result.output
    text = out.read_text()
    assert "t, deft, seed 0" in text and "t, deft, seed 1" in text and text.count('<tr class="session">') == 2


@pytest.mark.parametrize("words", [["report", "{empty}"], ["report", "{empty}", "--out", "x.pdf"]])
def test_what_cannot_be_reported_is_said(tmp_path, words):
    result = CliRunner().invoke(app, [w.format(empty=tmp_path) for w in words])
    assert result.exit_code in (1, 2) and "deft:" in result.output
