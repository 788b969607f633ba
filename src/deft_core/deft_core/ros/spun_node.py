"""A node that a thread of its own spins: for commands, and for what comes often and must not wake a node's other executor."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from deft_core.ros.leaving import destroy

AGAIN_SECONDS = 0.05  # after an error


class SpunNode:
    """Spins until it is closed; use as a context manager, or `close` it.

    Args:
        context: None = the process's default one.
        options: for rclpy's Node.
    """

    def __init__(self, name: str, context: Context | None = None, **options: Any) -> None:
        self.node = Node(name, context=context, **options)
        self._closing = False
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        """Until it is closed. What one callback raises must not make it deaf: others rely on what it hears."""
        while not self._closing:
            try:
                self._executor.spin()
                return
            except ExternalShutdownException:
                return
            except Exception as error:
                if not self._closing and self.node.context.ok():
                    self.node.get_logger().error(f"{error!r}")
                    time.sleep(AGAIN_SECONDS)

    def close(self) -> None:
        """Stop spinning and give the node back."""
        self._closing = True
        self._executor.shutdown(timeout_sec=2)
        self._thread.join(timeout=2)
        destroy(self.node)

    def __enter__(self) -> Node:
        return self.node

    def __exit__(self, *_: object) -> None:
        self.close()
