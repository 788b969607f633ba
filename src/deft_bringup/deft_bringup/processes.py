"""Which executables the graph consists of, and with which parameters: for launch files, tests and scripts. Knows no ROS."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deft_bringup.parameters import node_parameters
from deft_core.config import default_config_dir, find, load, nearest
from deft_core.descriptions import HandConfig, RobotConfig, load_task
from deft_core.errors import ConfigError
from deft_core.hardware import PLANNERS
from deft_sim.faults import checked as checked_fault

OPERATORS = ("scripted", "hands", "none")
PRIORS = ("learned", "heuristic")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
# Packages that are not DEFT's own, and what brings them to Ubuntu 24.04 with ROS 2 Jazzy
APT = {"realsense2_camera": "ros-jazzy-realsense2-camera"}


@dataclass(frozen=True)
class Choice:
    """What a person decides about a graph; the rest is in the parameter file.

    Attributes:
        params_file: None = config/finetune.yaml.
        operator: of the simulated robot: scripted scores and resets, hands only resets, none does neither.
        fault: of the simulated robot, a name of deft_sim.faults.
    """

    task: str = "pick_cup"
    robot: str = ""
    hand: str = ""
    sim: bool = False
    prior: str = ""
    planner: str = ""
    seed: int = 0
    operator: str = "hands"
    real_time_factor: float = 0.0
    require_approval: bool = False
    fault: str = ""
    params_file: Path | None = None
    config_dir: Path | None = None
    namespace: str = ""
    log_level: str = "info"
    use_sim_time: bool = False

    @property
    def folder(self) -> Path:
        """Of tasks/, hands/ and robots/."""
        return self.config_dir or default_config_dir()

    @property
    def parameter_file(self) -> Path:
        """The file that all nodes read."""
        return self.params_file or self.folder / "finetune.yaml"


@dataclass(frozen=True)
class NodeProcess:
    """A node in a process of its own: `ros2 run package executable`."""

    package: str
    executable: str
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, choice: Choice) -> list[str]:
        """After the executable's name."""
        values = {**self.parameters, **({"use_sim_time": True} if choice.use_sim_time else {})}
        out = ["--ros-args", "--log-level", choice.log_level, "--params-file", str(choice.parameter_file)]
        if choice.namespace:
            out += ["-r", f"__ns:={choice.namespace}"]
        if values:
            out += ["--params-file", str(self._own_parameters(choice, values))]
        return out

    def _own_parameters(self, choice: Choice, values: Mapping[str, Any]) -> Path:
        """A file with these parameters for this node alone: there may be others in its process, and in a namespace
        `-p node:name:=value` is not understood."""
        content = yaml.safe_dump({f"{choice.namespace.rstrip('/')}/{self.name}": {"ros__parameters": dict(values)}})
        folder = Path(tempfile.gettempdir()) / f"deft_parameters_{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"{self.name}_{hashlib.sha256(content.encode()).hexdigest()[:16]}.yaml"
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(content)
        temporary.replace(file)
        return file


def checked(choice: Choice) -> Choice:
    """The choice with names that exist. Raises ConfigError that lists the valid ones, before anything is started."""
    shared = node_parameters(choice.parameter_file, "**")
    robot, hand = choice.robot or shared.get("robot", "xarm7_sim"), choice.hand or shared.get("hand", "allegro_right")
    load_task(choice.folder, choice.task)
    found = load(RobotConfig, find(choice.folder, "robots", robot))
    load(HandConfig, find(choice.folder, "hands", hand))
    for what, value, valid in (("operator", choice.operator, OPERATORS), ("log_level", choice.log_level, LOG_LEVELS),
                               ("prior", choice.prior or "learned", PRIORS),
                               ("planner", choice.planner or "ompl", PLANNERS)):
        if value not in valid:
            raise ConfigError(f"unknown {what} '{value}': {nearest(value, valid)}")
    if choice.planner not in ("", "ompl") and found.moveit is None:
        raise ConfigError(f"planner '{choice.planner}': config/robots/{robot}.yaml has no section `moveit`")
    if choice.fault and not choice.sim:
        raise ConfigError(f"fault '{choice.fault}' can only be rehearsed with the simulated robot: add sim:=true")
    checked_fault(choice.fault)
    if choice.namespace and not choice.namespace.startswith("/"):
        raise ConfigError(f"namespace '{choice.namespace}' has to begin with a slash")
    return choice


def node_processes(choice: Choice) -> list[NodeProcess]:
    """All nodes of a graph, in the order in which they are best started."""
    shared = {name: value for name, value in (("robot", choice.robot), ("hand", choice.hand),
                                              ("config_dir", str(choice.config_dir) if choice.config_dir else "")) if value}
    nodes = []
    if choice.sim:
        nodes.append(NodeProcess("deft_sim", "sim_node", "deft_sim", {
            **shared, "task": choice.task, "seed": choice.seed, "operator": choice.operator,
            "real_time_factor": choice.real_time_factor, "fault": choice.fault}))
    nodes += [NodeProcess("deft_perception", "perception_node", "deft_perception", shared),
              NodeProcess("deft_affordance", "affordance_node", "deft_affordance",
                          {**shared, **({"prior": choice.prior} if choice.prior else {})}),
              NodeProcess("deft_retarget", "retarget_node", "deft_retarget", shared),
              NodeProcess("deft_motion", "motion_node", "deft_motion",
                          {**shared, **({"planner": choice.planner} if choice.planner else {})}),
              NodeProcess("deft_policy", "policy_node", "deft_policy", shared),
              NodeProcess("deft_cem", "cem_server", "deft_cem", {
                  **shared, "confirm_scene_at_start": True,
                  **({"require_approval": True} if choice.require_approval else {})})]
    return nodes
