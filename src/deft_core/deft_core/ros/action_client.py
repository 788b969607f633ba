"""rclpy's ActionClient, whose answers cannot overtake the note of who waits for them."""

from __future__ import annotations

import threading
from typing import Any

from rclpy import action


class ActionClient(action.ActionClient):
    """Arguments as rclpy's.

    rclpy 7.1 sends a request and then notes who waits for its answer. Where another thread spins the node, an answer that comes
    in between is dropped ("unexpected goal response"), and the goal runs without anybody who knows of it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._noting = threading.RLock()
        super().__init__(*args, **kwargs)

    def send_goal_async(self, *args: Any, **kwargs: Any) -> Any:
        """As rclpy's."""
        with self._noting:
            return super().send_goal_async(*args, **kwargs)

    def _get_result_async(self, *args: Any) -> Any:
        with self._noting:
            return super()._get_result_async(*args)

    def _cancel_goal_async(self, *args: Any) -> Any:
        with self._noting:
            return super()._cancel_goal_async(*args)

    def take_data(self) -> Any:
        """As rclpy's, for executors."""
        with self._noting:
            return super().take_data()
