"""A picture that fills the room it has."""

from __future__ import annotations

from deft_operator.panel.qt import QtCore, QtGui, QtWidgets


class PictureView(QtWidgets.QLabel):
    """Shows a JPEG or PNG, scaled to the widget with its own proportions; words where there is none."""

    def __init__(self, empty: str, smallest: tuple[int, int] = (200, 150)) -> None:
        super().__init__(empty)
        self._empty, self._data, self._whole = empty, b"", QtGui.QPixmap()
        self._smallest = QtCore.QSize(*smallest)
        self.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.setMinimumSize(*smallest)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Expanding)
        self.setStyleSheet("background: #202020; color: #b0b0b0;")

    @property
    def shown(self) -> bytes:
        """What is shown, as it was given."""
        return self._data

    def show_data(self, data: bytes) -> None:
        """Show an encoded picture; b"" for none."""
        if data == self._data:
            return
        self._data = data
        self._whole = QtGui.QPixmap()
        if not data or not self._whole.loadFromData(data):
            self._whole = QtGui.QPixmap()
            self.setText(self._empty)
            return
        self._fit()

    def sizeHint(self) -> QtCore.QSize:
        """Qt's: the room it has follows from the layout, never from the picture."""
        return self._smallest

    def minimumSizeHint(self) -> QtCore.QSize:
        """See sizeHint."""
        return self._smallest

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        """Qt's."""
        super().resizeEvent(event)
        if not self._whole.isNull():
            self._fit()

    def _fit(self) -> None:
        self.setPixmap(self._whole.scaled(self.size(), QtCore.Qt.AspectRatioMode.KeepAspectRatio,
                                          QtCore.Qt.TransformationMode.SmoothTransformation))
