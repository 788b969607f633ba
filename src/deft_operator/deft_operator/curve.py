"""The learning curve of a session as a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

WINDOW = 5  # episodes of the running mean


def running_mean(values: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Mean of the last `window` values at each place (fewer at the start)."""
    return np.array([values[max(0, i + 1 - window):i + 1].mean() for i in range(len(values))])


def draw(summary: dict[str, Any], path: Path) -> None:
    """Rewards of all scored episodes, their running mean, successes, and what was not scored."""
    scored = [e for e in summary["episodes"] if e["status"] == "scored"]
    other = [e["episode"] + 1 for e in summary["episodes"] if e["status"] != "scored"]
    figure, axes = plt.subplots(figsize=(7, 3.6), dpi=120)
    if scored:
        x = np.array([e["episode"] + 1 for e in scored])
        y = np.array([e["reward"] for e in scored])
        success = np.array([bool(e["success"]) for e in scored])
        axes.plot(x, running_mean(y), color="tab:blue", label=f"mean of the last {WINDOW}")
        axes.scatter(x[success], y[success], marker="o", color="tab:green", label="success")
        axes.scatter(x[~success], y[~success], marker="x", color="tab:red", label="no success")
    if other:
        axes.scatter(other, [0.0] * len(other), marker="|", color="black", label="not scored")
    axes.set(xlabel="episode", ylabel="reward (operator, 0..1)", ylim=(-0.03, 1.05),
             xlim=(0.5, max(summary["episodes_planned"], 1) + 0.5),
             title=f"{summary['task']}, {summary['method']}, seed {summary['seed']}")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
