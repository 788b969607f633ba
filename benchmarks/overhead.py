"""What an episode costs beside the robot's motion and the operator: looking, predicting, refitting, sampling, planning.

    . .venv/deft_env.sh && python benchmarks/overhead.py --out build/overhead     (about 15 min)

One session of the composed graph in real time, with tabletop segmentation and the learned prior. Overhead is the wall time
from the operator's answer to the next request, less the time in which the robot moved (phases of the execution, robot
clock, which runs as fast as the wall's).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("parking", "observing", "predicting", "sampling", "planning")  # sampling includes the refit


def costs(journal: Path) -> list[dict[str, float]]:
    """Wall seconds by step, of each executed episode."""
    found: list[dict[str, float]] = []
    for line in journal.read_text().splitlines():
        record = json.loads(line)
        if record["kind"] != "executed":
            continue
        data: dict[str, Any] = record["data"]
        moved = sum(end - start for _, start, end in data["phases"])
        seconds = {name: float(data["seconds"].get(name, 0.0)) for name in NAMES}
        seconds["planning"] = data["seconds"]["executing"] - moved
        found.append(seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the session")
    parser.add_argument("--task", default="pick_cup")
    parser.add_argument("--episodes", type=int, default=30)
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    subprocess.run(["deft", "finetune", options.task, "--sim", "--real-time-factor", "1", "--episodes", str(options.episodes),
                    "--session", str(options.out)], check=True)
    found = costs(options.out / "journal.jsonl")
    total = np.array([sum(seconds.values()) for seconds in found])
    print("\n| step | p50, s | p95, s |\n| --- | --- | --- |")
    for name in NAMES:
        values = [seconds[name] for seconds in found]
        print(f"| {name} | {np.percentile(values, 50):.2f} | {np.percentile(values, 95):.2f} |")
    print(f"| **all**, {len(found)} episodes | {np.percentile(total, 50):.2f} | {np.percentile(total, 95):.2f} |")


if __name__ == "__main__":
    main()
