"""How a device is, told by the node that stands before it."""

from __future__ import annotations

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from std_msgs.msg import String

from deft_core.ros import qos

PERIOD = 1.0  # s between two reports


class FaultWord:
    """A latched topic: what is wrong, "" where nothing is. Repeated, so that no other's word stands for long.

    Attributes:
        text: what was said last; None before the device has been heard of, of which nothing is told.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self.text: str | None = None
        self._publisher = node.create_publisher(String, topic, qos.LATCHED)
        node.create_timer(PERIOD, self._repeat, callback_group=MutuallyExclusiveCallbackGroup())

    def say(self, text: str) -> None:
        """Tell it at once."""
        self.text = text
        self._repeat()

    def _repeat(self) -> None:
        if self.text is not None:
            self._publisher.publish(String(data=self.text))
