"""Who is alive: every node sends heartbeats, and those that depend on others watch for them to stop."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, ClassVar, NamedTuple

from deft_msgs.msg import Heartbeat
from rclpy.context import Context
from rclpy.node import Node

from deft_core.errors import ConfigError
from deft_core.ros import names, qos
from deft_core.ros.spun_node import SpunNode

PERIOD = 0.1   # s
SILENCE = 0.6  # s without a heartbeat: dead, or its machine is unreachable; for who watches a moving robot
QUIET, MOST = 0.8, 6.0  # s
PATIENCE = 2.0  # s, for who waits for an answer: a process may hold its interpreter for a second while it loads or compiles
HERE = (socket.gethostname(), os.getpid())
STARTED = divmod(time.time_ns(), 1_000_000_000)  # s, ns of wall clock, of this process


class Alive(NamedTuple):
    """A node, and the process that it lives in."""

    node: str  # fully qualified name
    host: str
    pid: int

    def is_here(self) -> bool:
        """Whether it lives in this process."""
        return (self.host, self.pid) == HERE


class Heart:
    """Beats in a thread of its own: what a node's executor is busy with does not matter."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(Heartbeat, names.HEARTBEAT, qos.HEARTBEAT)
        self._message = Heartbeat(node=node.get_fully_qualified_name(), host=HERE[0], pid=HERE[1])
        self._message.started.sec, self._message.started.nanosec = STARTED
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat: from now on the node answers."""
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
        if self._thread.is_alive():
            self._thread.join(timeout=2)
        self._message.last = True
        with contextlib.suppress(Exception):  # the context may be shut down
            self._publisher.publish(self._message)


class TwinWatch:
    """Listens whether nodes of these names live in another process: both would answer the same calls and command the same arm.

    The one that was started later is to leave.

    Args:
        nodes: of one context.
    """

    def __init__(self, nodes: Collection[Node]) -> None:
        self._own = {node.get_fully_qualified_name() for node in nodes}
        self._found: Heartbeat | None = None
        self._spun = SpunNode(f"deft_probe_{HERE[1]}", next(iter(nodes)).context, start_parameter_services=False,
                              enable_rosout=False)
        self._spun.node.create_subscription(Heartbeat, names.HEARTBEAT, self._heard, qos.HEARTBEAT)

    def listen(self, stop: threading.Event) -> None:
        """Until DDS has found who is there: it finds nobody new for QUIET, or for MOST in all. Where many processes start at
        once, it takes its time.

        Args:
            stop: ends it at once.
        """
        began = quiet_since = time.monotonic()
        known: list[Any] = []
        while not stop.wait(PERIOD) and (now := time.monotonic()) < min(quiet_since + QUIET, began + MOST):
            found = sorted(self._spun.node.get_node_names_and_namespaces())
            if found != known:
                known, quiet_since = found, now

    def _heard(self, message: Heartbeat) -> None:
        place, started = (message.host, message.pid), (message.started.sec, message.started.nanosec)
        if message.node in self._own and place != HERE and (started, place) < (STARTED, HERE) and not message.last:
            self._found = message

    def refuse(self) -> None:
        """Raises ConfigError that names the other node, and where it runs."""
        if (other := self._found) is not None:
            raise ConfigError(f"{other.node} already runs in ROS_DOMAIN_ID {os.environ.get('ROS_DOMAIN_ID', '0')}, as process "
                              f"{other.pid} on {other.host}; stop it, or set another ROS_DOMAIN_ID or namespace")

    def close(self) -> None:
        """Stop listening."""
        self._spun.close()


class Ear:
    """A node and a thread that only listen, for everybody in this process who watches something: what comes often must not
    wake the executors that have other things to do."""

    _ears: ClassVar[dict[Context, Ear]] = {}
    _lock = threading.Lock()

    def __init__(self, context: Context) -> None:
        self._spun = SpunNode(f"deft_ear_{HERE[1]}", context, start_parameter_services=False, enable_rosout=False)
        self.node = self._spun.node
        self.last: dict[Alive, float] = {}  # when it was heard, s monotonic
        self._users = 0
        self.node.create_subscription(Heartbeat, names.HEARTBEAT, self._heard, qos.HEARTBEAT)

    def _heard(self, message: Heartbeat) -> None:
        sender = Alive(message.node, message.host, message.pid)
        if message.last:
            self.last.pop(sender, None)
        else:
            self.last[sender] = time.monotonic()

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

    Args:
        silence: s after which a node counts as dead.
    """

    def __init__(self, node: Node, silence: float = PATIENCE) -> None:
        self._silence = silence
        self._own = Alive(node.get_fully_qualified_name(), *HERE)
        self._space = node.get_namespace().rstrip("/") + "/"
        self.ear = Ear.of(node)

    def close(self) -> None:
        """Stop listening."""
        self.ear.release()

    def now(self) -> float:
        """s on the monotonic clock, until when this process has heard anything at all."""
        return self.ear.last.get(self._own, time.monotonic())

    def _others(self) -> dict[Alive, float]:
        """Nodes of the namespace in other processes."""
        return {sender: last for sender, last in self.ear.last.copy().items()
                if not sender.is_here() and sender.node.startswith(self._space)}

    def alive(self) -> frozenset[Alive]:
        """Nodes of other processes that have been heard lately."""
        now = self.now()
        return frozenset(sender for sender, last in self._others().items() if now - last < self._silence)

    def gone(self) -> str:
        """Which node of another process was heard once, and has fallen silent without a goodbye, in words; "" for none."""
        again = {sender.node for sender in self.alive()}  # started anew, as another process
        return self.lost([sender for sender in self._others() if sender.node not in again])

    def lost(self, watched: Collection[Alive]) -> str:
        """Which of the watched nodes has fallen silent, in words; "" while all are heard."""
        now, last = self.now(), self.ear.last.copy()
        for sender in sorted(watched):
            silent = now - last.get(sender, now - self._silence)
            if silent >= self._silence:
                return f"{sender.node} has not been heard of for {silent:.1f} s; is its process running?"
        return ""

    def watching(self) -> Callable[[], str]:
        """`lost` of those that are alive now."""
        watched = self.alive()
        return lambda: self.lost(watched)
