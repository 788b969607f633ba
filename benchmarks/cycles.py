"""Start and stop the graph of separate processes again and again: does anything stay behind?

    . .venv/deft_env.sh && python benchmarks/cycles.py --cycles 100 --out build/cycles    (about 20 min)

A cycle starts every node as a process of its own, waits until each has been heard of, interrupts them all as Ctrl-C does,
and waits for their ends. Counted are exit statuses other than 0, processes of the nodes' sessions that live on, and, at
the end, files of shared memory that were not there before.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import rclpy
from rclpy.node import Node

from deft_bringup.processes import Choice
from deft_core.ros.heartbeat import Pulses

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
from graph_support import domain, wait_for
from process_support import Processes


def orphans(sessions: set[int]) -> list[int]:
    """Processes in one of the sessions that the nodes were started as."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) in sessions:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ |= {"ROS_DOMAIN_ID": domain(21), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    before = set(os.listdir("/dev/shm"))
    rclpy.init()
    witness = Node("witness")
    pulses = Pulses(witness)
    total = {"cycles": 0, "bad_exits": 0, "orphans": 0, "seconds_up": [], "seconds_down": []}
    for _ in range(options.cycles):
        processes = Processes(Choice(sim=True), 21, options.out / "nodes.log")
        started = time.monotonic()
        wait_for(lambda processes=processes: len(pulses.alive()) >= len(processes.specs), 120, "all nodes")
        sessions = {process.pid for process in processes.running.values()}
        up = time.monotonic()
        statuses = processes.end(60)
        down = time.monotonic()
        total["cycles"] += 1
        total["bad_exits"] += sum(status != 0 for status in statuses.values())
        total["orphans"] += len(orphans(sessions))
        total["seconds_up"].append(round(up - started, 1))
        total["seconds_down"].append(round(down - up, 1))
        processes.close()
        (options.out / "cycles.json").write_text(json.dumps(total))
        print({k: v if isinstance(v, int) else v[-1] for k, v in total.items()}, flush=True)
    pulses.close()
    witness.destroy_node()
    rclpy.shutdown()  # the witness holds shared memory of those it heard
    total["shared_memory"] = len(set(os.listdir("/dev/shm")) - before)
    (options.out / "cycles.json").write_text(json.dumps(total))
    print(f"{total['shared_memory']} files of shared memory stayed behind")


if __name__ == "__main__":
    main()
