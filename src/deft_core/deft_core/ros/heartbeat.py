"""Who is alive: every node sends heartbeats, and those that depend on others watch for them to stop."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Collection

from deft_msgs.msg import Heartbeat
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from deft_core.ros import names, qos

PERIOD = 0.2   # s
SILENCE = 0.8  # s without a heartbeat: dead, or its machine is unreachable
HERE = (socket.gethostname(), os.getpid())


class Heart:
    """Beats in a thread of its own: what a node's executor is busy with does not matter."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(Heartbeat, names.HEARTBEAT, qos.HEARTBEAT)
        self._message = Heartbeat(node=node.get_fully_qualified_name(), host=HERE[0], pid=HERE[1])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stopping.wait(PERIOD):
            nanoseconds = time.time_ns()
            self._message.stamp.sec, self._message.stamp.nanosec = divmod(nanoseconds, 1_000_000_000)
            try:
                self._publisher.publish(self._message)
            except Exception:  # the context was shut down under it
                return

    def stop(self) -> None:
        """Fall silent."""
        self._stopping.set()
        self._thread.join(timeout=2)


class Pulses:
    """Hears the heartbeats of the nodes in a node's namespace.

    All times are counted to the last heartbeat of the node's own that was heard: when this very process stands still for a
    while, nobody else is taken for dead.
    """

    def __init__(self, node: Node) -> None:
        self._own = node.get_fully_qualified_name()
        self._space = node.get_namespace().rstrip("/") + "/"
        self._last: dict[str, tuple[float, tuple[str, int]]] = {}
        self._node = node
        self._subscription = node.create_subscription(Heartbeat, names.HEARTBEAT, self._heard, qos.HEARTBEAT,
                                                      callback_group=MutuallyExclusiveCallbackGroup())

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)

    def _heard(self, message: Heartbeat) -> None:
        if message.node.startswith(self._space):
            self._last[message.node] = (time.monotonic(), (message.host, message.pid))

    def now(self) -> float:
        """s on the monotonic clock, until when this process has heard anything at all."""
        return self._last.get(self._own, (time.monotonic(), HERE))[0]

    def alive(self) -> frozenset[str]:
        """Nodes of other processes that have been heard lately."""
        now = self.now()
        return frozenset(name for name, (last, where) in self._last.copy().items() if where != HERE and now - last < SILENCE)

    def lost(self, watched: Collection[str]) -> str:
        """Which of the watched nodes has fallen silent, in words; "" while all are heard."""
        now, last = self.now(), self._last.copy()
        for name in sorted(watched):
            silent = now - last[name][0] if name in last else SILENCE
            if silent >= SILENCE:
                return f"{name} has not been heard of for {silent:.1f} s; is its process running?"
        return ""

    def watching(self) -> Callable[[], str]:
        """`lost` of those that are alive now."""
        watched = self.alive()
        return lambda: self.lost(watched)
