"""Better than the prior? Rates, intervals, and what an export says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from cem.stand_in import SPACE
from hypothesis import given
from hypothesis import strategies as st

from deft_cem.export import exported
from deft_cem.gate import Rate, compare, of_episodes, rate, wilson
from deft_cem.session import EpisodeState
from deft_core.errors import DeftError


def test_wilson_interval():
    low, high = wilson(8, 10)
    assert low == pytest.approx(0.4902, abs=1e-3) and high == pytest.approx(0.9433, abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0) and wilson(0, 10)[0] == 0.0


def test_newcombes_interval():
    """Newcombe 1998, method 10: 56/70 against 48/80 is 0.2 (0.0524 to 0.3339)."""
    gate = compare(Rate(48, 80), Rate(56, 70))
    assert gate.difference == pytest.approx(0.2) and gate.low == pytest.approx(0.0524, abs=2e-4)
    assert gate.high == pytest.approx(0.3339, abs=2e-4) and gate.verdict == "better"


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_the_verdict_is_one_of_three_and_fair(n, m, data):
    prior, tuned = Rate(data.draw(st.integers(0, n)), n), Rate(data.draw(st.integers(0, m)), m)
    gate, other = compare(prior, tuned), compare(tuned, prior)
    assert -1 <= gate.low <= gate.difference <= gate.high <= 1 and gate.low == pytest.approx(-other.high)
    assert {gate.verdict, other.verdict} in ({"better", "worse"}, {"not shown"})


def episode(k, success, control=False, status="scored"):
    return EpisodeState(k, status=status, success=success, control=control)


def test_what_could_not_be_executed_is_no_success():
    assert rate([episode(0, True), episode(1, None, status="infeasible"), episode(2, None, status="void")]) == Rate(1, 2)


def test_prior_only_episodes_are_set_against_those_after_the_warm_up():
    states = [episode(k, k >= 10, control=k % 5 == 4) for k in range(30)]
    gate = of_episodes(states, 10)
    assert gate.prior == Rate(4, 6) and gate.tuned == Rate(16, 16)
    assert of_episodes([episode(k, None, control=k % 5 == 4) for k in range(30)], 10) is None, "nobody said what succeeded"
    assert of_episodes([episode(k, True) for k in range(30)], 10) is None


def folder(path, gate, tuned=0.01, method="deft", controls=0):
    path.mkdir()
    tuned = np.full(22, tuned).tolist()
    episodes = [{"control": k < controls, "eps": tuned} for k in range(4)]
    (path / "summary.json").write_text(json.dumps({
        "task": "t", "session": "s", "method": method, "config_hash": "h", "calibration_hash": "c", "tuned": tuned,
        "residual_names": SPACE.names, "gate": gate, "episodes": episodes}))
    return path


BETTER = compare(Rate(3, 20), Rate(18, 20)).record()
OVERLAP = compare(Rate(12, 20), Rate(14, 20)).record()


@pytest.mark.parametrize(("own", "evaluated", "better"), [
    (None, None, False), (OVERLAP, None, False), (BETTER, None, True), (OVERLAP, BETTER, True), (BETTER, OVERLAP, False)])
def test_an_export_says_whether_it_is_shown_to_be_better(tmp_path, own, evaluated, better):
    session = folder(tmp_path / "session", own)
    trials = folder(tmp_path / "trials", evaluated, method="versus", controls=2) if evaluated else None
    written = exported(session, trials, tmp_path / "out" / "residual.yaml")
    data = yaml.safe_load((tmp_path / "out" / "residual.yaml").read_text())
    assert written.better is better and data["shown_better_than_prior"] is better and data["gate"] == written.words
    assert list(data["residual"]) == list(SPACE.names) and data["residual"]["contact_x"] == 0.01
    assert "deft evaluate t --method versus" in written.advice


def test_an_evaluation_of_something_else_is_refused(tmp_path):
    session = folder(tmp_path / "session", None)
    for name, fields in (("other", {"tuned": 0.02, "method": "versus"}), ("tuned", {"method": "tuned"})):
        with pytest.raises(DeftError, match="no evaluation of"):
            exported(session, folder(tmp_path / name, BETTER, **fields), tmp_path / "residual.yaml")
    with pytest.raises(DeftError, match="no session"):
        exported(tmp_path / "nowhere", None, tmp_path / "residual.yaml")
    assert not (tmp_path / "residual.yaml").exists()
