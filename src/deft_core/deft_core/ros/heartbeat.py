"""Who is alive: every node sends heartbeats, and those that depend on others watch for them to stop."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Collection
from typing import ClassVar

from deft_msgs.msg import Heartbeat
from rclpy.context import Context
from rclpy.node import Node

from deft_core.ros import names, qos
from deft_core.ros.spun_node import SpunNode

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
        """Say goodbye, and fall silent."""
        self._stopping.set()
        self._thread.join(timeout=2)
        self._message.last = True
        with contextlib.suppress(Exception):  # the context may be shut down
            self._publisher.publish(self._message)


class Ear:
    """A node and a thread that only listen, for everybody in this process who watches something: what comes often must not
    wake the executors that have other things to do."""

    _ears: ClassVar[dict[Context, Ear]] = {}
    _lock = threading.Lock()

    def __init__(self, context: Context) -> None:
        self._spun = SpunNode(f"deft_ear_{HERE[1]}", context, start_parameter_services=False, enable_rosout=False)
        self.node = self._spun.node
        self.last: dict[str, tuple[float, tuple[str, int]]] = {}  # node -> when it was heard, s monotonic, and where it runs
        self._users = 0
        self.node.create_subscription(Heartbeat, names.HEARTBEAT, self._heard, qos.HEARTBEAT)

    def _heard(self, message: Heartbeat) -> None:
        if message.last:
            self.last.pop(message.node, None)
        else:
            self.last[message.node] = (time.monotonic(), (message.host, message.pid))

    @classmethod
    def of(cls, node: Node) -> Ear:
        """The ear of a node's process; give it back with `release`."""
        with cls._lock:
            ear = cls._ears.get(node.context) or cls._ears.setdefault(node.context, Ear(node.context))
            ear._users += 1
            return ear

    def release(self) -> None:
        """The last user ends it."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            self._ears.pop(self.node.context, None)
        self._spun.close()


class Pulses:
    """The heartbeats of the nodes in a node's namespace.

    All times are counted to the last heartbeat of the node's own that was heard: when this very process stands still for a
    while, nobody else is taken for dead.
    """

    def __init__(self, node: Node) -> None:
        self._own = node.get_fully_qualified_name()
        self._space = node.get_namespace().rstrip("/") + "/"
        self.ear = Ear.of(node)

    def close(self) -> None:
        """Stop listening."""
        self.ear.release()

    def now(self) -> float:
        """s on the monotonic clock, until when this process has heard anything at all."""
        return self.ear.last.get(self._own, (time.monotonic(), HERE))[0]

    def alive(self) -> frozenset[str]:
        """Nodes of other processes that have been heard lately."""
        now = self.now()
        return frozenset(name for name, (last, where) in self.ear.last.copy().items()
                         if where != HERE and now - last < SILENCE and name.startswith(self._space))

    def gone(self) -> str:
        """Which node of another process was heard once, and has fallen silent without a goodbye, in words; "" for none."""
        return self.lost([name for name, (_, where) in self.ear.last.copy().items()
                          if where != HERE and name.startswith(self._space)])

    def lost(self, watched: Collection[str]) -> str:
        """Which of the watched nodes has fallen silent, in words; "" while all are heard."""
        now, last = self.now(), self.ear.last.copy()
        for name in sorted(watched):
            silent = now - last[name][0] if name in last else SILENCE
            if silent >= SILENCE:
                return f"{name} has not been heard of for {silent:.1f} s; is its process running?"
        return ""

    def watching(self) -> Callable[[], str]:
        """`lost` of those that are alive now."""
        watched = self.alive()
        return lambda: self.lost(watched)
