"""`summary.json`: what a session did, in one file; schema in docs/session_files.md."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deft_cem import codes
from deft_cem.gate import of_episodes, rate
from deft_cem.methods import Method
from deft_cem.session import EpisodeState, Session
from deft_core.errors import DeftError
from deft_core.types import Array

SCHEMA_VERSION = 3


def summarise(session: Session, method: Method) -> dict[str, Any]:
    """The summary as plain values: metres, radians, seconds."""
    states, rewards, scored = session.finished(), session.rewards(), session.scored()
    episodes = [_episode(s, rewards.get(s.episode)) for s in states]
    counts = {status: sum(e["status"] == status for e in episodes)
              for status in ("scored", "infeasible", "aborted", "void")}
    values = list(rewards.values())
    tenth = max(1, min(10, len(values) // 2))
    judged = rate([s for s in states if not (s.control and session.spec.method == "versus")])
    low, high = judged.interval
    gate = of_episodes(states, method.leads_from)
    tuned = method.result(scored)
    return {
        "schema_version": SCHEMA_VERSION, "session": session.id, **session.spec.identity(), **session.spec.hashes(),
        "episodes_planned": session.spec.episodes, "finished": session.next_episode() is None,
        "ended_early": session.ended is not None,
        "episodes": episodes, "tuned": None if tuned is None else tuned.tolist(),
        "gate": gate.record() if gate else None, "operator": consistency(states, rewards),
        "totals": {**counts, "infeasible_samples": sum(e["redraws"] for e in episodes),
                   "rejected_samples": sum(len(e["rejected"]) for e in episodes),
                   "mean_reward": float(np.mean(values)) if values else None,
                   "best_reward": max(values) if values else None,
                   "mean_reward_first": float(np.mean(values[:tenth])) if values else None,
                   "mean_reward_last": float(np.mean(values[-tenth:])) if values else None,
                   "first_last_window": tenth, "successes": judged.successes,
                   "success_rate": judged.value if judged.trials else None, "rated": judged.trials,
                   "success_wilson_95": [low, high], "answers_changed": sum(len(s.history) for s in states),
                   "seconds_by_phase": _seconds(episodes)},
    }


def _episode(state: EpisodeState, reward: float | None) -> dict[str, Any]:
    executed = state.executed or {}
    return {"episode": state.episode, "attempt": state.attempt, "status": state.status, "reason": state.reason,
            "xi": state.xi, "eps": state.eps, "redraws": state.redraws, "control": state.control, "repeat_of": state.repeat_of,
            "fallback": state.fallback, "rejected": state.rejected,
            "executed": executed.get("executed"), "stop_reason": executed.get("stop_reason", ""),
            "clearance_lift": executed.get("lift"), "reward": reward, "reward_source": state.source,
            "measured": state.measured, "success": state.success, "note": state.note, "history": state.history,
            "seconds": state.seconds}


def consistency(states: Sequence[EpisodeState], rewards: dict[int, float]) -> dict[str, Any] | None:
    """How alike the same sample was scored when it was executed again; None where none was.

    The differences are the operator's and the scene's together: the sample was the same, the place of the object was not.
    """
    pairs = [(s.episode, s.repeat_of) for s in states if s.repeat_of is not None]
    known = [(rewards[a], rewards[b]) for a, b in pairs if a in rewards and b in rewards]
    if not known:
        return None
    off = np.array([a - b for a, b in known])
    return {"rechecks": len(known), "mean_absolute_difference": float(np.abs(off).mean()),
            "standard_deviation": float(np.sqrt((off**2).mean() / 2)), "pairs": [list(p) for p in pairs]}


def _seconds(episodes: list[dict[str, Any]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for e in episodes:
        for phase, seconds in e["seconds"].items():
            total[phase] = round(total.get(phase, 0.0) + seconds, 3)
    return total


def read(folder: Path) -> dict[str, Any]:
    """The summary in a session's folder. Raises DeftError BAD_GOAL: there is none."""
    try:
        return dict(json.loads((folder / "summary.json").read_text()))
    except (OSError, ValueError) as error:
        raise DeftError(codes.BAD_GOAL, f"no session at '{folder}', or one that was amended since: {error}; run "
                        "`deft finetune` with it to have its summary written") from None


def tuned_of(summary: dict[str, Any], folder: Path, task: str, residual_names: Sequence[str]) -> Array:
    """A session's tuned residual (n,), metres and rad.

    Raises:
        DeftError: SESSION_MISMATCH, it is of another hand or task; NO_RESIDUAL, too little was scored.
    """
    for key, what, wanted in (("residual_names", "hand", list(residual_names)), ("task", "task", task)):
        if summary.get(key) != wanted:
            raise DeftError(codes.SESSION_MISMATCH, f"{folder} is of another {what}: {summary.get(key)}")
    if not summary.get("tuned"):
        raise DeftError(codes.NO_RESIDUAL, f"{folder} holds too few scored episodes for a residual")
    return np.array(summary["tuned"])


def write(path: Path, summary: dict[str, Any]) -> None:
    """Write atomically: a reader sees the old file or the new one, whole."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        json.dump(summary, file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
