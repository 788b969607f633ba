"""The real panel in a process of its own, worked by commands on standard input, one JSON answer a command.

    state             what the panel shows
    key NAME          press a key (Return, 7, P, ...)
    click NAME        press the button whose text begins with NAME
    grab FILE         write a picture of the window
    quit
"""

from __future__ import annotations

import json
import sys

import rclpy
from PyQt5 import QtCore, QtWidgets
from PyQt5.QtTest import QTest
from rclpy.signals import SignalHandlerOptions

from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import RobotConfig
from deft_core.ros.spun_node import SpunNode
from deft_operator.graph_link import GraphLink
from deft_operator.panel.widget import OperatorPanel


class Driver(QtCore.QObject):
    """Carries out a command whenever a line arrives."""

    def __init__(self, panel: OperatorPanel) -> None:
        super().__init__()
        self._panel = panel
        self._lines = QtCore.QSocketNotifier(sys.stdin.fileno(), QtCore.QSocketNotifier.Read, self)
        self._lines.activated.connect(self._read)

    def _read(self) -> None:
        line = sys.stdin.readline().split()
        if not line or line[0] == "quit":
            QtWidgets.QApplication.instance().quit()
            return
        print(json.dumps(getattr(self, f"_{line[0]}")(*line[1:])), flush=True)

    def _state(self) -> dict:
        panel = self._panel
        rows = panel.episodes.table
        return {"status": panel.status.text(), "question": panel.score_box.question.text(), "asks": panel.score_box.isEnabled(),
                "slider": panel.score_box.reward(), "reply": panel.reply.text(), "approves": panel.approval_buttons.isVisible(),
                "proposal": panel.proposal_words.text(),
                "rows": [[rows.item(i, j).text() for j in range(rows.columnCount())] for i in range(rows.rowCount())],
                "pictures": [n for n, p in {**panel.pictures, **panel.plots}.items() if p.shown]}

    def _key(self, name: str) -> bool:
        key = getattr(QtCore.Qt, f"Key_{name}")
        QTest.keyClick(self._panel, key)
        return True

    def _click(self, *words: str) -> bool:
        text = " ".join(words)
        for button in self._panel.findChildren(QtWidgets.QPushButton):
            if button.text().startswith(text) and button.isVisible():
                QTest.mouseClick(button, QtCore.Qt.LeftButton)
                return True
        return False

    def _grab(self, file: str) -> bool:
        self._panel.refresh()
        return bool(self._panel.grab().save(file))


def main() -> None:
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    application = QtWidgets.QApplication(["panel"])
    camera = load(RobotConfig, find(default_config_dir(), "robots", "xarm7_sim")).camera
    with SpunNode("deft_panel") as node:
        panel = OperatorPanel(GraphLink(node, camera))
        panel.resize(1360, 900)
        panel.show()
        panel.activateWindow()
        panel.setFocus()
        QTest.qWaitForWindowExposed(panel)
        driver = Driver(panel)
        print(json.dumps("ready"), flush=True)
        application.exec_()
        del driver
        panel.shut()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
