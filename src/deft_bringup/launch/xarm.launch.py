"""An xArm with its controller, joint states at the controller's rate, and MoveIt. robot.launch.py includes it.

    ros2 launch deft_bringup xarm.launch.py dof:=7 robot_ip:=192.168.1.200 tool_box:='0.20 0.12 0.19'
    ros2 launch deft_bringup xarm.launch.py dof:=7 fake:=true   (no hardware)
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from deft_bringup.launching import described
from deft_bringup.xarm_launching import start_xarm


def generate_launch_description():
    return LaunchDescription([
        described('dof', '7', '5, 6 or 7'),
        described('robot_ip', '', "the arm's address; needed unless fake:=true"),
        described('fake', 'false', "ros2_control's fake hardware in place of the arm"),
        described('planner', 'true', 'start move_group'),
        described('tool_box', '', "the hand's volume for MoveIt: length, width, height of a box on the flange, m; empty: none"),
        OpaqueFunction(function=start_xarm),
    ])
