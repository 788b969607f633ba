"""A node that a thread of its own spins: for commands, and for what comes often and must not wake a node's other executor."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


class SpunNode:
    """Spins until it is closed; use as a context manager, or `close` it.

    Args:
        context: None = the process's default one.
        options: for rclpy's Node.
    """

    def __init__(self, name: str, context: Context | None = None, **options: Any) -> None:
        self.node = Node(name, context=context, **options)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass

    def close(self) -> None:
        """Stop spinning and give the node back."""
        self._executor.shutdown(timeout_sec=2)
        self._thread.join(timeout=2)
        self.node.destroy_node()

    def __enter__(self) -> Node:
        return self.node

    def __exit__(self, *_: object) -> None:
        self.close()
