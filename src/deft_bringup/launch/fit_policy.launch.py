"""Fit a residual policy to a session or a bag; needs no robot and no other node.

    ros2 launch deft_bringup fit_policy.launch.py bag:=/tmp/cup/bag policy:=cvae out:=/tmp/policies
"""

from launch import LaunchDescription
from launch.actions import OpaqueFunction

from deft_bringup.launching import described, fit_policy


def generate_launch_description():
    return LaunchDescription([
        described('bag', '', 'a bag: a folder, or one of its files'),
        described('session', '', "a session's folder, in place of a bag"),
        described('policy', '', 'cvae, mlp, transformer, direct or elite_mean; empty: the configured one'),
        described('out', '', 'folder for policy.yaml and its weights; empty: beside the session or the bag'),
        described('seed', '0', 'of the fit'),
        OpaqueFunction(function=fit_policy),
    ])
