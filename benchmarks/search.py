"""All searches beside each other on landscapes that score like grasps and on models of tasks. The robot: `deft bench searches`.

    . .venv/deft_env.sh && python benchmarks/search.py landscapes --out build/search     (6 min on 2 cores)
    . .venv/deft_env.sh && python benchmarks/search.py draws --out build/search          (1,800 simulated episodes, 20 min)
    . .venv/deft_env.sh && python benchmarks/search.py models --out build/search         (on models made of them)
    . .venv/deft_env.sh && python benchmarks/search.py variants --out build/search       (each choice of deft_plus, on both)

Every search has the same seeds, scenes and warm-up draws; `random` is the control: as many plain draws, then the mean of the
best five. Reported are the success during training, and that of the residual recommended after 10, 20 and 30 episodes, mean
over the problems of a seed with its 95 % interval over the seeds (t), and paired differences to deft_plus. Everything that
was run is kept in OUT, a line a run, and not run again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process a core
os.environ.setdefault("MUJOCO_GL", "egl")

import numpy as np
import task_models
from landscapes import KINDS, SIZE, Landscape, Tried

from deft_bench.results import spread
from deft_bench.studies import SEARCHED, SEARCHES
from deft_cem.search import Search, make_search
from deft_cem.search.basis import make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.search.deft_plus import DeftPlusConfig
from deft_cem.search.gaussian import Scored
from deft_core.config import default_config_dir
from deft_core.types import Array

EPISODES, POINTS = 30, (10, 20, 30)
JOINTS = tuple(f"j{i}" for i in range(SIZE - 6))
PROBLEMS = {"landscapes": KINDS, "models": SEARCHED}
SEEDS = {"landscapes": 20, "models": 50}
J = TypeVar("J")


def _times(field: str, factor: float) -> dict[str, Any]:
    """A change of a field of three numbers."""
    return {field: tuple(round(factor * value, 3) for value in getattr(DeftPlusConfig(), field))}


# One choice of deft_plus changed at a time
AS_IT_IS = "as it is"
VARIANTS: dict[str, dict[str, Any]] = {
    AS_IT_IS: {},
    "warm-up 4": {"warmup": 4}, "warm-up 10": {"warmup": 10},
    "explore 1.4 x": _times("explore", 1.4), "explore half": _times("explore", 0.5),
    "follow 1.4 x": _times("follow", 1.4), "follow half": _times("follow", 0.5),
    "gain 1.5 x": _times("gain", 1.5), "gain / 1.5": _times("gain", 1 / 1.5),
    "fall 1.5 x": _times("fall", 1.5), "fall / 1.5": _times("fall", 1 / 1.5),
    "no prior first": {"prior_first": False}, "all groups alike": {"explore": (0.5,) * 3, "follow": (0.42,) * 3},
}


@dataclass(frozen=True)
class Job:
    """One search on one problem.

    Attributes:
        family: landscapes | models.
        problem: kind of landscape, or task.
        variant: of deft_plus.
    """

    family: str
    problem: str
    seed: int
    algorithm: str
    variant: str
    out: Path

    @property
    def name(self) -> str:
        """In the file of what was run."""
        return f"{self.algorithm}, {self.variant}: {self.problem} {self.seed}"


def run(job: Job) -> dict[str, Any]:
    """Run a job; what came of it."""
    changes = DeftPlusConfig(**VARIANTS[job.variant])
    if job.family == "landscapes":
        config = SearchConfig(algorithm=job.algorithm, deft_plus=changes)  # type: ignore[arg-type]
        search = make_search(config, make_basis(config, JOINTS, "none", default_config_dir()), job.seed)
        landscape = Landscape(job.problem, job.seed)
        found = _searched(search, landscape.try_out, landscape.rate, job.seed)
    else:
        model = task_models.model_of(job.problem, job.out / "draws")
        config = task_models.search(job.algorithm).model_copy(update={"deft_plus": changes})
        found = _searched(make_search(config, task_models.basis(), job.seed), model.try_out, model.rate, job.seed)
    return found | {"problem": job.problem, "seed": job.seed, "algorithm": job.algorithm, "variant": job.variant}


def _searched(search: Search, try_out: Callable[[Array, np.random.Generator], Tried], rate: Callable[[Array], float],
              seed: int) -> dict[str, Any]:
    """All episodes of a search: success while it learned, and of what it recommended."""
    scenes = np.random.default_rng([seed, 5])
    scored: list[Scored] = []
    training: list[bool] = []
    result: dict[str, float] = {}
    for k in range(EPISODES):
        search.tell(scored)
        z = search.ask(k, 0)
        tried = try_out(z, scenes)
        training.append(tried.success)
        scored.append(Scored(k, z, tried.reward))
        if k + 1 in POINTS:
            result[f"result_{k + 1}"] = rate(_recommended(search, scored))
    return {"prior": rate(np.zeros(search.size)), "training": float(np.mean(training)),
            "last_10": float(np.mean(training[-10:])), **result}


def _recommended(search: Search, scored: list[Scored]) -> Array:
    """What the search would deploy now; the prior where it does not know yet."""
    search.tell(scored)
    found = search.result()
    return found if found is not None else np.zeros(search.size)


def measure(path: Path, do: Callable[[J], dict[str, Any]], jobs: list[J], name: Callable[[J], str]) -> list[dict[str, Any]]:
    """Do the jobs that are not in the file yet, two at a time; all records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    have = {r["job"] for r in records}
    todo = [j for j in jobs if name(j) not in have]
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool, path.open("a") as file:
        for job, record in pool.imap_unordered(_named(do), todo):
            record["job"] = name(job)
            records.append(record)
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(f"{len(records)}/{len(jobs)} {record['job']}: {record}", flush=True)
    wanted = {name(j) for j in jobs}
    return [r for r in records if r["job"] in wanted]


class _named:
    """A run that gives its job back with what came of it; picklable."""

    def __init__(self, do: Callable[[Any], dict[str, Any]]) -> None:
        self._do = do

    def __call__(self, job: Any) -> tuple[Any, dict[str, Any]]:
        return job, self._do(job)


def _cell(values: Iterable[float]) -> str:
    mean, low, high = spread(list(values))
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def _by_seed(records: Sequence[dict[str, Any]], column: str) -> dict[int, float]:
    """Mean over the problems of each seed."""
    return {s: float(np.mean([r[column] for r in records if r["seed"] == s])) for s in sorted({r["seed"] for r in records})}


def table(records: Sequence[dict[str, Any]], names: Sequence[str], key: str) -> str:
    """Means with intervals over the seeds, a line a search, and what the first is ahead of each."""
    columns = ["training", "last_10", *(f"result_{n}" for n in POINTS)]
    lines = ["| search | success in training | in its last 10 | of the result after 10 | after 20 | after 30 | "
             f"{names[0]} less this in training | after 30 |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    first = [r for r in records if r[key] == names[0]]
    for name in names:
        rows = [r for r in records if r[key] == name]
        cells = [_cell(_by_seed(rows, c).values()) for c in columns]
        for column in ("training", "result_30"):
            mine, theirs = _by_seed(first, column), _by_seed(rows, column)
            cells.append("" if name == names[0] else _cell(mine[s] - theirs[s] for s in theirs))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(family: str, out: Path) -> None:
    """All searches beside each other."""
    jobs = [Job(family, problem, seed, a, AS_IT_IS, out) for a in SEARCHES for seed in range(SEEDS[family])
            for problem in PROBLEMS[family]]
    records = measure(out / f"{family}.jsonl", run, jobs, lambda j: j.name)
    print(f"\nThe prior alone: {_cell(_by_seed([r for r in records if r['algorithm'] == 'deft'], 'prior').values())}\n")
    print(table(records, SEARCHES, "algorithm"))
    print("\nOf the result after 30:\n\n| search | " + " | ".join(PROBLEMS[family]) + " |")
    print("|" + " --- |" * (len(PROBLEMS[family]) + 1))
    for a in SEARCHES:
        print(f"| {a} | " + " | ".join(_cell(r["result_30"] for r in records if r["algorithm"] == a and r["problem"] == problem)
                                       for problem in PROBLEMS[family]) + " |")


def draws(out: Path) -> None:
    """What the models are made of."""
    jobs = [(task, seed, out / "draws") for seed in range(task_models.FIRST_SEED, task_models.FIRST_SEED + task_models.SESSIONS)
            for task in SEARCHED]
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1), maxtasksperchild=4) as pool:
        for n, _ in enumerate(pool.imap_unordered(task_models.draw, jobs), 1):
            print(f"{n}/{len(jobs)} sessions", flush=True)


def variants(out: Path) -> None:
    """What each choice in deft_plus is worth."""
    for family, problems in PROBLEMS.items():
        jobs = [Job(family, problem, seed, "deft_plus", v, out) for v in VARIANTS for problem in problems
                for seed in range(SEEDS[family])]
        records = measure(out / f"variants_{family}.jsonl", run, jobs, lambda j: j.name)
        print(f"\nOn the {family}:\n\n{table(records, [*VARIANTS], 'variant')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("landscapes", "draws", "models", "variants"))
    parser.add_argument("--out", type=Path, required=True, help="folder for what was run")
    options = parser.parse_args()
    if options.part == "draws":
        draws(options.out)
    elif options.part == "variants":
        variants(options.out)
    else:
        compare(options.part, options.out)


if __name__ == "__main__":
    main()
