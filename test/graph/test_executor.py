"""The executor outlives a client that another thread destroys while it looks at all of a node's entities."""

from __future__ import annotations

import os
import threading

import pytest
import rclpy
from graph_support import domain
from rclpy._rclpy_pybind11 import InvalidHandle, RCLError
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from deft_core.ros.executor import PoolExecutor

pytestmark = pytest.mark.graph


@pytest.mark.parametrize("error", [InvalidHandle("destruction was requested"), RCLError("action client is invalid")])
def test_an_answer_for_something_that_was_destroyed_does_not_end_it(monkeypatch, error):
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(23), "LOCALHOST"
    rclpy.init()
    node, executor, ticked, met = Node("busy"), PoolExecutor(2), threading.Event(), threading.Event()
    doomed = node.create_timer(0.02, lambda: None, callback_group=ReentrantCallbackGroup())
    real = executor._take_timer

    def taken(timer):
        if timer is doomed:
            met.set()
            raise error
        return real(timer)

    monkeypatch.setattr(executor, "_take_timer", taken)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        assert met.wait(10)
        node.create_timer(0.01, ticked.set, callback_group=ReentrantCallbackGroup())
        assert ticked.wait(10) and thread.is_alive()
    finally:
        executor.shutdown(timeout_sec=2)
        thread.join(timeout=2)
        node.destroy_node()
        rclpy.try_shutdown()


def test_something_that_was_destroyed_meanwhile_does_not_end_it(monkeypatch):
    os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = domain(23), "LOCALHOST"
    rclpy.init()
    node, executor, ticked = Node("busy"), PoolExecutor(2), threading.Event()
    failures, real = [3], executor.wait_for_ready_callbacks

    def failing(*args, **kwargs):
        if failures[0]:
            failures[0] -= 1
            raise RCLError("action client pointer is invalid")
        return real(*args, **kwargs)

    monkeypatch.setattr(executor, "wait_for_ready_callbacks", failing)
    executor.add_node(node)
    node.create_timer(0.01, ticked.set)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        assert ticked.wait(10) and thread.is_alive() and not failures[0]
    finally:
        executor.shutdown(timeout_sec=2)
        thread.join(timeout=2)
        node.destroy_node()
        rclpy.try_shutdown()
