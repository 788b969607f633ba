"""Processes that come and go in one ROS domain all the time: how long does giving a node back take, and does it always end?

    . .venv/deft_env.sh && python benchmarks/leave.py --seconds 50            (as DEFT does it)
    . .venv/deft_env.sh && python benchmarks/leave.py --seconds 50 --plain    (as rclpy does it)

A process that has not ended 25 s after the others is counted as stuck and killed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PROCESSES, TOPICS, GRACE = 3, 20, 25.0  # s of grace


def come_and_go(seconds: float, plain: bool) -> None:
    import rclpy
    from rclpy.node import Node
    from std_msgs.msg import String

    from deft_core.ros.leaving import destroy

    rclpy.init()
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        node = Node("restless")
        publishers = [node.create_publisher(String, f"topic_{k}", 10) for k in range(TOPICS)]
        time.sleep(0.05)
        for publisher in publishers:
            node.destroy_publisher(publisher)
        started = time.monotonic()
        node.destroy_node() if plain else destroy(node)
        took.append(time.monotonic() - started)
    print(f"{len(took)} nodes, median {1e3 * np.median(took):.0f} ms, longest {max(took):.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=50.0)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        come_and_go(options.seconds, options.plain)
        return
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
    from graph_support import domain

    environment = {**os.environ, "ROS_DOMAIN_ID": domain(24), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    command = [sys.executable, __file__, "--one", "--seconds", str(options.seconds), *(["--plain"] if options.plain else [])]
    running = [subprocess.Popen(command, env=environment) for _ in range(PROCESSES)]
    deadline, stuck = time.monotonic() + options.seconds + GRACE, 0
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            stuck += 1
    print(f"{stuck} of {PROCESSES} processes were stuck")


if __name__ == "__main__":
    main()
