"""All searches beside each other on landscapes that score like grasps. On the simulated robot: `deft bench searches`.

    . .venv/deft_env.sh && python benchmarks/search.py landscapes --out build/search     (20 min on 2 cores)
    . .venv/deft_env.sh && python benchmarks/search.py variants --out build/search       (each choice of deft_plus)

Every search has the same seeds, scenes and warm-up draws; `random` is the control: as many plain draws, then the mean of the
best five. Reported are the success during training, and that of the residual recommended after 10, 20 and 30 episodes,
with 95 % intervals over the problems (t) and paired differences to deft_plus. Everything that was run is kept in OUT, a
line a run, and not run again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process a core

import numpy as np
from landscapes import KINDS, SIZE, Landscape

from deft_bench.results import spread
from deft_cem.search import Search, make_search
from deft_cem.search.basis import make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.search.deft_plus import DeftPlusConfig
from deft_cem.search.gaussian import Scored
from deft_core.config import default_config_dir

ALGORITHMS = ("deft_plus", "deft", "random", "cma", "bo")
EPISODES, POINTS = 30, (10, 20, 30)
LANDSCAPE_SEEDS, LANDSCAPE_TRIALS = 20, 200
JOINTS = tuple(f"j{i}" for i in range(SIZE - 6))

# One choice of deft_plus changed at a time
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "warm-up 4": {"warmup": 4}, "warm-up 10": {"warmup": 10},
    "explore 1": {"explore": (1.0, 1.0, 0.57)}, "explore half": {"explore": (0.35, 0.35, 0.2)},
    "follow 1.4 x": {"follow": (0.7, 0.7, 0.4)}, "follow half": {"follow": (0.25, 0.25, 0.14)},
    "gain 1.5 x": {"gain": (0.78, 0.53, 0.48)}, "gain / 1.5": {"gain": (0.35, 0.23, 0.21)},
    "fall 1.5 x": {"fall": (0.68, 0.45, 0.96)}, "fall / 1.5": {"fall": (0.30, 0.20, 0.43)},
    "no prior first": {"prior_first": False}, "all groups alike": {"explore": (0.5,) * 3, "follow": (0.35,) * 3},
}


def landscape_run(job: tuple[str, str, int, dict[str, Any]]) -> dict[str, Any]:
    """One search on one landscape."""
    algorithm, kind, seed, changes = job
    config = SearchConfig(algorithm=algorithm, deft_plus=DeftPlusConfig(**changes))  # type: ignore[arg-type]
    search = make_search(config, make_basis(config, JOINTS, "none", default_config_dir()), seed)
    landscape, scenes = Landscape(kind, seed), np.random.default_rng([seed, 5])
    scored: list[Scored] = []
    training: list[bool] = []
    result: dict[int, float] = {}
    for k in range(EPISODES):
        search.tell(scored)
        z = search.ask(k, 0)
        tried = landscape.try_out(z, scenes)
        training.append(tried.success)
        scored.append(Scored(k, z, tried.reward))
        if k + 1 in POINTS:
            result[k + 1] = landscape.rate(_recommended(search, scored), LANDSCAPE_TRIALS, seed)
    return _record("landscapes", kind, seed, algorithm, training, result,
                   landscape.rate(np.zeros(SIZE), LANDSCAPE_TRIALS, seed))


def _recommended(search: Search, scored: list[Scored]) -> np.ndarray:
    """What the search would deploy now; the prior where it does not know yet."""
    search.tell(scored)
    found = search.result()
    return found if found is not None else np.zeros(search.size)


def _record(family: str, problem: str, seed: int, algorithm: str, training: list[bool], result: dict[int, float],
            prior: float | None) -> dict[str, Any]:
    return {"family": family, "problem": problem, "seed": seed, "algorithm": algorithm, "prior": prior,
            "training": float(np.mean(training)), "last_10": float(np.mean(training[-10:])),
            **{f"result_{n}": rate for n, rate in result.items()}}


def measure(path: Path, run: Callable[[Any], dict[str, Any]], jobs: list[Any],
            name: Callable[[Any], str]) -> list[dict[str, Any]]:
    """Do the jobs that are not in the file yet, two at a time; all records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    have = {r["job"] for r in records}
    todo = [j for j in jobs if name(j) not in have]
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool, path.open("a") as file:
        for job, record in pool.imap_unordered(_named(run), todo):
            record["job"] = name(job)
            records.append(record)
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(f"{len(records)}/{len(jobs)} {record['job']}: {record}", flush=True)
    wanted = {name(j) for j in jobs}
    return [r for r in records if r["job"] in wanted]


class _named:
    """A run that gives its job back with what came of it; picklable."""

    def __init__(self, run: Callable[[Any], dict[str, Any]]) -> None:
        self._run = run

    def __call__(self, job: Any) -> tuple[Any, dict[str, Any]]:
        return job, self._run(job)


def _cell(values: Iterable[float]) -> str:
    mean, low, high = spread(list(values))
    return f"{mean:.2f} ({low:.2f}-{high:.2f})"


def table(records: list[dict[str, Any]], names: Iterable[str], key: str = "algorithm") -> str:
    """Means with intervals over all problems and seeds, one row a search."""
    columns = ["training", "last_10", *(f"result_{n}" for n in POINTS)]
    lines = ["| search | success in training | in its last 10 | of the result after 10 | after 20 | after 30 | "
             "deft_plus less this, after 30 |", "| --- | --- | --- | --- | --- | --- | --- |"]
    first = {(r["problem"], r["seed"]): r for r in records if r[key] == next(iter(names))}
    for name in names:
        rows = [r for r in records if r[key] == name]
        cells = [_cell(r[c] for r in rows) for c in columns]
        off = [first[r["problem"], r["seed"]]["result_30"] - r["result_30"] for r in rows if (r["problem"], r["seed"]) in first]
        lines.append(f"| {name} | {' | '.join(cells)} | {'' if name == next(iter(names)) else _cell(off)} |")
    return "\n".join(lines)


def landscapes(out: Path) -> None:
    """Part (b) of the study."""
    jobs = [(a, kind, seed, {}) for a in ALGORITHMS for seed in range(LANDSCAPE_SEEDS) for kind in KINDS]
    records = measure(out / "landscapes.jsonl", landscape_run, jobs, lambda j: f"{j[0]} {j[1]} {j[2]}")
    print(f"\nThe prior alone: {_cell(r['prior'] for r in records if r['algorithm'] == 'deft')}\n")
    print(table(records, ALGORITHMS))
    print("\nOf the result after 30, by kind:\n\n| search | " + " | ".join(KINDS) + " |\n|" + " --- |" * (len(KINDS) + 1))
    for a in ALGORITHMS:
        print(f"| {a} | " + " | ".join(_cell(r["result_30"] for r in records if r["algorithm"] == a and r["problem"] == kind)
                                       for kind in KINDS) + " |")


def variants(out: Path) -> None:
    """What each choice in deft_plus is worth on the landscapes."""
    jobs = [("deft_plus", kind, seed, {"variant": v}) for v in VARIANTS for kind in KINDS for seed in range(LANDSCAPE_SEEDS)]
    records = measure(out / "variants.jsonl", variant_run, jobs, lambda j: f"{j[3]['variant']} {j[1]} {j[2]}")
    print(table(records, VARIANTS, "variant"))


def variant_run(job: tuple[str, str, int, dict[str, Any]]) -> dict[str, Any]:
    """One variant of deft_plus on one landscape."""
    algorithm, kind, seed, named = job
    return landscape_run((algorithm, kind, seed, VARIANTS[named["variant"]])) | {"variant": named["variant"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("landscapes", "variants"))
    parser.add_argument("--out", type=Path, required=True, help="folder for what was run")
    options = parser.parse_args()
    if options.part == "landscapes":
        landscapes(options.out)
    else:
        variants(options.out)


if __name__ == "__main__":
    main()
