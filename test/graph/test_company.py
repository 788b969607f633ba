"""A simulation does not start beside a robot or another graph in its domain, nor with a misspelt parameter."""

from __future__ import annotations

import os
import subprocess

import pytest
import rclpy
from graph_support import domain
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from deft_bringup.graph import ComposedGraph, GraphError, GraphOptions
from deft_core.config import default_config_dir
from deft_core.errors import ConfigError

pytestmark = pytest.mark.graph


@pytest.fixture
def robot_driver():
    """A node with a real arm's topics, in a context of its own, as another process would be."""
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(8), "LOCALHOST"
    context = Context()
    rclpy.init(context=context)
    node = Node("xarm_driver", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.mark.parametrize("part", ["command", "state"])
def test_a_robot_in_the_domain_is_not_commanded(robot_driver, part):
    if part == "command":
        robot_driver.create_subscription(JointTrajectory, "/xarm7_traj_controller/joint_trajectory", lambda _: None, 10)
    else:
        robot_driver.create_publisher(JointState, "/joint_states", 10)
    with pytest.raises(GraphError, match="set another ROS_DOMAIN_ID"), ComposedGraph(GraphOptions(task="pick_cup")):
        pytest.fail("it started beside a robot")


def test_a_second_graph_is_refused(robot_driver):
    other = Node("deft_cem", context=robot_driver.context)
    with pytest.raises(GraphError, match="another DEFT graph"), ComposedGraph(GraphOptions(task="pick_cup")):
        pytest.fail("it started beside another graph")
    other.destroy_node()


def test_a_stop_that_nobody_hears_points_to_the_emergency_stop(robot_driver):
    alone = subprocess.run(["deft", "stop"], capture_output=True, text=True, timeout=60, check=False)
    assert alone.returncode == 1 and "deft/stop was not found within 12 s" in alone.stderr
    assert f"has not answered in ROS_DOMAIN_ID {domain(8)}" in alone.stderr and "emergency stop" in alone.stderr


@pytest.mark.parametrize(("number", "wrong", "right", "message"), [
    (9, " elites: 5", " elits: 5", "unknown parameter 'search.deft.elits': did you mean 'search.deft.elites'"),
    (10, "deft_perception:", "deft_perceptoin:", "unknown node 'deft_perceptoin': did you mean 'deft_perception'"),
    (11, " elites: 5", " elites: 1", "elites"), (12, "prior: learned", "prior: heuristik", "did you mean 'heuristic'")])
def test_a_wrong_parameter_file_is_refused(tmp_path, number, wrong, right, message):
    # a domain each: a graph that was torn down stays in discovery for a moment
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(number), "LOCALHOST"
    text = (default_config_dir() / "finetune.yaml").read_text()
    assert wrong in text
    (tmp_path / "params.yaml").write_text(text.replace(wrong, right))
    options = GraphOptions(task="pick_cup", params_file=tmp_path / "params.yaml")
    with pytest.raises(ConfigError, match=message), ComposedGraph(options):
        pytest.fail("it started with a wrong parameter")
