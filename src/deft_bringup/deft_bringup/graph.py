"""The composed graph: all nodes of DEFT in one process, over real DDS, each with its own executor."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from deft_affordance.node import AffordanceNode
from deft_bringup.parameters import DRIVER_NODES, NODES, read_parameters
from deft_cem.node import CemServer
from deft_core.config import default_config_dir
from deft_core.ros.executor import PoolExecutor, spun
from deft_core.ros.leaving import destroy
from deft_motion.node import MotionNode
from deft_perception.node import PerceptionNode
from deft_policy.node import PolicyNode
from deft_retarget.node import RetargetNode
from deft_sim.node import ScriptedOperatorNode, SimNode

DISCOVERY_SECONDS = 0.7  # for others in the same domain to be noticed
ROBOT_COMMAND, ROBOT_STATE = "trajectory_msgs/msg/JointTrajectory", "sensor_msgs/msg/JointState"


class GraphError(RuntimeError):
    """The graph could not be started; the message says why and what to do."""


@dataclass(frozen=True)
class GraphOptions:
    """What the command line decides; everything else comes from the parameter file."""

    task: str
    seed: int = 0
    operator: str = "scripted"          # scripted | hands (only resets the table) | none
    sim: bool = True                    # else a robot with its drivers is there
    fault: str = ""                     # of the simulated robot
    namespace: str = ""                 # of all nodes
    real_time_factor: float = 0.0
    config_dir: Path | None = None
    params_file: Path | None = None
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)  # node -> parameter -> value


class ComposedGraph:
    """Use as a context manager; `nodes` holds them by name while it runs."""

    def __init__(self, options: GraphOptions) -> None:
        self._options = options
        self._running: list[tuple[Node, Any, threading.Thread]] = []
        self.nodes: dict[str, Node] = {}

    def __enter__(self) -> ComposedGraph:
        config_dir = self._options.config_dir or default_config_dir()
        params = self._options.params_file or config_dir / "finetune.yaml"
        read_parameters(params)  # refuses one with a node that does not exist
        # The simulated robot has the real one's topics, so it stays on this machine unless told otherwise.
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        space = ["-r", f"__ns:={self._options.namespace}"] if self._options.namespace else []
        rclpy.init(args=["--ros-args", "--params-file", str(params), *space], signal_handler_options=SignalHandlerOptions.NO)
        try:
            self._refuse_company(self._options.sim)
            if self._options.sim:
                self._start_sim()
            self._add("deft_perception", PerceptionNode, 2)
            self._add("deft_affordance", AffordanceNode, 1)
            self._add("deft_retarget", RetargetNode, 1)
            self._add("deft_motion", MotionNode, 4)
            self._add("deft_policy", PolicyNode, 3)
            self._add("deft_cem", CemServer, 4, confirm_scene_at_start=True)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_sim(self) -> None:
        """The robot cell, and who stands beside it."""
        options = self._options
        sim = SimNode(parameter_overrides=self._parameters(
            "deft_sim", seed=options.seed, task=options.task, fault=options.fault, real_time_factor=options.real_time_factor))
        self._start(sim, 2)
        if options.operator != "none":
            self._start(ScriptedOperatorNode(sim, options.operator == "hands",
                                             parameter_overrides=self._parameters("deft_scripted_operator")), 2)

    def _parameters(self, node: str, **values: Any) -> list[Parameter]:
        values |= self._options.overrides.get(node, {})
        if self._options.config_dir:
            values.setdefault("config_dir", str(self._options.config_dir))
        return [Parameter(name, value=value) for name, value in values.items()]

    def _add(self, name: str, make: Callable[..., Node], threads: int, **values: Any) -> None:
        self._start(make(parameter_overrides=self._parameters(name, **values)), threads)

    def _start(self, node: Node, threads: int) -> None:
        executor = PoolExecutor(threads) if threads > 1 else SingleThreadedExecutor()
        executor.add_node(node)
        self._running.append((node, executor, spun(executor, node.get_name())))
        self.nodes[node.get_name()] = node

    @staticmethod
    def _refuse_company(sim: bool = True) -> None:
        """Two graphs in one domain would answer each other's calls, and a real robot would follow our commands."""
        probe = Node("deft_probe")
        try:
            time.sleep(DISCOVERY_SECONDS)
            others = set(probe.get_node_names()) & (NODES if sim else NODES - DRIVER_NODES)
            robots = [topic for topic, types in probe.get_topic_names_and_types()
                      if (ROBOT_COMMAND in types and probe.count_subscribers(topic))
                      or (ROBOT_STATE in types and probe.count_publishers(topic))]
        finally:
            destroy(probe)
        where = f"in ROS_DOMAIN_ID {os.environ.get('ROS_DOMAIN_ID', '0')}"
        if others:
            raise GraphError(f"another DEFT graph runs {where} ({', '.join(sorted(others))}); stop it, or set another "
                             "ROS_DOMAIN_ID")
        if robots and sim:
            raise GraphError(f"a robot is {where} (on {', '.join(sorted(robots))}); a simulation beside it would command it: "
                             "set another ROS_DOMAIN_ID")

    def close(self) -> None:
        """End what runs, stop all executors, then destroy the nodes, the last one first."""
        server = self.nodes.get("deft_cem")
        if isinstance(server, CemServer):
            server.interrupt()
        policies = self.nodes.get("deft_policy")
        if isinstance(policies, PolicyNode):
            policies.interrupt()
        for _, executor, _ in reversed(self._running):
            executor.shutdown(timeout_sec=2)
        for node, _, thread in reversed(self._running):
            thread.join(timeout=2)
            node.destroy_node()
        self._running.clear()
        self.nodes.clear()
        gc.collect()  # what still refers to a node in a circle would be seen by the next graph of this process
        rclpy.try_shutdown()
