"""A ROS client for one command: started before it, gone after it, its failures said in one sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from deft_bringup.exits import EXIT_FAILED, fail

_namespace = ""


def use_namespace(namespace: str) -> None:
    """Where the graph is that the commands of this process speak to; "" = the root."""
    global _namespace
    _namespace = namespace


def namespace() -> str:
    """See use_namespace."""
    return _namespace


def namespace_arguments() -> list[str]:
    """For rclpy.init."""
    return ["--ros-args", "-r", f"__ns:={_namespace}"] if _namespace else []


@contextlib.contextmanager
def ros() -> Iterator[None]:
    """rclpy, with the command's own handling of signals."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=namespace_arguments(), signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextlib.contextmanager
def operator_client() -> Iterator[Any]:
    """The client of the fine-tuning server, inside `ros`."""
    from deft_core.ros.node import CallTimeout
    from deft_operator.client import GoalRejected, OperatorClient

    client = OperatorClient()
    try:
        yield client
    except (CallTimeout, GoalRejected) as error:
        fail(str(error), EXIT_FAILED)
    finally:
        client.close()
