"""Fine-tune pick_cup over several seeds, beside the control that draws the same budget without refitting.

Every run is `deft finetune` through the whole ROS graph, in its own session folder, so that the study
can be interrupted and goes on where it was. Writes a PNG with all curves and a Markdown table.

    . .venv/deft_env.sh && python benchmarks/finetune_seeds.py --out build/finetune_seeds
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import yaml

from deft_core.config import default_config_dir
from deft_operator.plots import running_mean

WINDOW = 10  # episodes that "first" and "last" stand for


def control_parameters(out: Path) -> Path:
    """Node parameters with the search that never refits."""
    parameters = yaml.safe_load((default_config_dir() / "finetune.yaml").read_text())
    parameters["deft_cem"]["ros__parameters"]["search"]["algorithm"] = "random"
    path = out / "control.yaml"
    path.write_text(yaml.safe_dump(parameters))
    return path


def run(task: str, seed: int, episodes: int, folder: Path, params: Path | None) -> dict[str, Any]:
    """One session; its summary with the wall seconds that it took here."""
    command = ["deft", "finetune", task, "--sim", "--seed", str(seed), "--episodes", str(episodes), "--session", str(folder)]
    started = time.monotonic()
    result = subprocess.run(command + (["--params-file", str(params)] if params else []), check=False,
                            capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    if result.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    summary = json.loads((folder / "summary.json").read_text())
    print(f"{folder.name}: {time.monotonic() - started:.0f} s, {summary['totals']}", flush=True)
    return summary


def rewards(summary: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Episode numbers (1-based) and rewards of the scored episodes."""
    scored = [e for e in summary["episodes"] if e["status"] == "scored"]
    return np.array([e["episode"] + 1 for e in scored]), np.array([e["reward"] for e in scored])


def table(results: dict[str, list[dict[str, Any]]], seeds: list[int]) -> str:
    """Mean reward and successes of the first and the last ten episodes, by seed and method."""
    lines = ["| seed | CEM, first 10 | CEM, last 10 | no refit, first 10 | no refit, last 10 "
             "| successes, CEM | no refit | scored, CEM | no refit |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for i, seed in enumerate(seeds):
        cells: list[str] = []
        for method in ("deft", "control"):
            _, y = rewards(results[method][i])
            cells += [f"{y[:WINDOW].mean():.3f}", f"{y[-WINDOW:].mean():.3f}"]
        won, scored = [], []
        for method in ("deft", "control"):
            done = [e for e in results[method][i]["episodes"] if e["status"] == "scored"]
            won.append(f"{sum(bool(e['success']) for e in done[:WINDOW])} -> {sum(bool(e['success']) for e in done[-WINDOW:])}")
            scored.append(f"{len(done)}/{results[method][i]['episodes_planned']}")
        lines.append(f"| {seed} | {' | '.join([*cells, *won, *scored])} |")
    return "\n".join(lines) + "\n"


def draw(results: dict[str, list[dict[str, Any]]], seeds: list[int], path: Path) -> None:
    """All curves: running mean of the reward, one panel a method."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4), dpi=120, sharey=True)
    titles = {"deft": "fine-tuning (CEM)", "control": "control: 30 draws, no refit"}
    for panel, (method, title) in zip(panels, titles.items(), strict=True):
        for seed, summary in zip(seeds, results[method], strict=True):
            x, y = rewards(summary)
            panel.plot(x, running_mean(y), label=f"seed {seed}")
            panel.scatter(x, y, s=6, alpha=0.35)
        panel.axvline(11.5, color="gray", linestyle=":", linewidth=1)
        panel.set(xlabel="episode", title=title, ylim=(-0.03, 1.03))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("reward, mean of the last 5")
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="pick_cup")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--episodes", type=int, default=30)
    parser.add_argument("--out", type=Path, required=True, help="folder for sessions, picture and table")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    control = control_parameters(options.out)
    results: dict[str, list[dict[str, Any]]] = {"deft": [], "control": []}
    for seed in options.seeds:
        for method, params in (("deft", None), ("control", control)):
            results[method].append(run(options.task, seed, options.episodes, options.out / f"{method}_{seed}", params))
    (options.out / "table.md").write_text(table(results, options.seeds))
    draw(results, options.seeds, options.out / "curves.png")
    print((options.out / "table.md").read_text())


if __name__ == "__main__":
    main()
