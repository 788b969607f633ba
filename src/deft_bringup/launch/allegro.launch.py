"""An Allegro hand with its position controller, in the namespace /hand. robot.launch.py includes it for hand:=allegro_right.

    ros2 launch deft_bringup allegro.launch.py device:=v4 hand:=right
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from deft_bringup.allegro_launching import start_allegro
from deft_bringup.launching import described


def generate_launch_description():
    return LaunchDescription([
        described('device', 'v4', "folder of allegro_hand_bringup's config: v4 or plexus"),
        described('hand', 'right', 'right or left'),
        described('fake', 'false', "ros2_control's mock components in place of the hand"),
        OpaqueFunction(function=start_allegro),
    ])
