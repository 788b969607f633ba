"""The session's episodes, the newest on top, and amendments of their rewards."""

from __future__ import annotations

from collections.abc import Callable

from deft_operator.panel.qt import QtCore, QtGui, QtWidgets
from deft_operator.view import EpisodeRow, SessionView

COLUMNS = ("episode", "status", "reward", "success", "elite")
ELITE = "#ffe0b0"


class EpisodeTable(QtWidgets.QWidget):
    """Select an episode and amend it.

    Args:
        amend: called with the episode (0-based), its new reward (None: void) and a remark.
    """

    def __init__(self, amend: Callable[[int, float | None, str], None]) -> None:
        super().__init__()
        self._amend, self._rows = amend, ()
        self.table = QtWidgets.QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.table.verticalHeader().setVisible(False)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.itemDoubleClicked.connect(lambda _: self._ask())
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        buttons = QtWidgets.QHBoxLayout()
        for text, act in (("Amend reward...", self._ask), ("Make void", self._void)):
            button = QtWidgets.QPushButton(text)
            button.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _, act=act: act())
            buttons.addWidget(button)
        layout.addLayout(buttons)

    def show_session(self, session: SessionView | None) -> None:
        """The finished episodes of a session."""
        rows = session.rows if session else ()
        if rows == self._rows:
            return
        self._rows = rows
        self.table.setRowCount(len(rows))
        for line, row in enumerate(reversed(rows)):
            for column, text in enumerate(_texts(row)):
                item = QtWidgets.QTableWidgetItem(text)
                if row.elite:
                    item.setBackground(QtGui.QColor(ELITE))
                self.table.setItem(line, column, item)

    def _selected(self) -> EpisodeRow | None:
        line = self.table.currentRow()
        return self._rows[len(self._rows) - 1 - line] if 0 <= line < len(self._rows) else None

    def _ask(self) -> None:
        row = self._selected()
        if row is None:
            return
        reward, ok = QtWidgets.QInputDialog.getDouble(self, "Amend", f"New reward of episode {row.episode + 1}, 0 to 1",
                                                      row.reward or 0.0, 0.0, 1.0, 2)
        if ok:
            self._amend(row.episode, reward, "amended in the panel")

    def _void(self) -> None:
        row = self._selected()
        if row is not None:
            self._amend(row.episode, None, "made void in the panel")


def _texts(row: EpisodeRow) -> tuple[str, ...]:
    return (str(row.episode + 1), row.status, "" if row.reward is None else f"{row.reward:.2f}",
            {True: "yes", False: "no", None: ""}[row.success], "elite" if row.elite else "")
