"""Qt as rqt binds it, else PyQt5 itself. Everything of the panel imports Qt from here."""

from __future__ import annotations

try:
    from python_qt_binding import QtCore, QtGui, QtWidgets
except ImportError:  # no rqt on this machine
    from PyQt5 import QtCore, QtGui, QtWidgets

__all__ = ["QtCore", "QtGui", "QtWidgets"]
