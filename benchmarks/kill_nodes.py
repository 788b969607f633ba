"""SIGKILL each node in each phase of an episode: when is the arm at rest, and does the session go on?

    . .venv/deft_env.sh && python benchmarks/kill_nodes.py --out build/kill_nodes    (about 15 min)

Every node is a process of its own, the simulated robot runs in real time. A case is one node and one phase: a session of one
episode is begun, the node is killed when the server says that the phase has begun (for `grasp`, `release` and `park` once
the arm moves), and is started again a second later. Counted are the seconds from the kill until no arm joint turns faster
than 0.02 rad/s, and whether the session ends with its one episode scored; a killed server is sent the same goal again. With
the simulator the robot itself dies: nothing is left to hold, only the session counts. Cases that are in the output file
already are not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from deft_core.ros.heartbeat import Pulses

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
from graph_support import retries, wait_for
from process_support import Processes, Watcher, separate_graph

NODES = ("deft_motion", "deft_perception", "deft_affordance", "deft_retarget", "deft_policy", "deft_cem", "deft_sim")
# Name, state of the server, its message ("": any)
PHASES = (("observing", "observing", ""), ("predicting", "predicting", ""), ("sampling", "sampling", ""),
          ("move", "executing", "move"), ("grasp", "executing", "grasp"), ("release", "executing", "release"),
          ("park", "executing", "park"), ("awaiting reward", "awaiting_reward", "score the grasp, reset the scene, submit"))
MOVING = ("move", "grasp", "release", "park")
CASE_SECONDS = 150.0


def reached(watcher: Watcher, phase: str, state: str, message: str) -> bool:
    """Whether the phase has begun, and the arm moves where it should."""
    seen = any(s.state == state and (not message or s.message == message) for s in watcher.statuses)
    return seen and (phase not in MOVING or watcher.speed > 0.1)


def finish(watcher: Watcher, result: Any) -> bool:
    """Score what is asked for until the session has ended; whether its episode was scored."""
    deadline = time.monotonic() + CASE_SECONDS
    answered = None
    while not result.done() and time.monotonic() < deadline:
        pending = watcher.pending()
        if pending is not None and pending.kind == pending.REWARD and (pending.episode, pending.attempt) != answered:
            answered = (pending.episode, pending.attempt)
            watcher.score(10)
        time.sleep(0.05)
    return result.done() and result.result().result.scored == 1


def case(processes: Processes, watcher: Watcher, pulses: Pulses, victim: str, phase: tuple[str, str, str],
         folder: Path) -> dict[str, Any]:
    """Kill one node in one phase; what came of it."""
    wait_for(lambda: {one.node for one in pulses.alive()} >= {f"/{name}" for name in NODES}, 120, "all nodes")
    watcher.statuses.clear()
    watcher.requests.clear()
    result = watcher.send(folder)
    wait_for(lambda: reached(watcher, *phase), 90, phase[0])
    in_motion = watcher.speed > 0.02
    killed = time.monotonic()
    processes.kill(victim)
    rest = watcher.seconds_to_rest() if in_motion and victim != "deft_sim" else 0.0
    time.sleep(max(0.0, killed + 1.0 - time.monotonic()))
    processes.start(victim)
    if victim == "deft_cem":
        watcher.statuses.clear()
        watcher.requests.clear()  # the dead one's last request is latched
        wait_for(lambda: watcher.statuses, 60, "the new server")
        time.sleep(1.5)  # DDS knows the dead one for a while yet
        result = watcher.send(folder)
    scored = finish(watcher, result)
    return {"moving": in_motion, "rest_s": round(rest, 2), "scored": scored, "retries": retries(folder)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--nodes", nargs="+", choices=NODES, default=NODES)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "kill_nodes.json"
    cases = json.loads(file.read_text()) if file.exists() else {}
    for victim in options.nodes:
        missing = [phase for phase in PHASES if f"{victim}/{phase[0]}" not in cases]
        if not missing:
            continue
        with separate_graph(20, options.out / "nodes.log", real_time_factor=1.0) as (processes, watcher):
            pulses = Pulses(watcher.node)
            for phase in missing:
                name = f"{victim}/{phase[0]}"
                folder = options.out / name.replace("/", "_").replace(" ", "_")
                shutil.rmtree(folder, ignore_errors=True)
                cases[name] = case(processes, watcher, pulses, victim, phase, folder)
                file.write_text(json.dumps(cases, indent=1))
                print(name, json.dumps(cases[name]), flush=True)
    times = [c["rest_s"] for name, c in cases.items() if c["moving"] and not name.startswith("deft_sim")]
    went_on = sum(c["scored"] for c in cases.values())
    print(f"{len(cases)} cases, {went_on} sessions went on")
    if times:
        print(f"arm moving in {len(times)}: at rest after {sorted(times)[len(times) // 2]:.2f} s (median), "
              f"{max(times):.2f} s (most)")


if __name__ == "__main__":
    main()
