"""An xArm's controllers and MoveIt, by the parts of xarm_ros2 (branch jazzy). Only launch files import it.

The vendor's own launch file for real arms republishes joint states ten times a second, with 0 for every other movable joint of
the URDF: too slow to watch a motion by, and wrong for a hand. Here ros2_control's joint_state_broadcaster tells them.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext
from launch.action import Action
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node

from deft_bringup.launching import Arguments, LaunchError, require_packages

INSTALL = "build github.com/xArm-Developer/xarm_ros2 (branch jazzy, --recursive) in your workspace, and source it"
NEEDED = ("xarm_controller", "xarm_moveit_config", "uf_ros_lib", "controller_manager", "robot_state_publisher", "tf2_ros")
PLUGINS = {False: "uf_robot_hardware/UFRobotSystemHardware", True: "uf_robot_hardware/UFRobotFakeSystemHardware"}
DOFS = ("5", "6", "7")


def start_xarm(context: LaunchContext) -> list[Action]:
    """robot_state_publisher, ros2_control with arm controller and joint_state_broadcaster, and move_group."""
    arguments = Arguments(context)
    dof, fake, ip = arguments.text("dof"), arguments.flag("fake"), arguments.text("robot_ip")
    if dof not in DOFS:
        raise LaunchError(f"dof:={dof}; valid: {', '.join(DOFS)}")
    if not fake and not ip:
        raise LaunchError("say robot_ip:=A.B.C.D, the arm's address, or fake:=true")
    require_packages([*NEEDED, *(["moveit_ros_move_group"] if arguments.flag("planner") else [])],
                     dict.fromkeys(("xarm_controller", "xarm_moveit_config", "uf_ros_lib"), INSTALL))
    from uf_ros_lib.moveit_configs_builder import MoveItConfigsBuilder

    controllers = str(Path(get_package_share_directory("xarm_controller")) / "config" / f"xarm{dof}_controllers.yaml")
    tool = arguments.text("tool_box").split()
    if len(tool) not in (0, 3):
        raise LaunchError(f"tool_box:='{arguments.text('tool_box')}' needs length, width and height in m")
    geometry = {} if not tool else {
        "add_other_geometry": True, "geometry_type": "box", "geometry_length": tool[0], "geometry_width": tool[1],
        "geometry_height": tool[2]}
    moveit = MoveItConfigsBuilder(
        context=context, controllers_name="fake_controllers" if fake else "controllers", robot_ip=ip, dof=dof,
        robot_type="xarm", hw_ns="xarm", limited=True, ros2_control_plugin=PLUGINS[fake], ros2_control_params=controllers,
        **geometry).to_moveit_configs()
    control = Path(get_package_share_directory("xarm_controller")) / "launch" / "_ros2_control.launch.py"
    actions: list[Action] = [
        Node(package="robot_state_publisher", executable="robot_state_publisher", output="screen",
             parameters=[moveit.robot_description]),
        Node(package="tf2_ros", executable="static_transform_publisher", name="world_to_base",
             arguments=["--frame-id", "world", "--child-frame-id", "link_base"]),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(str(control)), launch_arguments=[
            ("robot_description", yaml.dump(moveit.robot_description)), ("ros2_control_params", controllers)]),
        *(Node(package="controller_manager", executable="spawner", output="screen", arguments=[name])
          for name in ("joint_state_broadcaster", f"xarm{dof}_traj_controller"))]
    if arguments.flag("planner"):
        actions.append(Node(package="moveit_ros_move_group", executable="move_group", output="screen",
                            parameters=[moveit.to_dict()]))
    return actions
