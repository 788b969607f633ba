"""`deft doctor`: is everything there that a session needs? One page of pass, warn and fail."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from deft_bringup.exits import EXIT_FAILED, explained
from deft_bringup.ros_client import ros
from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig, RobotConfig

if TYPE_CHECKING:
    from deft_bringup.checkup import Finding, Heard

COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}
PLANNER_SECONDS = 15.0
FIRST_PICTURE = 10.0  # s more that are listened for a first picture: a camera on a busy machine is slow, not absent


def doctor(robot: Annotated[str, typer.Option(help="name of a file in config/robots")] = "xarm7_sim",
           hand: Annotated[str, typer.Option(help="name of a file in config/hands; or a hand's own YAML file, which alone is "
                                             "then checked and drawn, without ROS")] = "allegro_right",
           seconds: Annotated[float, typer.Option(min=1.0, help="how long to listen")] = 5.0,
           out: Annotated[Path | None, typer.Option(help="PNG of where the arm reaches (reach.png), or of the hand "
                                                    "(hand.png)")] = None,
           sessions: Annotated[Path, typer.Option(help="where sessions are put, for the free disk")] = Path("~/.deft/sessions"),
           ) -> None:
    """Check camera, joint states, controllers, nodes, planner, disk and reach of a running graph. Nothing is moved."""
    from deft_bringup import checkup

    if hand.endswith((".yaml", ".yml")):
        from deft_bringup import hand_checkup

        with explained():
            _show(hand_checkup.check(Path(hand).expanduser(), out or Path("hand.png")))
        return
    out = out or Path("reach.png")
    console = Console()
    with explained():
        arm = load(RobotConfig, find(default_config_dir(), "robots", robot))
        fingers = load(HandConfig, find(default_config_dir(), "hands", hand))
        with console.status(f"listening for {seconds:.0f} s"), ros():
            heard, planner = _listen(arm, fingers, seconds)
        reached = checkup.reach(arm, fingers)
        checkup.draw_reach(arm, reached, out)
    findings = [checkup.nodes(heard), *checkup.camera(heard, arm.camera), *checkup.joint_states(heard, arm, fingers),
                checkup.clocks(heard), *checkup.controllers(heard), planner, checkup.disk(sessions),
                checkup.reachability(reached, out), checkup.postures(arm, fingers), checkup.limits(arm)]
    _show(findings)


def _show(findings: list[Finding]) -> None:
    """The page. Raises typer.Exit where something failed."""
    table = Table("check", "", "what was seen", box=None)
    for finding in findings:
        table.add_row(finding.name, f"[{COLOURS[finding.grade.value]}]{finding.grade.value}[/]", finding.words)
    Console().print(table)
    worst = [f for f in findings if f.grade.value == "fail"]
    if worst:
        Console(stderr=True).print(f"deft: {len(worst)} of {len(findings)} checks failed", style="red")
        raise typer.Exit(EXIT_FAILED)


def _listen(robot: RobotConfig, hand: HandConfig, seconds: float) -> tuple[Heard, Finding]:
    """Hear what there is to hear, and ask the planner a question."""
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from sensor_msgs.msg import CameraInfo, JointState

    from deft_bringup.checkup import Heard
    from deft_core.ros import conversions as conv
    from deft_core.ros import qos
    from deft_core.ros.heartbeat import Pulses
    from deft_core.ros.images import colour_topic, depth_topic
    from deft_core.ros.leaving import destroy

    node, heard = Node("deft_doctor"), Heard(seconds)
    pulses = Pulses(node)

    def depth(message: Any) -> None:
        heard.depths.append(conv.stamp_seconds(message.header.stamp))
        try:
            heard.depth_valid = float(np.isfinite(conv.depth_from_msg(message)).mean())
        except ValueError:
            heard.depth_valid = 0.0

    def info(message: CameraInfo) -> None:
        heard.intrinsics = conv.intrinsics_from_msg(message)

    def states(message: JointState) -> None:
        heard.states.append(conv.stamp_seconds(message.header.stamp))
        heard.names.update(message.name)
        heard.finite &= bool(np.isfinite(message.position).all())

    reliability = qos.images(robot.camera.reliability)
    node.create_subscription(*colour_topic(robot.camera), lambda m: heard.colours.append(conv.stamp_seconds(m.header.stamp)),
                             reliability)
    node.create_subscription(*depth_topic(robot.camera), depth, reliability)
    node.create_subscription(CameraInfo, f"{robot.camera.namespace}/color/camera_info", info, qos.SENSOR)
    node.create_subscription(JointState, robot.joint_states_topic, states, qos.SENSOR)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    started = time.monotonic()
    while (past := time.monotonic() - started) < seconds or (
            not (heard.colours and heard.depths) and past < seconds + FIRST_PICTURE):
        executor.spin_once(timeout_sec=0.1)
    heard.seconds = past
    heard.wall, heard.nodes = time.time(), sorted({one.node for one in pulses.alive()})
    heard.listeners = {"arm": node.count_subscribers(robot.arm_command_topic),
                       "hand": node.count_subscribers(robot.hand_command_topic)}
    planner = _ask_planner(node, executor, robot, hand)
    pulses.close()
    executor.shutdown()
    destroy(node)
    return heard, planner


def _ask_planner(node: Any, executor: Any, robot: RobotConfig, hand: HandConfig) -> Finding:
    """A grasp in the middle of the object region: does deft_motion answer?"""
    from deft_msgs.srv import CheckGrasp
    from geometry_msgs.msg import Point, Vector3

    from deft_bringup.checkup import WRISTS, Finding, Grade
    from deft_core.ros import conversions as conv
    from deft_core.ros import names
    from deft_core.types import GraspParameters

    client = node.create_client(CheckGrasp, names.CHECK_GRASP)
    if not client.wait_for_service(timeout_sec=3.0):
        return Finding("planner", Grade.fail, "deft_motion offers no check_grasp; is it running?")
    low, high = np.array(robot.object_region.lower), np.array(robot.object_region.upper)
    centre = np.array([*(low + high)[:2] / 2, robot.table_height + 0.06])
    said = ""
    for wrist in WRISTS.values():
        grasp = GraspParameters(centre, wrist.as_rotvec(), hand.joint_names, np.array(hand.open_pose), hand.name,
                                robot.base_frame)
        started = time.monotonic()
        future = client.call_async(CheckGrasp.Request(
            grasp=conv.grasp_to_msg(grasp), task="pick_cup", table_height=robot.table_height,
            object_centre=Point(x=centre[0], y=centre[1], z=centre[2]), object_extent=Vector3(x=0.06, y=0.06, z=0.1)))
        executor.spin_until_future_complete(future, timeout_sec=PLANNER_SECONDS)
        if future.result() is None:
            return Finding("planner", Grade.fail, f"no answer within {PLANNER_SECONDS:.0f} s")
        took = time.monotonic() - started
        if future.result().feasible:
            return Finding("planner", Grade.ok, f"a grasp in the middle of the object region is feasible ({took:.2f} s)")
        said = future.result().error_msg
    return Finding("planner", Grade.warn, f"it answers, but no grasp in the middle of the object region is feasible: {said}")
