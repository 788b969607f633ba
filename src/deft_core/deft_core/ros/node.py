"""Plumbing that every node needs: described parameters, blocking calls from worker threads, main()."""

from __future__ import annotations

import gc
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import rclpy
from pydantic.fields import FieldInfo
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.action import ActionClient, ActionServer
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from deft_core.config import C, Config, default_config_dir, find, load, nearest, parse
from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.errors import ConfigError, DeftError
from deft_core.ros.executor import PoolExecutor, spun
from deft_core.ros.heartbeat import Heart, TwinWatch
from deft_core.ros.leaving import on_one_cpu

# Given to all nodes at once (`/**` in a parameter file), whether they read them or not.
SHARED_PARAMETERS = frozenset({"robot", "hand", "config_dir", "use_sim_time"})


class DeftNode(Node):
    """A node of DEFT: it sends heartbeats from when its executor turns, and it answers, until it is destroyed."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._heartbeat = Heart(self)
        self._turning = self.create_timer(0.0, self._begin, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _begin(self) -> None:
        self._turning.cancel()
        self._heartbeat.start()
        self.begin()

    def begin(self) -> None:
        """What is said unasked begins here, not in the constructor: only now it is known that no other node of this name
        runs, whose listeners would take our words for its own."""

    def interrupt(self) -> None:
        """End what is under way, as far as it takes only a few seconds: the process is about to end."""

    def destroy_node(self) -> None:
        """Fall silent, then give everything back."""
        self._heartbeat.stop()
        with on_one_cpu():
            for waitable in list(self.waitables):  # an action server keeps its node alive until it is destroyed itself
                if isinstance(waitable, ActionServer | ActionClient):
                    waitable.destroy()
            super().destroy_node()


def declare(node: Node, name: str, default: Any, description: str, read_only: bool = True, low: float | None = None,
            high: float | None = None) -> Any:
    """Declare a parameter with its description and return its value.

    Args:
        low, high: of a number, both included; None = no bound. `ros2 param describe` shows them.

    Raises:
        ConfigError: what was given has another type, or is out of range.
    """
    descriptor = ParameterDescriptor(description=description, read_only=read_only)
    if low is not None or high is not None:
        if isinstance(default, int):
            descriptor.integer_range = [IntegerRange(from_value=-2**63 if low is None else int(low),
                                                     to_value=2**63 - 1 if high is None else int(high))]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=-math.inf if low is None else float(low),
                                                                  to_value=math.inf if high is None else float(high))]
    try:
        return node.declare_parameter(name, default, descriptor).value
    except InvalidParameterTypeException as error:
        raise ConfigError(f"{node.get_name()}: parameter '{name}' has the wrong type ({description}): {error}") from None
    except InvalidParameterValueException:
        given = node._parameter_overrides[name].value
        raise ConfigError(f"{node.get_name()}: parameter '{name}' is {given}, allowed is {_span(low, high)} ({description})"
                          ) from None


def _span(low: float | None, high: float | None) -> str:
    return f"{low:g} or more" if high is None else f"{high:g} or less" if low is None else f"{low:g} to {high:g}"


def _bounds(field: FieldInfo) -> tuple[float | None, float | None]:
    """What a field of a configuration says of its numbers; a bound that is itself excluded is refused by `parse`."""
    def first(*keys: str) -> float | None:
        return next((float(getattr(m, key)) for m in field.metadata for key in keys if hasattr(m, key)), None)

    return first("ge", "gt"), first("le", "lt")


def declare_fields(node: Node, model: type[C], prefix: str = "") -> C:
    """Declare a parameter for each field of a configuration with defaults; its values. Raises ConfigError.

    Fields that are configurations themselves become parameters below their name: search.deft.warmup.
    """
    defaults = model()
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        default = getattr(defaults, name)
        if isinstance(default, Config):
            values[name] = declare_fields(node, type(default), f"{prefix}{name}.")
            continue
        low, high = _bounds(field) if isinstance(default, int | float) and not isinstance(default, bool) else (None, None)
        value = declare(node, prefix + name, list(default) if isinstance(default, tuple) else default, field.description or "",
                        low=low, high=high)
        values[name] = tuple(value) if isinstance(default, tuple) else value
    return parse(model, values, f"parameters of {node.get_name()} ({prefix}*)")


def declare_config_dir(node: Node) -> Path:
    """The folder that holds tasks/, hands/ and robots/, from the parameter `config_dir`."""
    value = declare(node, "config_dir", "", "folder with tasks/, hands/ and robots/; empty: deft_bringup's")
    return Path(value) if value else default_config_dir()


def declare_robot(node: Node, config_dir: Path) -> RobotConfig:
    """The robot that the parameter `robot` names. Raises ConfigError."""
    name = declare(node, "robot", "xarm7_sim", "name of a file in robots/, without .yaml")
    return load(RobotConfig, find(config_dir, "robots", name))


def declare_hand(node: Node, config_dir: Path) -> HandConfig:
    """The hand that the parameter `hand` names. Raises ConfigError."""
    name = declare(node, "hand", "allegro_right", "name of a file in hands/, without .yaml")
    return load(HandConfig, find(config_dir, "hands", name))


class CallTimeout(Exception):
    """A service did not answer in time; the message names it."""


def call(client: Client, request: Any, timeout: float, cancelled: Callable[[], bool] = lambda: False) -> Any:
    """Call a service from a worker thread and wait for the answer.

    Args:
        timeout: seconds for the server to appear and answer.
        cancelled: polled while waiting; true ends the wait.

    Raises:
        CallTimeout: no server, no answer, or cancelled.
    """
    _found(client.wait_for_service, timeout, cancelled, f"service {client.srv_name}")
    future = client.call_async(request)
    wait(future, timeout, cancelled, f"service {client.srv_name}")
    return future.result()


def wait_for_server(client: ActionClient, timeout: float, cancelled: Callable[[], bool] = lambda: False) -> None:
    """Wait until an action's server is known. Raises CallTimeout."""
    _found(client.wait_for_server, timeout, cancelled, f"action {client._action_name}")


def _found(ready: Callable[..., bool], timeout: float, cancelled: Callable[[], bool], what: str) -> None:
    """Without this an answer can be lost: the server may know our request before it knows where to reply."""
    waited = 0.0
    while not ready(timeout_sec=0.25):
        waited += 0.25
        if cancelled():
            raise CallTimeout(f"{what}: cancelled while waiting")
        if waited > timeout:
            raise CallTimeout(f"{what} was not found within {timeout:.0f} s; is its node running? (`ros2 node list`)")


def wait(future: Any, timeout: float, cancelled: Callable[[], bool], what: str) -> None:
    """Block the calling worker thread until an rclpy future is done. Raises CallTimeout."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    waited = 0.0
    while not done.wait(0.05):
        waited += 0.05
        if cancelled():
            raise CallTimeout(f"{what}: cancelled while waiting")
        if waited > timeout:
            raise CallTimeout(f"{what} gave no answer within {timeout:.0f} s; is its node running? "
                              "(`ros2 node list`)")


@contextmanager
def answering(node: Node, response: Any, code: int) -> Iterator[None]:
    """Turn failures of a service into its `error_code` and `error_msg`.

    Anything but a DeftError gets `code` and is logged: an exception that left the callback would end
    the node's executor, and the node would never answer again.
    """
    try:
        yield
    except DeftError as error:
        response.error_code, response.error_msg = error.code, error.message
    except Exception as error:
        node.get_logger().error(f"unexpected failure: {error!r}")
        response.error_code, response.error_msg = code, f"unexpected failure: {error!r}"


def refuse_unknown_parameters(node: Node) -> None:
    """Call after declaring: a parameter that was given but is not declared is a typo. Raises ConfigError."""
    declared = set(node._parameters)
    for name in set(node._parameter_overrides) - declared - SHARED_PARAMETERS:
        if not name.startswith("qos_overrides."):
            raise ConfigError(f"{node.get_name()}: unknown parameter '{name}': {nearest(name, declared)}")


EXIT_INTERRUPTED_TWICE = 130
NEW_SECONDS = 10.0  # a node that hears another of its name as long after its start leaves


def run_node(*make: Callable[[], DeftNode | None], threads: int = 4) -> NoReturn:
    """main() of a node executable: make the nodes (None: this one is not wanted), spin until SIGINT or SIGTERM, then tear down.

    Exit status 0 then, 1 with a sentence where a configuration is wrong. A second signal leaves at once, with 130.
    """
    status = 1
    try:
        _run(make, threads)
        status = 0
    except ConfigError as error:
        print(error, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    with on_one_cpu():
        gc.collect()  # what refers to a node in a circle keeps the DDS participant, and its shared memory
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything was given back. What is left are the destructors of the libraries in this process, which do not know each
    # other: one process in a hundred was aborted by them after its work was done.
    os._exit(status)


def _run(make: Sequence[Callable[[], DeftNode | None]], threads: int) -> None:
    """Make the nodes, spin until SIGINT or SIGTERM, tear down. Raises ConfigError."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # ours, so that what is under way can end while ROS still works
    stop = threading.Event()

    def on_signal(*_: object) -> None:
        if stop.is_set():
            os._exit(EXIT_INTERRUPTED_TWICE)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    nodes: list[DeftNode] = []
    twins: TwinWatch | None = None
    executor = PoolExecutor(threads)
    try:
        for one in make:
            if (node := one()) is not None:
                nodes.append(node)
        twins = TwinWatch(nodes) if nodes else None
        if twins is not None:
            twins.listen(stop)  # before anything is said, answered or commanded
            twins.refuse()
        for node in nodes:
            executor.add_node(node)
        thread = spun(executor, "executor")
        new_until = time.monotonic() + NEW_SECONDS
        while not stop.wait(0.5):
            if not thread.is_alive():
                raise RuntimeError("the executor has ended by itself; its error stands above")
            if twins is not None:
                twins.refuse()
                if time.monotonic() > new_until:
                    twins.close()
                    twins = None
        for node in reversed(nodes):
            node.interrupt()
        executor.shutdown(timeout_sec=2)
        thread.join(timeout=2)
    finally:
        if twins is not None:
            twins.close()
        for node in reversed(nodes):
            node.destroy_node()
        rclpy.try_shutdown()
