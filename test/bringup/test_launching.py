"""What the launch files start, and what they refuse before they start anything."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deft_bringup.processes import Choice, checked, node_processes
from deft_core.errors import ConfigError

LAUNCH = Path(__file__).resolve().parent.parent.parent / "src" / "deft_bringup" / "launch"


@pytest.mark.parametrize(("change", "words"), [
    ({"task": "pick_cop"}, "valid: flip_bagel"), ({"hand": "nope"}, "valid: allegro_left"), ({"robot": "ur5"}, "valid: xarm6"),
    ({"operator": "robot"}, "scripted"), ({"prior": "lernt"}, "learned"), ({"planner": "moveit"}, "did you mean 'moveit_py'"),
    ({"planner": "move_group"}, "has no section `moveit`"), ({"log_level": "loud"}, "debug"),
    ({"fault": "camera_slient"}, "camera_silent"), ({"fault": "camera_silent", "sim": False}, "sim:=true"),
    ({"namespace": "lab"}, "slash")])
def test_wrong_choices_end_with_the_valid_ones(change, words):
    with pytest.raises(ConfigError) as caught:
        checked(dataclasses.replace(Choice(sim=True), **change))
    assert words in str(caught.value)


def test_the_nodes_of_a_choice():
    choice = checked(Choice(sim=True, task="pour_cup", seed=3, require_approval=True, namespace="/lab", hand="allegro_soft"))
    nodes = {node.name: node.arguments(choice) for node in node_processes(choice)}
    assert set(nodes) == {"deft_sim", "deft_perception", "deft_affordance", "deft_retarget", "deft_motion", "deft_policy",
                          "deft_cem"}
    own = {name: yaml.safe_load(Path(arguments[-1]).read_text()) for name, arguments in nodes.items()}
    assert own["deft_sim"]["/lab/deft_sim"]["ros__parameters"]["task"] == "pour_cup"
    assert own["deft_cem"]["/lab/deft_cem"]["ros__parameters"]["require_approval"] is True
    assert all("__ns:=/lab" in arguments for arguments in nodes.values())
    assert not [n for n in node_processes(Choice()) if n.name == "deft_sim"], "a real robot has no simulation"


@pytest.mark.parametrize("file", sorted(LAUNCH.glob("*.launch.py")), ids=lambda f: f.name)
def test_launch_files_describe_their_arguments(file):
    pytest.importorskip("launch_ros", reason="launch is not on this machine: it comes with ROS 2, not by wheels")
    import importlib.util

    spec = importlib.util.spec_from_file_location("launch_file", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments = [e for e in module.generate_launch_description().entities if hasattr(e, "default_value")]
    assert arguments and all(len(a.description) > 3 for a in arguments)


def test_a_node_in_a_namespace_has_the_parameters_of_the_choice():
    """Read back from a real node in a process of its own, as the launch file starts it."""
    choice = checked(Choice(sim=True, namespace="/lab", hand="allegro_soft"))
    node = next(n for n in node_processes(choice) if n.name == "deft_retarget")
    code = ("import rclpy, sys; rclpy.init(args=sys.argv); n = rclpy.create_node('deft_retarget'); "
            "print(n.get_fully_qualified_name(), *(n.declare_parameter(p, '').value for p in ('hand', 'robot')))")
    result = subprocess.run([sys.executable, "-c", code, *node.arguments(choice)], capture_output=True, text=True,
                            check=True)
    assert result.stdout.split() == ["/lab/deft_retarget", "allegro_soft", "xarm7_sim"]
