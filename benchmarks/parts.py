"""Which part of the prior's grasp holds a task back: each in turn is replaced by that of a competent grasp.

    . .venv/deft_env.sh && python benchmarks/parts.py --out build/parts [--draws 20]     (about 10 min on 2 cores)

The prior sees the table through camera and perception, as in a session; what replaces parts of its answer is the grasp that the
simulator's truth allows (`deft_sim.oracle`). `closed as planned` does without `touch` of the hand's YAML: the fingers go no
further than the prior has them. Scenes of seed 2000, train objects: nothing else is reported on them. Prints a table of
docs/results.md; tasks that OUT has already are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")

import joblib
import numpy as np

from deft_bench.sessions import one_core
from deft_bench.sim_robot import SimRobot, load_rig
from deft_bench.studies import DEVELOPMENT_SCENES, TASKS
from deft_bringup.rehearsal import lay
from deft_core.errors import DeftError
from deft_core.types import GraspParameters
from deft_sim.oracle import competent_grasp

AS_PLANNED = "the prior, closed as planned"
Mixed = Callable[[GraspParameters, GraspParameters], GraspParameters]

PARTS: dict[str, Mixed] = {
    "the prior": lambda prior, best: prior,
    "contact": lambda prior, best: replace(prior, contact=best.contact),
    "wrist": lambda prior, best: replace(prior, wrist_rotation=best.wrist_rotation),
    "fingers": lambda prior, best: replace(prior, joints=best.joints),
    "contact and wrist": lambda prior, best: replace(prior, contact=best.contact, wrist_rotation=best.wrist_rotation),
    "all": lambda prior, best: best,
    AS_PLANNED: lambda prior, best: prior,
}


def once(rig: SimRobot, part: str, episode: int) -> bool:
    """Whether the grasp of a scene succeeds; one that cannot be executed does not."""
    lay(rig, "train", episode)
    try:
        seen = rig.observe()
        grasp = PARTS[part](rig.predict(seen, episode), competent_grasp(rig.world))
        return bool(rig.execute(seen, grasp, episode)[1].success)
    except DeftError:
        return False


def measure(task: str, draws: int, out: Path) -> dict[str, int]:
    """Successes of each part on a task; written to OUT/<task>.json."""
    file = out / f"{task}.json"
    if not file.exists():
        one_core()
        rig = load_rig(task, seed=DEVELOPMENT_SCENES)
        numb = SimRobot(rig.robot, rig.hand.model_copy(update={"touch": None}), rig.task, DEVELOPMENT_SCENES)
        found = {part: sum(once(numb if part == AS_PLANNED else rig, part, episode) for episode in range(draws))
                 for part in PARTS}
        file.write_text(json.dumps(found))
    return dict(json.loads(file.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    done = joblib.Parallel(n_jobs=os.cpu_count(), batch_size=1)(
        joblib.delayed(measure)(task, options.draws, options.out) for task in options.tasks)
    print(f"| of {options.draws} | {' | '.join(options.tasks)} | mean |\n|{' --- |' * (len(options.tasks) + 2)}")
    for part in PARTS:
        counts = [found[part] for found in done]
        print(f"| {part} | {' | '.join(map(str, counts))} | {np.mean(counts) / options.draws:.2f} |")


if __name__ == "__main__":
    main()
