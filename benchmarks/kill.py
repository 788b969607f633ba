"""SIGKILL at random moments: is a reward lost, counted twice, or the next sample another one?

    . .venv/deft_env.sh && python benchmarks/kill.py composed --kills 60 --out build/kill    (about 25 min)
    . .venv/deft_env.sh && python benchmarks/kill.py separate --kills 150 --out build/kill     (about 25 min)

`composed`: `deft finetune --sim`, all nodes in one process, which is killed and started again with the same session folder.
`separate`: the server, the waiting command, and all other nodes together are a process each; one of them, the server most
often, is killed and started again. A witness (this process) hears what the server tells of finished episodes while it
lives. A session that has ended is followed by another with the next seed, until there were enough kills. Checked after
every kill: what was in the journal is still its beginning; what the witness heard is in it. After every session: each
episode finished once, and every sample is the one that an uninterrupted session would have drawn from the scores before it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from ament_index_python.packages import get_package_prefix
from deft_msgs.msg import Episode
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from deft_bringup.graph import ComposedGraph, GraphOptions
from deft_cem.journal import peek
from deft_cem.methods import SearchMethod
from deft_cem.search import make_search
from deft_cem.search.basis import make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.session import ScoredEpisode
from deft_core.config import default_config_dir
from deft_core.ros import names, qos

EPISODES = 16              # of a session: six drawn from a refitted distribution
LONGEST = {"composed": 14.0, "separate": 9.0}  # s, after a start until the kill
VICTIMS = ("graph", *("deft",) * 2, *("cem_server",) * 9)  # how often each is killed
DOMAIN = {"composed": "91", "separate": "92"}


class Witness:
    """Hears the records of finished episodes."""

    def __init__(self) -> None:
        rclpy.init()
        self.heard: dict[tuple[str, int, int], float] = {}  # session, episode, attempt -> reward
        self._node = Node("witness")
        self._node.create_subscription(Episode, names.EPISODE, self._hear, qos.EPISODES)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        threading.Thread(target=self._executor.spin, daemon=True).start()

    def _hear(self, message: Episode) -> None:
        if message.status == "scored":
            self.heard[message.session, message.episode, message.attempt] = message.reward


class GraphWithoutServer(ComposedGraph):
    """All nodes but the server."""

    def _add(self, name: str, *arguments: Any, **values: Any) -> None:
        if name != "deft_cem":
            super()._add(name, *arguments, **values)

    @staticmethod
    def _refuse_company() -> None:
        """The server may be there already."""


class Processes:
    """The graph and the command that waits for the session's end."""

    def __init__(self, mode: str, folder: Path, seed: int, out: Path) -> None:
        self._mode, self._log = mode, (out / f"{mode}.log").open("ab")
        self._env = {**os.environ, "ROS_DOMAIN_ID": DOMAIN[mode], "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self._seed = seed
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._command = ["deft", "finetune", "pick_cup", "--episodes", str(EPISODES), "--seed", str(seed), "--session",
                         str(folder), "--json", *(["--sim"] if mode == "composed" else [])]

    def start(self) -> None:
        """Start what does not run."""
        if self._mode == "separate" and not self.runs("graph"):
            self._spawn("graph", [sys.executable, __file__, "graph", "--out", str(self._seed)])
        if self._mode == "separate" and not self.runs("cem_server"):
            self._spawn("cem_server", [f"{get_package_prefix('deft_cem')}/lib/deft_cem/cem_server", "--ros-args",
                                       "--params-file", str(default_config_dir() / "finetune.yaml"), "-p",
                                       "confirm_scene_at_start:=true"])
        if not self.runs("deft"):
            self._spawn("deft", self._command)

    def _spawn(self, name: str, command: list[str]) -> None:
        self._running[name] = subprocess.Popen(command, env=self._env, stdout=self._log, stderr=self._log,
                                               start_new_session=True)

    def runs(self, name: str) -> bool:
        """Whether a process is alive."""
        return name in self._running and self._running[name].poll() is None

    def ended_well(self) -> bool:
        """Whether the command has ended with the session."""
        return "deft" in self._running and self._running["deft"].poll() == 0

    def kill(self, name: str) -> None:
        """SIGKILL to a process and what it started."""
        process = self._running.pop(name, None)
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20)

    def close(self) -> None:
        for name in list(self._running):
            self.kill(name)
        self._log.close()


def finished(path: Path) -> list[dict[str, Any]]:
    """Finished records in a journal that may be growing."""
    return [r.data for r in peek(path) if r.kind == "finished"] if path.exists() else []


def whole_lines(path: Path) -> bytes:
    """The journal but for a torn tail."""
    data = path.read_bytes() if path.exists() else b""
    return data[:data.rfind(b"\n") + 1]


def check_samples(folder: Path, seed: int) -> int:
    """How many samples differ from what an uninterrupted session would have drawn from the scores before them."""
    config = SearchConfig(**yaml.safe_load((folder / "session.yaml").read_text())["search"])
    summary = json.loads((folder / "summary.json").read_text())
    basis = make_basis(config, tuple(summary["residual_names"][6:]), "allegro_right", default_config_dir())
    method = SearchMethod(make_search(config, basis, seed), basis, seed, config.max_draws, 0, 0)
    scored: list[ScoredEpisode] = []
    wrong = 0
    for e in summary["episodes"]:
        if e["eps"] is None:
            continue
        draws = [method.sample(e["episode"], d, scored).eps for d in range(min(e["redraws"], config.max_draws - 1) + 1)]
        wrong += not np.array_equal(e["eps"], draws[-1])
        if e["status"] == "scored":
            scored.append(ScoredEpisode(e["episode"], np.array(e["eps"]), e["reward"]))
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("composed", "separate", "graph"),
                        help="graph: what `separate` starts; --out is a seed")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.mode == "graph":
        with GraphWithoutServer(GraphOptions(task="pick_cup", seed=int(str(options.out)))):
            signal.pause()
    os.environ |= {"ROS_DOMAIN_ID": DOMAIN[options.mode], "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    options.out.mkdir(parents=True, exist_ok=True)
    random.seed(0)
    witness = Witness()
    total = {"kills": 0, "by_process": {}, "sessions": 0, "episodes": 0, "lost": 0, "twice": 0, "journal_changed": 0,
             "other_samples": 0, "starts_that_failed": 0}
    seed = 0
    while total["kills"] < options.kills:
        folder = options.out / f"{options.mode}_{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        run_session(options.mode, folder, seed, options, witness, total)
        seed += 1
        print(json.dumps(total), flush=True)
    (options.out / f"{options.mode}.json").write_text(json.dumps(total, indent=1))


def run_session(mode: str, folder: Path, seed: int, options: argparse.Namespace, witness: Witness,
                total: dict[str, Any]) -> None:
    """One session to its end, killed again and again."""
    processes = Processes(mode, folder, seed, options.out)
    journal = folder / "journal.jsonl"
    try:
        while not processes.ended_well():
            processes.start()
            limit = random.uniform(0.2, LONGEST[mode]) if total["kills"] < options.kills else 600.0
            if mode == "composed":  # from when the graph is up; before that nothing of the session happens
                limit += 8.0
            deadline = time.monotonic() + limit
            while time.monotonic() < deadline and processes.runs("deft"):
                time.sleep(0.01)
            if processes.ended_well():
                break
            if not processes.runs("deft"):
                total["starts_that_failed"] += 1
                continue
            victim = "deft" if mode == "composed" else random.choice(VICTIMS)
            processes.kill(victim)
            if victim == "cem_server" and random.random() < 0.8:  # else the command finds out by itself, which takes longer
                processes.kill("deft")
            total["kills"] += 1
            total["by_process"][victim] = total["by_process"].get(victim, 0) + 1
            if mode == "composed" or victim == "cem_server":
                check_after_kill(journal, witness, processes, total)
            print(f"{total['kills']} {victim} after {limit:.1f} s, {len(finished(journal))} of {EPISODES} finished", flush=True)
    finally:
        processes.close()
    done = finished(journal)
    counted = [d["episode"] for d in done]
    total["sessions"] += 1
    total["episodes"] += len(set(counted))
    total["twice"] += len(counted) - len(set(counted))
    total["lost"] += EPISODES - len(set(counted))
    total["other_samples"] += check_samples(folder, seed)


def check_after_kill(journal: Path, witness: Witness, processes: Processes, total: dict[str, Any]) -> None:
    """Start again; what was saved must still be there, and what was heard must be saved."""
    before = whole_lines(journal)
    time.sleep(0.3)  # for what was sent before the kill to be heard
    heard = dict(witness.heard)
    if not before:
        return
    session = peek(journal)[0].data["session"]
    saved = {(session, d["episode"], d["attempt"]): d.get("reward") for d in finished(journal)}
    total["lost"] += sum(saved.get(key) != reward for key, reward in heard.items() if key[0] == session)
    processes.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and processes.runs("deft") and len(whole_lines(journal)) == len(before):
        time.sleep(0.05)
    total["journal_changed"] += not whole_lines(journal).startswith(before)


if __name__ == "__main__":
    main()
