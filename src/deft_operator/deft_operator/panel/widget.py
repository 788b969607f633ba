"""The panel: live camera, planned grasp, pictures before and after, the answer, episodes, curve, controls."""

from __future__ import annotations

import math

from deft_operator.graph_link import GraphLink, Reply
from deft_operator.panel.episode_table import EpisodeTable
from deft_operator.panel.picture import PictureView
from deft_operator.panel.qt import QtCore, QtGui, QtWidgets
from deft_operator.panel.score_box import ScoreBox
from deft_operator.view import PanelView, ProposalView, SessionView, clock
from deft_operator.view_plots import PlotCache

REFRESH_MS = 100
OLD_PICTURE_SECONDS = 2.0
CONTROLS = (("Pause  (P)", "pause"), ("Go on  (G)", "go_on"), ("Skip  (S)", "skip"), ("Repeat last", "repeat"),
            ("Finish and fit", "finish"))
SURE = {"repeat": "Make the last episode void and execute it again?",
        "finish": "End the session now and fit to what is scored?"}


class OperatorPanel(QtWidgets.QWidget):
    """Shows what a link hears. Give it the keyboard, and close it with `shut`.

    Args:
        link: of this panel alone; it is closed with the panel.
    """

    _told = QtCore.pyqtSignal(object) if hasattr(QtCore, "pyqtSignal") else QtCore.Signal(object)

    def __init__(self, link: GraphLink) -> None:
        super().__init__()
        self.setObjectName("DeftOperator")
        self.setWindowTitle("DEFT operator")
        self._link, self._plots, self._version = link, PlotCache(), -1
        self.status, self.reply = QtWidgets.QLabel("looking for the graph"), QtWidgets.QLabel("")
        for label in (self.status, self.reply):
            label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
            label.setWordWrap(True)  # a long sentence must not widen the window
        self.pictures = {"camera": PictureView("no camera", (320, 240)), "proposal": PictureView("no grasp is planned"),
                         "affordance": PictureView("nothing predicted yet"), "before": PictureView("before"),
                         "end": PictureView("at its end"), "after": PictureView("after"),
                         "other": PictureView("the earlier one")}
        self.score_box = ScoreBox(link, self._told.emit)
        self.episodes = EpisodeTable(self._amend)
        self.plots = {name: PictureView(f"no {name} yet") for name in ("curve", "residuals")}
        self.approval = self._approval_row()
        self._told.connect(self._show_reply)
        self._lay_out()
        self._make_shortcuts()
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(REFRESH_MS)

    def shut(self) -> None:
        """Stop listening."""
        self._timer.stop()
        self._link.close()

    # -- layout ----------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        whole = QtWidgets.QVBoxLayout(self)
        bar = QtWidgets.QHBoxLayout()
        self.status.setStyleSheet("font-size: 15px; padding: 4px;")
        bar.addWidget(self.status, 1)
        self.stop_button = self._button("STOP  (Esc)", self._stop)
        self.stop_button.setStyleSheet("background: #c02020; color: white; font-weight: bold; font-size: 18px; padding: 8px;")
        bar.addWidget(self.stop_button)
        bar.addWidget(self._button("Rearm", lambda: self._link.rearm(self._told.emit)))
        whole.addLayout(bar)
        columns = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
        columns.addWidget(self._column([self._tabs({"Planned grasp": "proposal", "Affordance": "affordance"}),
                                        self.approval, self.pictures["camera"]]))
        columns.addWidget(self._column([self._row([self.pictures[n] for n in ("before", "end", "after", "other")]),
                                        self.score_box, self._controls()]))
        plots = QtWidgets.QTabWidget()
        for name, picture in self.plots.items():
            plots.addTab(picture, {"curve": "Learning curve", "residuals": "Residual by dimension"}[name])
        plots.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        columns.addWidget(self._column([plots, self.episodes]))
        columns.setSizes([400, 480, 400])
        whole.addWidget(columns, 1)
        whole.addWidget(self.reply)

    @staticmethod
    def _column(widgets: list[QtWidgets.QWidget]) -> QtWidgets.QWidget:
        column = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(column)
        for widget in widgets:
            layout.addWidget(widget)
        return column

    @staticmethod
    def _row(widgets: list[QtWidgets.QWidget]) -> QtWidgets.QWidget:
        row = QtWidgets.QWidget()
        layout = QtWidgets.QGridLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        for k, widget in enumerate(widgets):
            layout.addWidget(widget, k // 2, k % 2)
        return row

    def _tabs(self, names: dict[str, str]) -> QtWidgets.QWidget:
        tabs = QtWidgets.QTabWidget()
        tabs.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        for title, name in names.items():
            tabs.addTab(self.pictures[name], title)
        return tabs

    def _approval_row(self) -> QtWidgets.QWidget:
        box = QtWidgets.QGroupBox("Planned grasp")
        layout = QtWidgets.QVBoxLayout(box)
        self.proposal_words = QtWidgets.QLabel("")
        self.proposal_words.setWordWrap(True)
        layout.addWidget(self.proposal_words)
        self.approval_buttons = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout(self.approval_buttons)
        row.setContentsMargins(0, 0, 0, 0)
        for text, decision in (("Approve  (A)", "approve"), ("Reject  (R)", "reject"), ("Skip episode", "skip")):
            row.addWidget(self._button(text, lambda decision=decision: self._decide(decision)))
        layout.addWidget(self.approval_buttons)
        return box

    def _controls(self) -> QtWidgets.QWidget:
        box = QtWidgets.QGroupBox("Session")
        row = QtWidgets.QHBoxLayout(box)
        for text, command in CONTROLS:
            row.addWidget(self._button(text, lambda command=command: self._control(command)))
        return box

    @staticmethod
    def _button(text: str, act) -> QtWidgets.QPushButton:
        button = QtWidgets.QPushButton(text)
        button.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)  # Enter and Space belong to the score
        button.clicked.connect(lambda: act())
        return button

    def _make_shortcuts(self) -> None:
        box = self.score_box
        acts = {"Return": box.submit, "Enter": box.submit, "V": box.void, "Escape": self._stop,
                "A": lambda: self._decide("approve"), "R": lambda: self._decide("reject"),
                "P": lambda: self._control("pause"), "G": lambda: self._control("go_on"), "S": lambda: self._control("skip"),
                "Right": lambda: box.key("+"), "Up": lambda: box.key("+"), "Left": lambda: box.key("-"),
                "Down": lambda: box.key("-")}
        acts |= {key: lambda key=key: box.key(key.lower()) for key in "0123456789XYNBEW"}
        for key, act in acts.items():
            shortcut = QtWidgets.QShortcut(QtGui.QKeySequence(key), self)
            shortcut.setContext(QtCore.Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.setAutoRepeat(key in ("Right", "Up", "Left", "Down"))
            shortcut.activated.connect(act)

    # -- shown -----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what is known now."""
        view = self._link.view()
        self._show_status(view)
        old = math.isnan(view.camera_age) or view.camera_age > OLD_PICTURE_SECONDS
        self.pictures["camera"].show_data(b"" if old else view.camera)
        if view.version == self._version and view.alive == self._alive:
            return
        self._version, self._alive = view.version, view.alive
        if view.alive:
            self.score_box.show_request(view.request)
        self.score_box.setEnabled(view.alive and view.request is not None)  # a short silence leaves what was set
        for name in ("before", "end", "after", "other", "affordance", "proposal"):
            self.pictures[name].show_data(view.picture(name) if view.alive else b"")
        self.pictures["other"].setVisible(bool(view.picture("other")))
        asks = bool(view.alive and view.proposal and view.proposal.needs_answer)
        self._proposal = view.proposal if asks else None
        self.approval_buttons.setVisible(asks)
        self.proposal_words.setText(view.proposal.words if view.alive and view.proposal else "No grasp is planned.")
        self.approval.setStyleSheet("QGroupBox { background: #fff3c0; }" if asks else "")
        self.episodes.show_session(view.session)
        if view.session is not None and view.session.residual_names:
            for name, plot in self.plots.items():
                plot.show_data(self._plots.png(name, view.session))

    _alive: bool | None = None
    _proposal: ProposalView | None = None

    def _show_status(self, view: PanelView) -> None:
        self.status.setText(status_words(view))
        colour = "#d05030" if not view.alive else "#e8e8e8" if view.session is None or view.session.idle else "#c8e6c9"
        self.status.setStyleSheet(f"font-size: 15px; padding: 4px; background: {colour}; color: black;")

    def _show_reply(self, reply: Reply) -> None:
        self.reply.setText(reply.message)
        self.reply.setStyleSheet(f"color: {'#207020' if reply.accepted else '#c02020'};")

    # -- said ------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._link.stop("stopped in the operator's panel", self._told.emit)

    def _control(self, command: str) -> None:
        buttons = QtWidgets.QMessageBox.StandardButton
        if command in SURE and QtWidgets.QMessageBox.question(self, "DEFT", SURE[command]) != buttons.Yes:
            return
        self._link.control(command, "in the operator's panel", self._told.emit)

    def _decide(self, decision: str) -> None:
        if self._proposal is not None:  # the one that is shown, whatever has come meanwhile
            self._link.decide(self._proposal, decision, "in the operator's panel", self._told.emit)

    def _amend(self, episode: int, reward: float | None, note: str) -> None:
        session: SessionView | None = self._link.view().session
        if session is not None:
            self._link.amend(session.session, episode, reward, note, self._told.emit)


def status_words(view: PanelView) -> str:
    """The line on top: what the graph does, and how long it will."""
    if not view.alive:
        return "The graph is lost or not started; what is shown may be old. It is shown again as soon as it is back."
    session = view.session
    if session is None or session.idle:
        said = f" ({session.message})" if session and session.message else ""
        return f"The graph is idle{said}: start a session with `deft finetune TASK`"
    best = "-" if session.best_reward is None else f"{session.best_reward:.2f}"
    parts = [f"{session.task}, {session.method}: episode {session.episode + 1} of {session.episodes}",
             session.state.replace("_", " ") + (f" ({session.message})" if session.message else ""), f"best {best}",
             f"{session.infeasible_samples} infeasible, {session.rejected_samples} rejected samples",
             f"{clock(session.seconds_left)} left"]
    return "  |  ".join([*parts, "pausing"] if session.pausing and session.state != "paused" else parts)
