"""The composed graph in this process, in a domain of its own, seen only from this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from action_msgs.msg import GoalStatus
from deft_msgs.action import Evaluate, FineTune
from deft_msgs.msg import RewardRequest, SessionStatus
from deft_msgs.srv import SubmitReward
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from deft_bringup.graph import ComposedGraph, GraphOptions
from deft_cem.journal import peek
from deft_core.ros import names
from deft_core.ros.action_client import ActionClient
from deft_core.ros.node import call
from deft_core.ros.qos import LATCHED
from deft_core.ros.spun_node import SpunNode

# Neither tests of two checkouts nor those of two workers hear each other; 30 domains each, 232 is the highest
FIRST_DOMAIN = 100 + 65 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 2) + os.getpid() % 35


def domain(offset: int) -> str:
    return str(FIRST_DOMAIN + offset)


class Tester:
    """A client beside the graph: goals, rewards, and what the graph says of itself."""

    __test__ = False  # no test, for all its name

    def __init__(self, graph: ComposedGraph) -> None:
        self.graph = graph
        self._spun = SpunNode("tester")
        self.node = self._spun.node
        self.statuses: list[SessionStatus] = []
        self.requests: list[RewardRequest] = []
        self.node.create_subscription(SessionStatus, names.SESSION_STATUS, self.statuses.append, LATCHED)
        self.node.create_subscription(RewardRequest, names.REWARD_REQUEST, self.requests.append, LATCHED)
        self.fine_tune = ActionClient(self.node, FineTune, names.FINE_TUNE)
        self.evaluate = ActionClient(self.node, Evaluate, names.EVALUATE)
        self.submit_client = self.node.create_client(SubmitReward, names.SUBMIT_REWARD)
        assert self.fine_tune.wait_for_server(20)

    def close(self) -> None:
        self._spun.close()

    def send(self, folder: Path, episodes: int = 4, **changes: Any) -> Any:
        """A goal handle (accepted or not)."""
        goal = FineTune.Goal(**{"task": "pick_cup", "episodes": episodes, "seed": 0, "object_set": "train",
                                "session_dir": str(folder), **changes})
        return self._sent(self.fine_tune, goal)

    def send_evaluation(self, folder: Path, **fields: Any) -> Any:
        """A goal handle (accepted or not)."""
        goal = Evaluate.Goal(**{"task": "pick_cup", "method": "prior", "trials": 1, "seed": 3, "object_set": "test",
                                "session_dir": str(folder), **fields})
        return self._sent(self.evaluate, goal)

    @staticmethod
    def _sent(client: ActionClient, goal: Any) -> Any:
        future = client.send_goal_async(goal)
        wait_for(future.done, 20)
        return future.result()

    def result(self, handle: Any, seconds: float = 120) -> tuple[int, Any]:
        """Status and result of a goal."""
        future = handle.get_result_async()
        wait_for(future.done, seconds)
        return future.result().status, future.result().result

    def submit(self, **fields: Any) -> SubmitReward.Response:
        return call(self.submit_client, SubmitReward.Request(**{"episode": -1, **fields}), 10.0)

    def call(self, service: type, name: str, request: Any) -> Any:
        client = self.node.create_client(service, name)
        try:
            return call(client, request, 20.0)
        finally:
            self.node.destroy_client(client)

    def put_object(self, episode: int) -> None:
        """What a person does with the hands: put the episode's object on the table."""
        self.graph.nodes["deft_sim"].ask(lambda world: world.reset("train", episode))

    def state(self) -> str:
        return self.statuses[-1].state if self.statuses else ""

    def pending(self) -> RewardRequest | None:
        return self.requests[-1] if self.requests and self.requests[-1].session else None


def wait_for(condition: Callable[[], bool], seconds: float, what: str = "", seen: Callable[[], object] = str) -> None:
    """Wait until it holds; where it does not in time, say what for, and what was seen meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what or condition} {seen()}"
        time.sleep(0.01)


def fault_request(name: str) -> SetParameters.Request:
    """For the simulator's set_parameters: begin a fault; "" ends it."""
    return _parameter_request("fault", name)


def pace_request(factor: float) -> SetParameters.Request:
    """For the simulator's set_parameters: simulated s per wall s; 0 = as fast as the machine allows."""
    return _parameter_request("real_time_factor", factor)


def _parameter_request(name: str, value: Any) -> SetParameters.Request:
    return SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])


def retries(folder: Path) -> list[str]:
    """Why attempts of a session were given up."""
    file = folder / "journal.jsonl"
    return [r.data["reason"] for r in peek(file) if r.kind == "retry"] if file.exists() else []


@contextmanager
def graph_with(number: int, **options: Any) -> Iterator[Tester]:
    os.environ["ROS_DOMAIN_ID"] = domain(number)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with ComposedGraph(GraphOptions(**{"task": "pick_cup"} | options)) as graph:
        tester = Tester(graph)
        try:
            yield tester
        finally:
            tester.close()


SUCCEEDED, CANCELED, ABORTED = GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED, GoalStatus.STATUS_ABORTED
