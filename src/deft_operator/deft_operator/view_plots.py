"""The plots of a running session, made anew only when an episode was added or changed."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from deft_operator import plots
from deft_operator.view import SessionView

NAMES = ("curve", "residuals")


def figure(name: str, session: SessionView) -> Figure:
    """One of NAMES."""
    if name == "curve":
        points = [plots.CurvePoint(r.episode, r.reward, r.success, r.elite) for r in session.rows]
        return plots.learning_curve({"": points}, session.episodes, size=(5.2, 2.7))
    drawn = [r for r in session.rows if r.eps]
    eps = np.array([r.eps for r in drawn]).reshape(-1, len(session.residual_names))
    elite = np.array([r.elite for r in drawn], bool)
    return plots.residuals(session.residual_names, np.array(session.residual_sigma), eps, elite, size=(5.2, 3.6))


class PlotCache:
    """PNGs by name. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, tuple[Any, bytes]] = {}

    def png(self, name: str, session: SessionView) -> bytes:
        """The plot of a session as PNG."""
        key = (session.session, session.episodes, session.rows)
        with self._lock:
            before = self._made.get(name)
            if before is None or before[0] != key:
                self._made[name] = before = (key, plots.png(figure(name, session), dpi=100))
            return before[1]
