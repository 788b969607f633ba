"""An Allegro hand's controllers, by the parts of allegro_hand_ros2, in a namespace of their own. Only launch files import it.

The maker's launch file gives its spawners the absolute name /controller_manager, which the arm's has already.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext
from launch.action import Action
from launch.substitutions import Command
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from deft_bringup.launching import Arguments, LaunchError, require_packages

PACKAGE = "allegro_hand_bringup"
INSTALL = "build github.com/Wonikrobotics-git/allegro_hand_ros2 in your workspace, and source it"
NAMESPACE = "/hand"
HARDWARE = {False: "physical_device", True: "mock_components"}
CONTROLLERS = ("joint_state_broadcaster", "allegro_hand_position_controller")


def start_allegro(context: LaunchContext) -> list[Action]:
    """ros2_control with the position controller and joint_state_broadcaster in /hand."""
    arguments = Arguments(context)
    device, side, fake = arguments.text("device"), arguments.text("hand"), arguments.flag("fake")
    if side not in ("right", "left"):
        raise LaunchError(f"hand:={side}; valid: right, left")
    require_packages([PACKAGE, "controller_manager"], {PACKAGE: INSTALL})
    folder = Path(get_package_share_directory(PACKAGE)) / "config" / device / "single_hand"
    if not folder.is_dir():
        raise LaunchError(f"device:={device}: there is no {folder}")
    description = Command(["xacro ", str(folder / "allegro_hand.urdf.xacro"), " hand:=", side, " ros2_control_hardware_type:=",
                           HARDWARE[fake]])
    return [
        Node(package="controller_manager", executable="ros2_control_node", namespace=NAMESPACE, output="screen",
             parameters=[{"robot_description": ParameterValue(description, value_type=str)},
                         str(_in_namespace(folder / "ros2_controllers.yaml"))]),
        *(Node(package="controller_manager", executable="spawner", namespace=NAMESPACE, output="screen",
               arguments=[name, "-c", f"{NAMESPACE}/controller_manager"]) for name in CONTROLLERS)]


def _in_namespace(file: Path) -> Path:
    """The maker's parameters for the same nodes in NAMESPACE: a section for /controller_manager is none for theirs."""
    sections = yaml.safe_load(file.read_text())
    moved = {f"{NAMESPACE}/{name.strip('/')}": values for name, values in sections.items() if "*" not in name}
    out = Path(tempfile.mkdtemp(prefix="deft_allegro_")) / file.name
    out.write_text(yaml.safe_dump(moved | {name: values for name, values in sections.items() if "*" in name}))
    return out
