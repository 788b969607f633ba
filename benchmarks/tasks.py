"""The nine tasks: can they be done, what does the prior do, how long does an episode take, is the contact stable?

    . .venv/deft_env.sh && python benchmarks/tasks.py all --out build/tasks     (about an hour on 2 cores)

Parts: `speed` (CPU time of an episode, in one process, so that nothing slows it), `oracle` (share of draws in which
the best of 200 grasps near a competent one succeeds), `prior` (the learned prior through camera and perception, on
the same draws), `heuristic` (the heuristic prior, too), `soft` (the oracle with hand allegro_soft), `stability` (large
random residuals on competent grasps: what flies, sinks in or breaks), `all`. Every part writes OUT/<part>.json, one
record an episode, and prints a table of docs/tasks.md. Tasks that OUT has already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from deft_bench.sim_robot import SimRobot, load_rig
from deft_bringup.rehearsal import ORACLE_TRIES, lay, rehearse
from deft_core.errors import DeftError
from deft_core.residual import ResidualSpace
from deft_motion.codes import EXECUTION_FAILED
from deft_sim.oracle import competent_grasp
from deft_sim.scenes import SCENES

DRAWS = 50            # a task: half train, half test objects
SOFT_DRAWS, SPEED_DRAWS = 20, 8
SEED = 1000
STABILITY_EPISODES = 1000  # of all tasks together
LARGE = (0.05, 0.6, 0.4)   # m, rad, rad: standard deviations of the stability test's residuals
LAUNCHED = 3.0        # m/s, faster than that nothing should ever be
BELOW_TABLE = -0.02   # m, the object's origin, while over the table: it has tunnelled
MAX_BIN = 300         # of 0.1 mm
MAX_REDRAWS = 20
CPU = time.thread_time  # s, of this thread: the time on one core, whatever else the machine does


def draws(count: int) -> list[tuple[str, int]]:
    """(object set, episode): half and half."""
    return [("train" if k % 2 == 0 else "test", k // 2) for k in range(count)]


class Extremes:
    """The worst of every tick that `look` is called after: overlaps, forces, speeds, depths."""

    def __init__(self, rig: SimRobot) -> None:
        self._world = rig.world
        self.overlaps: list[float] = []  # m, of every tick in which the robot touches something
        self.force, self.fastest, self.lowest = 0.0, 0.0, 0.0

    def look(self) -> None:
        """For `SimWorld.watched`."""
        world = self._world
        before, moment = world.history.moments[-2:] if len(world.history.moments) > 1 else world.history.moments * 2
        if moment.penetration > 0.0:
            self.overlaps.append(moment.penetration)
        self.force = max(self.force, world.robot_contact_force())
        if moment.time > before.time and moment.positions.shape == before.positions.shape:
            speed = np.linalg.norm(moment.positions - before.positions, axis=1).max() / (moment.time - before.time)
            self.fastest = max(self.fastest, float(speed))
        x, y, z = moment.position()
        if 0.05 < x < 0.95 and abs(y) < 0.6:
            self.lowest = min(self.lowest, float(z))

    def record(self) -> dict[str, Any]:
        """Figures for the JSON; overlaps as counts in bins of 0.1 mm."""
        bins = np.bincount(np.minimum((np.array(self.overlaps) * 1e4).astype(int), MAX_BIN))
        return {"overlap_bins": bins.tolist(), "force": self.force, "fastest": self.fastest, "lowest": self.lowest}


def overlap_p99(records: list[dict[str, Any]]) -> float:
    """mm, 99th percentile over all ticks in which the robot touches something."""
    total = np.zeros(MAX_BIN + 1)
    for record in records:
        bins = record.get("overlap_bins", [])
        total[:len(bins)] += bins
    if not total.sum():
        return 0.0
    return float(np.searchsorted(np.cumsum(total) / total.sum(), 0.99) + 1) / 10


def oracle(rig: SimRobot, object_set: str, episode: int) -> dict[str, Any]:
    """The best of the oracle's grasps; time, forces and overlaps are those of the first one."""
    lay(rig, object_set, episode)
    extremes = Extremes(rig)
    with rig.world.watched(extremes.look):
        first = _timed(rig)
    first |= extremes.record()
    first["first_success"] = first["success"]
    if first["success"]:
        return first | {"tries": 1}
    try:
        rehearsed = rehearse(rig, object_set, episode, "oracle", seed=episode)
    except DeftError as error:
        return first | {"tries": ORACLE_TRIES, "note": error.message}
    return first | {"success": rehearsed.verdict.success, "score": rehearsed.verdict.score, "note": rehearsed.verdict.note,
                    "tries": rehearsed.tries}


def _timed(rig: SimRobot) -> dict[str, Any]:
    """Execute the competent grasp; CPU time and robot time from the parked robot to the verdict and to the next parking."""
    started, clock = CPU(), rig.world.clock
    at_verdict = [0.0]

    def on_phase(name: str, _: float) -> None:
        if name == "release":
            at_verdict[0] = CPU() - started

    try:
        done, verdict = rig.run(rig.goal_of_truth(competent_grasp(rig.world)), 0, on_phase)
    except DeftError as error:
        return {"success": False, "score": 0.0, "note": error.message}
    return {"success": verdict.success, "score": verdict.score, "note": verdict.note, "cpu_to_verdict": at_verdict[0],
            "cpu": CPU() - started, "robot_seconds": rig.world.clock - clock, "stop": done.stop_reason}


def prior(rig: SimRobot, object_set: str, episode: int) -> dict[str, Any]:
    """The rig's prior through the camera, once."""
    try:
        rehearsed = rehearse(rig, object_set, episode, "prior", seed=episode)
    except DeftError as error:
        return {"success": False, "score": 0.0, "note": "refused", "why": error.message}
    return {"success": rehearsed.verdict.success, "score": rehearsed.verdict.score, "note": rehearsed.verdict.note}


def stability(rig: SimRobot, object_set: str, episode: int) -> dict[str, Any]:
    """A competent grasp with a large random residual, drawn again until the robot can execute it."""
    rng = np.random.default_rng([SEED, episode])
    lay(rig, object_set, episode)
    space = ResidualSpace.by_group(rig.hand.joint_names, LARGE, (1.0, 3.0, 3.0))
    competent = competent_grasp(rig.world)
    record: dict[str, Any] = {"refused": 0, "stopped": False, "failed": ""}
    extremes = Extremes(rig)
    with rig.world.watched(extremes.look):
        for _ in range(MAX_REDRAWS):
            try:
                done, verdict = rig.run(rig.goal_of_truth(space.apply(competent, rng.normal(0.0, space.sigma))))
                record |= {"stopped": bool(done.stop_reason) or rig.world.history.collision, "score": verdict.score}
                break
            except DeftError as error:
                if error.code == EXECUTION_FAILED:
                    record["failed"] = error.message
                    break
                record["refused"] += 1
    data = rig.world.data
    finite = bool(np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all())
    return record | extremes.record() | {"finite": finite and not rig.world.history.diverged}


def speed(rig: SimRobot, object_set: str, episode: int) -> dict[str, Any]:
    """The competent grasp, for its times only."""
    lay(rig, object_set, episode)
    return _timed(rig)


PARTS = {"speed": speed, "oracle": oracle, "prior": prior, "heuristic": prior, "soft": oracle, "stability": stability}


def run_task(job: tuple[str, str]) -> tuple[str, str, list[dict[str, Any]]]:
    """All episodes of one part and task, in one process."""
    part, task = job
    rig = load_rig(task, "allegro_soft" if part == "soft" else "allegro_right", seed=SEED,
                   prior="heuristic" if part == "heuristic" else "learned")
    count = {"stability": STABILITY_EPISODES // len(SCENES) + 1, "soft": SOFT_DRAWS,
             "speed": SPEED_DRAWS}.get(part, DRAWS)
    records = []
    for object_set, episode in draws(count):
        records.append({"set": object_set, "episode": episode} | PARTS[part](rig, object_set, episode))
    return part, task, records


def wilson(wins: int, n: int) -> str:
    """95 % interval as text."""
    from deft_cem.gate import wilson as interval

    low, high = interval(wins, n)
    return f"{low:.2f}-{high:.2f}"


def table(part: str, results: dict[str, list[dict[str, Any]]]) -> str:
    """The part's Markdown table."""
    rows = []
    for task in (t for t in SCENES if t in results):
        records = results[task]
        n = len(records)
        wins = sum(bool(r.get("success")) for r in records)
        if part in ("oracle", "soft"):
            first = sum(bool(r["first_success"]) for r in records)
            done = [r for r in records if "cpu" in r]
            force = np.median([r["force"] for r in done])
            rows.append(f"| {task} | {wins}/{n} | {first}/{n} | {np.mean([r['score'] for r in records]):.2f} | {force:.0f} | "
                        f"{overlap_p99(records):.1f} |")
        elif part == "speed":
            done = [r for r in records if "cpu" in r]
            to_verdict, cpu, robot = (np.median([r[key] for r in done]) for key in ("cpu_to_verdict", "cpu", "robot_seconds"))
            rows.append(f"| {task} | {len(done)} | {to_verdict:.2f} | {cpu:.2f} | {robot:.1f} |")
        elif part in ("prior", "heuristic"):
            refused = sum(r["note"] == "refused" for r in records)
            score = np.mean([r["score"] for r in records])
            rows.append(f"| {task} | {wins}/{n} | {wilson(wins, n)} | {score:.2f} | {refused} |")
        else:
            rows.append(f"| {task} | {n} | {sum(r['refused'] for r in records)} | {sum(bool(r['failed']) for r in records)} | "
                        f"{sum(r['stopped'] for r in records)} | {sum(not r['finite'] for r in records)} | "
                        f"{sum(r['fastest'] > LAUNCHED for r in records)} | "
                        f"{sum(r['lowest'] < BELOW_TABLE for r in records)} | "
                        f"{overlap_p99(records):.1f} |")
    heads = {"oracle": "| task | best of 200 succeeds | first grasp | mean score | peak N | overlap mm |",
             "speed": "| task | episodes | CPU s to the verdict | CPU s to parked | robot s |",
             "prior": "| task | prior succeeds | 95 % interval | mean score | refused |",
             "stability": "| task | episodes | draws refused | failed | force stops | not finite | launched | tunnelled | "
                          "overlap mm |"}
    head = heads[{"soft": "oracle", "heuristic": "prior"}.get(part, part)]
    return "\n".join([head, "|" + " --- |" * (head.count("|") - 1), *rows])


def _saved(path: Path) -> dict[str, list[dict[str, Any]]]:
    """What an earlier run has measured: a study that was interrupted goes on; delete the file to begin anew."""
    saved: dict[str, list[dict[str, Any]]] = json.loads(path.read_text()) if path.exists() else {}
    return saved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "all"])
    parser.add_argument("--out", type=Path, default=Path("build/tasks"))
    parser.add_argument("--tasks", nargs="+", default=list(SCENES), choices=SCENES)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parts = list(PARTS) if options.part == "all" else [options.part]
    jobs = [(part, task) for part in parts for task in options.tasks]
    results: dict[str, dict[str, list[dict[str, Any]]]] = {part: _saved(options.out / f"{part}.json") for part in parts}
    jobs = [(part, task) for part, task in jobs if task not in results[part]]
    timed, others = ([job for job in jobs if (job[0] == "speed") == alone] for alone in (True, False))
    for some, processes in ((timed, 1), (others, options.processes)):
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for part, task, records in pool.imap_unordered(run_task, some):
                results[part][task] = records
                (options.out / f"{part}.json").write_text(json.dumps(results[part], indent=1))
                print(f"{part} {task}: done", flush=True)
    for part in parts:
        print(f"\n{part}\n{table(part, results[part])}")


if __name__ == "__main__":
    main()
