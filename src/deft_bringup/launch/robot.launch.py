"""The drivers of a real robot: camera, arm with MoveIt, hand. finetune.launch.py includes it with drivers:=true.

    ros2 launch deft_bringup robot.launch.py robot:=xarm7 hand:=allegro_right robot_ip:=192.168.1.200
    ros2 launch deft_bringup robot.launch.py robot:=xarm7 hand:=allegro_right fake:=true camera:=false   (no hardware)
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from deft_bringup.launching import described, start_drivers


def generate_launch_description():
    return LaunchDescription([
        described('robot', 'xarm7', 'name of a file in config/robots, which says what drives it'),
        described('hand', 'allegro_right', 'name of a file in config/hands, which says what drives it'),
        described('robot_ip', '', "the arm's address; needed unless fake:=true"),
        described('fake', 'false', "the vendor's fake hardware in place of the arm and the hand"),
        described('camera', 'true', 'start realsense2_camera with aligned depth'),
        described('serial_no', '', 'of the camera, digits only; empty: the only one'),
        described('planner', 'true', 'start move_group for the arm'),
        described('namespace', '', "of DEFT's own nodes beside the drivers, the same as the graph's"),
        OpaqueFunction(function=start_drivers),
    ])
