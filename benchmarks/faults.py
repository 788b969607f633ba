"""Faults while the arm moves: how soon are they noticed, and when is the arm at rest?

    . .venv/deft_env.sh && python benchmarks/faults.py --out build/faults    (about 5 min)

Every node is a process of its own, the simulated robot runs in real time. A session of one episode is begun; when the arm moves
on its way to the pregrasp, the fault begins. Counted are the seconds until the attempt or the session is given up (`noticed`)
and until no arm joint turns faster than 0.02 rad/s any more (`at rest`; unknown where the joint states are what fails), and the
reason that the journal or the goal's result gives. Beside the faults: the stop service, and a cancelled goal.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deft_msgs.srv import Rearm, Stop
from rcl_interfaces.srv import SetParameters

from deft_core.ros import names
from deft_core.ros.heartbeat import Pulses
from deft_core.ros.node import call

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
from graph_support import fault_request, retries, wait_for
from process_support import Watcher, separate_graph

FAULTS = ("camera_silent", "joint_states_silent", "joint_states_incomplete", "controller_deaf", "robot_fault")
BLIND = ("joint_states_silent",)  # where nobody sees whether the arm rests
OTHERS = ("stop", "cancel")
MOST = 30.0  # s waited for


class Hand:
    """What somebody does to the running graph."""

    def __init__(self, watcher: Watcher) -> None:
        self._node = watcher.node

    def ask(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service once."""
        client = self._node.create_client(kind, name)
        try:
            return call(client, request, 20.0)
        finally:
            self._node.destroy_client(client)

    def fault(self, name: str) -> None:
        """Begin a fault of the simulated robot; "" ends it."""
        self.ask(SetParameters, "/deft_sim/set_parameters", fault_request(name))

    def rearm(self) -> None:
        """Until it is armed."""
        wait_for(lambda: self.ask(Rearm, names.REARM, Rearm.Request()).armed, MOST, "the rearm")


def case(watcher: Watcher, hand: Hand, name: str, folder: Path) -> dict[str, Any]:
    """One fault in the middle of a motion."""
    shutil.rmtree(folder, ignore_errors=True)
    wait_for(lambda: watcher.speed < 0.02, MOST, "a robot at rest")
    watcher.statuses.clear()
    watcher.requests.clear()
    handle = watcher.begin(folder)
    result = handle.get_result_async()
    wait_for(lambda: watcher.state() == "executing" and watcher.speed > 0.1, 90, "the motion")
    begin: dict[str, Callable[[], Any]] = {"stop": lambda: hand.ask(Stop, names.STOP, Stop.Request(reason="a study")),
                                           "cancel": handle.cancel_goal_async}
    began = time.monotonic()
    begin.get(name, lambda: hand.fault(name))()
    rest, noticed = 0.0, math.nan
    while time.monotonic() - began < MOST and (math.isnan(noticed) or watcher.speed > 0.02):
        past = time.monotonic() - began
        rest = past if watcher.speed > 0.02 else rest
        if math.isnan(noticed) and (result.done() or retries(folder)):
            noticed = past
        time.sleep(0.005)
    reasons = retries(folder)
    hand.fault("")
    if not result.done():
        handle.cancel_goal_async()
    wait_for(result.done, 60, "the session's end")
    hand.rearm()
    return {"noticed_s": round(noticed, 2), "rest_s": None if name in BLIND else round(rest, 2),
            "reason": (reasons or [result.result().result.error_msg])[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--times", type=int, default=3, help="of each case")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}
    with separate_graph(22, options.out / "nodes.log", real_time_factor=1.0) as (processes, watcher):
        pulses, hand = Pulses(watcher.node), Hand(watcher)
        wait_for(lambda: len(pulses.alive()) >= len(processes.specs), 120, "all nodes")
        for name in (*FAULTS, *OTHERS):
            for k in range(options.times):
                one = case(watcher, hand, name, options.out / f"{name}_{k}")
                found.setdefault(name, []).append(one)
                print(name, json.dumps(one), flush=True)
        pulses.close()
    (options.out / "faults.json").write_text(json.dumps(found, indent=1))
    print("\n| fault | noticed after, s | at rest after, s |\n| --- | --- | --- |")
    for name, cases in found.items():
        rests = [c["rest_s"] for c in cases if c["rest_s"] is not None]
        print(f"| {name} | {max(c['noticed_s'] for c in cases):.2f} | {f'{max(rests):.2f}' if rests else '-'} |")


if __name__ == "__main__":
    main()
