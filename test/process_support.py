"""The graph as robot people run it: every node a process, the same executables and parameters as in the launch files."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from ament_index_python.packages import get_package_prefix
from deft_msgs.action import FineTune
from deft_msgs.msg import RewardRequest, SessionStatus
from deft_msgs.srv import SubmitReward
from graph_support import domain, pace_request, wait_for
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from deft_bringup.processes import Choice, checked, node_processes
from deft_core.ros import names
from deft_core.ros.action_client import ActionClient
from deft_core.ros.leaving import destroy
from deft_core.ros.node import call
from deft_core.ros.qos import LATCHED, SENSOR

ARM = tuple(f"joint{k}" for k in range(1, 8))


class Processes:
    """Starts, kills and restarts nodes."""

    def __init__(self, choice: Choice, number: int, log: Path) -> None:
        self._choice, self._log = checked(choice), log.open("ab")
        self._env = {**os.environ, "ROS_DOMAIN_ID": domain(number), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self.specs = {node.name: node for node in node_processes(choice)}
        self.running: dict[str, subprocess.Popen] = {}
        for name in self.specs:
            self.start(name)

    def start(self, name: str) -> None:
        node = self.specs[name]
        path = f"{get_package_prefix(node.package)}/lib/{node.package}/{node.executable}"
        self.running[name] = subprocess.Popen([path, *node.arguments(self._choice)], env=self._env, stdout=self._log,
                                              stderr=self._log, start_new_session=True)

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def end(self, seconds: float = 20) -> dict[str, int]:
        """Interrupt all as Ctrl-C does; the exit statuses by name."""
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        return {name: process.wait(seconds) for name, process in self.running.items()}

    def close(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._log.close()


class Watcher:
    """A client in this process: goals, rewards, statuses, and how fast the arm moves."""

    def __init__(self) -> None:
        self.node = Node("watcher")
        self.statuses: list[SessionStatus] = []
        self.requests: list[RewardRequest] = []
        self.speed, self.heard = 0.0, 0.0
        self.stamp, self.went_back = (0, 0), 0  # of the newest joint state; how often one was older than that before it
        self.arm = np.zeros(len(ARM))  # rad
        self.node.create_subscription(RewardRequest, names.REWARD_REQUEST, self.requests.append, LATCHED)
        self.node.create_subscription(JointState, "/joint_states", self._moved, SENSOR)
        self.fine_tune = ActionClient(self.node, FineTune, names.FINE_TUNE)
        self.submit_client = self.node.create_client(SubmitReward, names.SUBMIT_REWARD)
        self._sim_parameters = self.node.create_client(SetParameters, "/deft_sim/set_parameters")
        # The last of all: a server whose status comes here knows where to send its answers, too
        self.node.create_subscription(SessionStatus, names.SESSION_STATUS, self.statuses.append, LATCHED)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def _moved(self, state: JointState) -> None:
        of = dict(zip(state.name, state.velocity, strict=True))
        self.speed, self.heard = float(np.abs([of.get(j, 0.0) for j in ARM]).max()), time.monotonic()
        stamp = (state.header.stamp.sec, state.header.stamp.nanosec)
        self.went_back += stamp < self.stamp
        self.stamp = stamp
        at = dict(zip(state.name, state.position, strict=True))
        self.arm = np.array([at.get(j, 0.0) for j in ARM])

    def send(self, folder: Path, episodes: int = 1) -> Any:
        """The result's future of a goal."""
        return self.begin(folder, episodes).get_result_async()

    def begin(self, folder: Path, episodes: int = 1) -> Any:
        """The handle of a goal."""
        assert self.fine_tune.wait_for_server(60)
        wait_for(lambda: self.statuses, 30, "the server's status")
        sent = self.fine_tune.send_goal_async(FineTune.Goal(task="pick_cup", episodes=episodes, object_set="train",
                                                            session_dir=str(folder)))
        wait_for(sent.done, 30)
        assert sent.result().accepted
        return sent.result()

    def state(self) -> str:
        return self.statuses[-1].state if self.statuses else ""

    def pending(self) -> RewardRequest | None:
        return self.requests[-1] if self.requests and self.requests[-1].session else None

    def score(self, seconds: float = 90) -> None:
        """Answer the next request for a score."""
        wait_for(lambda: self.pending() is not None and self.pending().kind == RewardRequest.REWARD, seconds,
                 "a reward request", lambda: [f"{s.state}: {s.message}" for s in self.statuses])
        assert call(self.submit_client, SubmitReward.Request(reward=0.5), 20.0).accepted

    def pace(self, factor: float) -> None:
        """Simulated s per wall s from now on; 0 = as fast as the machine allows."""
        assert call(self._sim_parameters, pace_request(factor), 20.0).results[0].successful

    def seconds_to_rest(self, most: float = 10.0) -> float:
        """How long until the arm stands still."""
        started = time.monotonic()
        wait_for(lambda: self.speed < 0.02, most, "the arm to hold")
        return time.monotonic() - started

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=2)
        self._thread.join(timeout=2)
        destroy(self.node)


@contextmanager
def separate_graph(number: int, log: Path, **choice: Any) -> Iterator[tuple[Processes, Watcher]]:
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(number), "LOCALHOST"
    processes = Processes(Choice(**{"sim": True} | choice), number, log)
    rclpy.init()
    watcher = Watcher()
    try:
        yield processes, watcher
    except BaseException:
        print(log.read_text()[-8000:])  # pytest shows it with the failure
        raise
    finally:
        watcher.close()
        rclpy.try_shutdown()
        processes.close()
