"""Fine-tune a grasp: the whole graph, and one session of it.

    ros2 launch deft_bringup finetune.launch.py sim:=true task:=pick_cup episodes:=3
    ros2 launch deft_bringup finetune.launch.py task:=pour_cup robot:=xarm7 hand:=leap_right drivers:=true

It ends when the session has ended, with its exit status; without `episodes` (0) the graph waits for `deft finetune`.
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from deft_bringup.launching import described, graph_arguments, start_graph


def generate_launch_description():
    return LaunchDescription([
        *graph_arguments(),
        described('episodes', '30', 'episodes of the session (N of the paper); 0: start the graph only'),
        described('session', '', 'folder of the session; an unfinished one in it is resumed. Empty: a new one under ~/.deft'),
        described('objects', 'train', 'object set on the simulated table: train or test'),
        OpaqueFunction(function=lambda context: start_graph(context, client='finetune')),
    ])
