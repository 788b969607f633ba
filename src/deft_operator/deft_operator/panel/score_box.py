"""Where the operator answers: a score, a comparison, or that the scene is ready."""

from __future__ import annotations

from collections.abc import Callable

from deft_operator.graph_link import GraphLink, Told
from deft_operator.panel.qt import QtCore, QtGui, QtWidgets
from deft_operator.view import Kind, RequestView, reward_of_key, stepped

STEPS = 20  # of the slider: 0.05 each
NOTHING = "Nothing is asked of you now."
HELP = ("Keys: 0 to 9 and X score 0.0 to 0.9 and 1.0, arrows move by 0.05, Y / N success or not, B / E / W better, equal, "
        "worse; Enter confirms, V void.")


class ScoreBox(QtWidgets.QGroupBox):
    """Shows one request and sends its answer.

    Args:
        link: where answers go.
        told: hears of every reply, in any thread.
    """

    def __init__(self, link: GraphLink, told: Told) -> None:
        super().__init__("Your answer")
        self._link, self._told = link, told
        self._request: RequestView | None = None
        self._touched = False  # a score was set or suggested
        self.question = QtWidgets.QLabel(NOTHING)
        self.question.setWordWrap(True)
        self.question.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self.question.setStyleSheet("font-size: 15px; font-weight: bold;")
        self.slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setTickPosition(QtWidgets.QSlider.TickPosition.TicksBelow)
        self.slider.setTickInterval(2)
        self.slider.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)  # keys go to the panel
        self.value = QtWidgets.QLabel("")
        self.value.setStyleSheet("font-size: 22px;")
        self.slider.valueChanged.connect(lambda _: self._show_value())
        self.success = self._choice(("success", "no success", "not said"))
        self.comparison = self._choice(("better", "equal", "worse"))
        self.note = QtWidgets.QLineEdit()
        self.note.setPlaceholderText("remark for the record")
        self.note.setMaxLength(500)
        self.note.returnPressed.connect(self.setFocus)
        self.submit_button = self._button("Submit  (Enter)", self.submit)
        self.void_button = self._button("Void  (V)", self.void)
        self.void_button.setToolTip("Not executed properly, or cannot be judged: nothing is learned from it, it is tried again")
        self._lay_out()
        self.show_request(None)

    def _lay_out(self) -> None:
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(self.question)
        self.score_row = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout(self.score_row)
        row.addWidget(self.slider, 1)
        row.addWidget(self.value)
        layout.addWidget(self.score_row)
        layout.addWidget(self.comparison)
        layout.addWidget(self.success)
        layout.addWidget(self.note)
        buttons = QtWidgets.QHBoxLayout()
        buttons.addWidget(self.submit_button, 2)
        buttons.addWidget(self.void_button, 1)
        layout.addLayout(buttons)
        hint = QtWidgets.QLabel(HELP)
        hint.setWordWrap(True)
        hint.setStyleSheet("color: grey; font-size: 10px;")
        layout.addWidget(hint)

    @staticmethod
    def _choice(options: tuple[str, ...]) -> QtWidgets.QWidget:
        """One of several, none at first."""
        row = QtWidgets.QWidget()
        layout = QtWidgets.QHBoxLayout(row)
        row.group = QtWidgets.QButtonGroup(row)
        for option in options:
            button = QtWidgets.QRadioButton(option)
            button.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
            button.setObjectName(option)
            row.group.addButton(button)
            layout.addWidget(button)
        return row

    @staticmethod
    def _button(text: str, act: Callable[[], None]) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(text)
        button.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda: act())
        return button

    # -- shown -----------------------------------------------------------------------------------------

    def show_request(self, request: RequestView | None) -> None:
        """Another request begins afresh; the same one keeps what the operator has set."""
        same = request is not None and self._request is not None and _identity(request) == _identity(self._request)
        self._request = request
        if same:
            return
        kind = request.kind if request else None
        self.question.setText(request.words() if request else NOTHING)
        self.score_row.setVisible(kind is Kind.reward)
        self.comparison.setVisible(kind is Kind.compare)
        self.success.setVisible(kind in (Kind.reward, Kind.compare))
        self.void_button.setVisible(kind in (Kind.reward, Kind.compare))
        self.submit_button.setText("The scene is ready  (Enter)" if kind is Kind.reset else "Submit  (Enter)")
        suggested = request.suggested if request else None
        self.slider.setValue(round(STEPS * (0.5 if suggested is None else suggested)))
        self._touched = suggested is not None
        self._show_value()
        self._choose(self.success, "not said")
        self._choose(self.comparison, None)
        self.note.clear()
        self.setEnabled(request is not None)

    def _show_value(self) -> None:
        if self.slider.isSliderDown() or self.slider.value() != STEPS // 2:
            self._touched = True
        self.value.setText(f"{self.reward():.2f}" if self._touched else "-")

    def reward(self) -> float:
        """What the slider says, 0..1."""
        return self.slider.value() / STEPS

    @staticmethod
    def _choose(row: QtWidgets.QWidget, option: str | None) -> None:
        row.group.setExclusive(False)
        for button in row.group.buttons():
            button.setChecked(button.objectName() == option)
        row.group.setExclusive(True)

    @staticmethod
    def _chosen(row: QtWidgets.QWidget) -> str:
        button = row.group.checkedButton()
        return button.objectName() if button else ""

    # -- said ------------------------------------------------------------------------------------------

    def key(self, text: str) -> None:
        """A key that sets something: a digit or X, Y, N, B, E, W, + and - for steps of the slider."""
        if self._request is None:
            return
        if self._request.kind is Kind.compare and text in "bew":
            self._choose(self.comparison, {"b": "better", "e": "equal", "w": "worse"}[text])
        elif text in "yn":
            self._choose(self.success, {"y": "success", "n": "no success"}[text])
        elif self._request.kind is Kind.reward:
            steps = {"+": 1, "-": -1}.get(text)
            reward = stepped(self.reward(), steps) if steps else reward_of_key(text)
            if reward is not None:
                self._touched = True
                self.slider.setValue(round(STEPS * reward))

    def submit(self) -> None:
        """Send what is set."""
        request = self._request
        if request is None or not self.isEnabled():
            return
        success = {"success": True, "no success": False}.get(self._chosen(self.success))
        if request.kind is Kind.reset:
            self._link.void(request, self.note.text(), self._told)
        elif request.kind is Kind.compare:
            chosen = self._chosen(self.comparison)
            if not chosen:
                self.question.setText(f"{request.words()}\nChoose better (B), equal (E) or worse (W) first.")
                return
            self._link.compare(request, chosen, success, self.note.text(), self._told)
        elif not self._touched:  # a score that nobody has set must not count
            self.question.setText(f"{request.words()}\nSet a score first: a key from 0 to 9 or X, or the slider.")
        else:
            self._link.score(request, self.reward(), success, self.note.text(), self._told)

    def void(self) -> None:
        """Say that nothing can be said of the grasp."""
        if self._request is not None and self._request.kind is not Kind.reset and self.isEnabled():
            self._link.void(self._request, self.note.text(), self._told)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        """Left to the panel's shortcuts."""
        event.ignore()


def _identity(request: RequestView) -> tuple[object, ...]:
    return (request.kind, request.session, request.episode, request.attempt, request.question, request.reason)
