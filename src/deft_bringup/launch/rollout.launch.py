"""Execute grasps with a policy, or the prior alone; nothing is learned.

    ros2 launch deft_bringup rollout.launch.py sim:=true task:=pick_cup session:=/tmp/cup trials:=10
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from deft_bringup.launching import described, graph_arguments, start_graph


def generate_launch_description():
    return LaunchDescription([
        *graph_arguments(),
        described('trials', '10', 'how many grasps'),
        described('session', '', 'the fine-tuning session whose policy.yaml is used'),
        described('policy', '', "a policy.yaml in place of a session's"),
        described('objects', 'test', 'object set on the simulated table: train or test'),
        OpaqueFunction(function=lambda context: start_graph(context, client='rollout')),
    ])
