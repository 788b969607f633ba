"""The panel as an rqt plugin: `rqt --standalone deft_operator`."""

from __future__ import annotations

from typing import Any

from rqt_gui_py.plugin import Plugin

from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import RobotConfig
from deft_operator.graph_link import GraphLink
from deft_operator.panel.widget import OperatorPanel

DEFAULT_ROBOT = "xarm7_sim"


class Operator(Plugin):
    """rqt owns and spins the node; the panel only adds to it. `--args ROBOT` names a file in config/robots."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.setObjectName("DeftOperator")
        robot = next(iter(context.argv()), DEFAULT_ROBOT)
        camera = load(RobotConfig, find(default_config_dir(), "robots", robot)).camera
        self._panel = OperatorPanel(GraphLink(context.node, camera))
        if context.serial_number() > 1:
            self._panel.setWindowTitle(f"{self._panel.windowTitle()} ({context.serial_number()})")
        context.add_widget(self._panel)

    def shutdown_plugin(self) -> None:
        """Give subscriptions and clients back to rqt's node."""
        self._panel.shut()

    def save_settings(self, plugin_settings: Any, instance_settings: Any) -> None:
        """Nothing to keep: what the panel shows is the graph's."""

    def restore_settings(self, plugin_settings: Any, instance_settings: Any) -> None:
        """See save_settings."""
