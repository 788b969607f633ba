"""Policies beside each other: what they say of elites that were left out, and how often their grasps succeed.

    . .venv/deft_env.sh && python benchmarks/policy.py run --out build/policy       (about 15 min a task)
    . .venv/deft_env.sh && python benchmarks/policy.py fit --out build/policy       (fits anew, without trials: 1 min)
    . .venv/deft_env.sh && python benchmarks/policy.py bag --session FOLDER --out build/policy

`run`: five sessions of Algorithm 1 a task (30 episodes, kept in OUT/sessions), every
policy fitted to each of them, and 10 trials of each with train and with test objects on scenes that are the same for
all and new to all; the prior alone on the same scenes. What the robot cannot execute is shrunk as in every trial, but an
answer that is out of bounds is not replaced by the prior. Policies that say the same are tried once. Intervals are 95 %
over sessions (t), of the prior Wilson's.
`bag`: how long the fit from a session's bag takes, in a process of its own, and how fast the bag is read beside plain
`rosbags`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from search import measure
from simulated import Robot, scenes_of_trials, session

from deft_bench.results import spread
from deft_cem.gate import wilson
from deft_cem.search.config import SearchConfig
from deft_policy.config import PolicyConfig, PolicyKind

TASKS = ("pick_cup", "pour_cup", "open_drawer", "pick_spoon", "scoop_grape", "stir_spoon", "pick_grapes", "flip_bagel",
         "squeeze_lemon")
SEEDS, TRIALS = 5, 10  # sessions a task; trials with each set of objects
KINDS = tuple(kind.value for kind in PolicyKind)
SEARCH = SearchConfig()  # Algorithm 1


@lru_cache(maxsize=1)
def robot_of(task: str) -> Robot:
    """The task's robot, kept for the next run; one at a time, since each keeps what it saw."""
    return Robot(task)


def run(job: tuple[str, int, str, bool]) -> dict[str, Any]:
    """All policies of one session; with seed -1 the prior alone."""
    task, seed, folder, tried = job
    robot = robot_of(task)
    if seed < 0:
        return {"task": task, "seed": seed, "prior": _trials(robot, None, {})}
    from simulated import recorded

    from deft_policy.fitting import Features, fit_policy

    data = session(robot, SEARCH, seed, Path(folder))
    seen = recorded(robot, SEARCH, seed, data)
    features = Features(PolicyConfig())
    known: Outcomes = {}
    record: dict[str, Any] = {"task": task, "seed": seed, "training": float(np.mean(data["success"]))}
    for kind in KINDS:
        started = time.perf_counter()
        policy = fit_policy(seen, PolicyConfig(kind=PolicyKind(kind)), seed, features)
        took = time.perf_counter() - started
        origin = policy.provenance
        record[kind] = {"error": origin.error, "mean_error": origin.mean_error, "steps": origin.steps, "fit_seconds": took,
                        **(_trials(robot, policy, known) if tried else {})}
    return record


FEATURES: dict[tuple[str, str, int], Any] = {}  # of the trials' scenes, which are the same for all
Outcomes = dict[tuple[str, int, bytes], bool]   # by objects, scene, residual


def _trials(robot: Any, policy: Any, known: Outcomes) -> dict[str, list[bool]]:
    """Successes on the scenes of the trials, by set of objects; without a policy those of the prior alone."""
    space = robot.basis(SEARCH).space
    outcome: dict[str, list[bool]] = {}
    for objects in ("train", "test"):
        for _, episode in scenes_of_trials(objects, TRIALS):
            eps = np.zeros(space.size) if policy is None else _answer(robot, policy, objects, episode)
            key = (objects, episode, np.round(eps, 9).tobytes())
            if key not in known:
                tried = robot.deploy(space, objects, episode, eps)
                known[key] = bool(tried and tried.success)
            outcome.setdefault(objects, []).append(known[key])
    return outcome


def _answer(robot: Any, policy: Any, objects: str, episode: int) -> np.ndarray:
    """The policy's residual for a scene; zeros where perception refuses it."""
    from deft_policy.fitting import Features

    look, key = robot.look(objects, episode), (robot.task, objects, episode)
    if look is None:
        return np.zeros(policy.space.size)
    if policy.sees and key not in FEATURES:
        FEATURES[key] = Features(policy.config)(look.crop)
    return np.asarray(policy.answer(FEATURES.get(key), look.xi, np.random.default_rng(episode)))


def _cell(values: list[float]) -> str:
    mean, low, high = spread(values)
    return f"{mean:.2f} ({max(low, 0.0):.2f}-{min(high, 1.0):.2f})"


def study(out: Path, tasks: list[str], tried: bool) -> None:
    """Sessions, fits and, where wanted, trials."""
    jobs = [(task, seed, str(out / "sessions"), tried) for task in tasks for seed in range(-1 if tried else 0, SEEDS)]
    records = measure(out / ("policies.jsonl" if tried else "fits.jsonl"), run, jobs, lambda j: f"{j[0]} {j[1]}")
    sessions = [r for r in records if r["seed"] >= 0]
    print("\n| policy | error on elites left out, sigma | less that of the others' mean | steps | fit, s |\n|" + " --- |" * 5)
    for kind in KINDS:
        errors = [r[kind]["error"] for r in sessions]
        less = [r[kind]["error"] - r[kind]["mean_error"] for r in sessions]
        steps = sorted(r[kind]["steps"] for r in sessions)
        mean, low, high = spread(less)
        print(f"| {kind} | {np.mean(errors):.3f} | {mean:+.3f} ({low:+.3f} to {high:+.3f}) | {steps[0]}-{steps[-1]}, "
              f"{sum(s == 0 for s in steps)} of {len(steps)} at 0 | "
              f"{np.mean([r[kind]['fit_seconds'] for r in sessions]):.1f} |")
    if tried:
        for objects in ("train", "test"):
            _table(records, sessions, objects)


def _table(records: list[dict[str, Any]], sessions: list[dict[str, Any]], objects: str) -> None:
    """Success by task, a row a policy."""
    tasks = [t for t in TASKS if any(r["task"] == t for r in sessions)]
    print(f"\nSuccess with {objects} objects:\n\n| policy | {' | '.join(tasks)} | all |\n|" + " --- |" * (len(tasks) + 2))
    alone = {r["task"]: r["prior"][objects] for r in records if r["seed"] < 0}
    cells = ["{:.2f} ({:.2f}-{:.2f})".format(np.mean(alone[t]), *wilson(sum(alone[t]), len(alone[t]))) for t in tasks]
    print(f"| the prior alone | {' | '.join(cells)} | {np.mean([x for t in tasks for x in alone[t]]):.2f} |")
    for kind in KINDS:
        by_task = {t: [float(np.mean(r[kind][objects])) for r in sessions if r["task"] == t] for t in tasks}
        print(f"| {kind} | {' | '.join(_cell(by_task[t]) for t in tasks)} | "
              f"{_cell([x for values in by_task.values() for x in values])} |")


def bag(folder: Path, out: Path) -> None:
    """How long fitting from a bag takes, and how fast it is read."""
    from rosbags.rosbag2 import Reader

    from deft_bag.episodes import bag_of
    from deft_bag.reader import Bag

    path, ours, theirs = bag_of(folder), [], []
    for _ in range(5):  # in turns
        started = time.perf_counter()
        with Bag(path) as opened:
            count = sum(1 for _ in opened.messages())
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        with Reader(path) as reader:
            plain = sum(1 for _ in reader.messages())
        theirs.append(time.perf_counter() - started)
        assert count == plain, (count, plain)
    size = sum(f.stat().st_size for f in path.glob("*.mcap")) / 1e6
    print(f"{count} messages, {size:.1f} MB; DEFT {np.median(ours):.3f} s, rosbags {np.median(theirs):.3f} s: rate "
          f"{np.median(theirs) / np.median(ours):.2f} of plain rosbags")
    took = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([Path(sys.executable).with_name("python"), "-m", "deft_bringup.cli", "fit", "--bag", str(path), "--out",
                        str(out / "fitted")], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took.append(time.perf_counter() - started)
    print(f"deft fit --bag, whole command: {json.dumps([round(t, 1) for t in took])} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("run", "fit", "bag"))
    parser.add_argument("--out", type=Path, required=True, help="folder for what was run")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--session", type=Path, help="of bag: a session's folder")
    options = parser.parse_args()
    if options.part == "bag":
        bag(options.session, options.out)
    else:
        study(options.out, options.tasks, tried=options.part == "run")


if __name__ == "__main__":
    main()
