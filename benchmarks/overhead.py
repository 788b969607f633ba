"""What an episode costs beside the robot's motion and the operator: where the wall time goes.

    . .venv/deft_env.sh && python benchmarks/overhead.py --out build/overhead       (about 4 min)

A session of 30 episodes through the composed graph (`deft finetune pick_cup --sim`): tabletop segmentation, learned
prior, Algorithm 1, the scripted operator. Overhead is everything but the motion of the robot, which is simulated as fast as
the machine allows, and the operator's answer. The simulator shares the cores with what is measured, the camera's renderer
included. `planning` is the time in which the robot stands while its ways are planned; `recording` is the episode's record,
with what was seen, until it is in the bag.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np

PHASES = ("parking", "observing", "predicting", "sampling", "planning", "recording")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the session")
    parser.add_argument("--task", default="pick_cup")
    parser.add_argument("--episodes", type=int, default=30)
    options = parser.parse_args()
    folder = options.out / options.task
    shutil.rmtree(folder, ignore_errors=True)
    command = ["deft", "finetune", options.task, "--sim", "--episodes", str(options.episodes), "--seed", "1"]
    subprocess.run([*command, "--session", str(folder)], check=True)
    episodes = [e for e in json.loads((folder / "summary.json").read_text())["episodes"] if e["status"] == "scored"]
    table = np.array([[e["seconds"].get(phase, 0.0) for phase in PHASES] for e in episodes])
    total = table.sum(axis=1)
    print(f"\n{len(episodes)} scored episodes of {options.task}\n\n| phase | p50, s | p95, s | share |\n|" + " --- |" * 4)
    for name, column in [*zip(PHASES, table.T, strict=True), ("**all**", total)]:
        half, most = np.quantile(column, (0.5, 0.95))
        print(f"| {name} | {half:.3f} | {most:.3f} | {column.sum() / total.sum():.0%} |")


if __name__ == "__main__":
    main()
