"""`summary.json`: what a session did, in one file; schema in docs/session_files.md."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from deft_cem.distribution import elites
from deft_cem.session import Session

SCHEMA_VERSION = 1


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The Wilson score interval of a success rate; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    p, n = successes / trials, trials
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def summarise(session: Session, elite_count: int, finished: bool) -> dict[str, Any]:
    """The summary as plain values: metres, radians, seconds."""
    episodes = []
    for state in session.finished():
        episodes.append({
            "episode": state.episode, "attempt": state.attempt, "status": state.status, "reason": state.reason,
            "xi": state.xi, "eps": state.eps, "redraws": state.redraws,
            "executed": state.executed["executed"] if state.executed else None,
            "stop_reason": state.executed["stop_reason"] if state.executed else "",
            "clearance_lift": state.executed["lift"] if state.executed else None,
            "reward": state.reward, "success": state.success, "note": state.note, "seconds": state.seconds})
    scored = session.scored()
    best = elites(scored, elite_count)
    counts = {status: sum(e["status"] == status for e in episodes)
              for status in ("scored", "infeasible", "aborted", "void")}
    rewards = [s.reward for s in scored]
    tenth = max(1, min(10, len(rewards) // 2))
    successes = sum(bool(e["success"]) for e in episodes if e["status"] == "scored")
    rated = counts["scored"] + counts["infeasible"]
    low, high = wilson(successes, rated)
    return {
        "schema_version": SCHEMA_VERSION, "session": session.id, **session.spec.identity(),
        "episodes_planned": session.spec.episodes, "finished": finished, "episodes": episodes,
        "elites": [{"episode": s.episode, "reward": s.reward, "eps": s.eps.tolist()} for s in best],
        "elite_mean": np.mean([s.eps for s in best], axis=0).tolist() if len(best) == elite_count else None,
        "totals": {**counts, "infeasible_samples": sum(e["redraws"] for e in episodes),
                   "mean_reward": float(np.mean(rewards)) if rewards else None,
                   "best_reward": max(rewards) if rewards else None,
                   "mean_reward_first": float(np.mean(rewards[:tenth])) if rewards else None,
                   "mean_reward_last": float(np.mean(rewards[-tenth:])) if rewards else None,
                   "first_last_window": tenth, "successes": successes, "success_rate": successes / rated if rated else None,
                   "success_wilson_95": [low, high],
                   "seconds_by_phase": _seconds(episodes)},
    }


def _seconds(episodes: list[dict[str, Any]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for e in episodes:
        for phase, seconds in e["seconds"].items():
            total[phase] = round(total.get(phase, 0.0) + seconds, 3)
    return total


def write(path: Path, summary: dict[str, Any]) -> None:
    """Write atomically: a reader sees the old file or the new one, whole."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        json.dump(summary, file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
