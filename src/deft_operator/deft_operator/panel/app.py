"""`deft panel`: the panel in a window of its own."""

from __future__ import annotations

import signal

from deft_core.descriptions import CameraConfig
from deft_core.ros.spun_node import SpunNode
from deft_operator.graph_link import GraphLink
from deft_operator.panel.qt import QtCore, QtWidgets
from deft_operator.panel.widget import OperatorPanel

SIZE = (1360, 860)  # pixels


def show(camera: CameraConfig) -> int:
    """Open the window and stay until it is closed; Qt's exit status. rclpy must be initialised."""
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["deft panel"])
    with SpunNode("deft_panel") as node:
        panel = OperatorPanel(GraphLink(node, camera))
        panel.resize(*SIZE)
        panel.show()
        signal.signal(signal.SIGINT, lambda *_: application.quit())
        awake = QtCore.QTimer()  # lets Python see the signal
        awake.timeout.connect(lambda: None)
        awake.start(200)
        status = application.exec_()
        panel.shut()
    return int(status)
