"""The panel where rqt loads it: its description, its class path, and a node that it neither makes nor spins."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

# rqt's interfaces as its sources have them (Plugin, and the context that it is given); no rqt is on PyPI.
SCRIPT = """
import sys, types
import rclpy
from PyQt5 import QtCore, QtWidgets

application = QtWidgets.QApplication(["rqt"])
rqt_gui_py, plugin = types.ModuleType("rqt_gui_py"), types.ModuleType("rqt_gui_py.plugin")

class Plugin(QtCore.QObject):
    def __init__(self, context):
        super().__init__()

plugin.Plugin = Plugin
sys.modules.update({"rqt_gui_py": rqt_gui_py, "rqt_gui_py.plugin": plugin})

class Context:
    def __init__(self, node, number):
        self.node, self._number, self.widgets = node, number, []
    def argv(self): return []
    def serial_number(self): return self._number
    def add_widget(self, widget): self.widgets.append(widget)

import importlib
module, name = sys.argv[1].rsplit(".", 1)
made = getattr(importlib.import_module(module), name)
rclpy.init()
node = rclpy.create_node("rqt_gui_py_node_1")
before = len(list(node.subscriptions)), len(list(node.clients))
contexts = [Context(node, 1), Context(node, 2)]
plugins = [made(context) for context in contexts]
titles = [context.widgets[0].windowTitle() for context in contexts]
assert titles == ["DEFT operator", "DEFT operator (2)"], titles
assert len(list(node.subscriptions)) > before[0] and len(list(node.clients)) > before[1]
for one in plugins:
    one.save_settings(None, None)
    one.restore_settings(None, None)
    one.shutdown_plugin()
assert (len(list(node.subscriptions)), len(list(node.clients))) == before, "everything is given back"
rclpy.shutdown()
print("loaded")
"""


def test_rqt_finds_and_loads_the_plugin():
    share = Path(get_package_share_directory("deft_operator"))
    package = xml.parse(share / "package.xml").getroot()
    export = package.find("export/rqt_gui")
    assert export is not None and export.get("plugin") == "${prefix}/plugin.xml"
    library = xml.parse(share / "plugin.xml").getroot()
    described = library.find("class")
    assert described.get("base_class_type") == "rqt_gui_py::Plugin" and described.find("qtgui/label").text
    result = subprocess.run([sys.executable, "-c", SCRIPT, described.get("type")], capture_output=True, text=True, check=False,
                            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, timeout=60)
    assert "loaded" in result.stdout, result.stderr[-2000:]
