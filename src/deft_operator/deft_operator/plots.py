"""Plots of sessions: learning curves, residuals, time by phase. Figures are drawn without a display, from any thread."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from deft_core.types import Array

WINDOW = 5  # episodes of the running mean
ELITE, OTHER = "tab:orange", "black"
# By what was said of the task's success: marker, colour, words
MARKS = {True: ("o", "tab:green", "success"), False: ("x", "tab:red", "no success"), None: (".", "tab:grey", "scored")}


@dataclass(frozen=True)
class CurvePoint:
    """An episode for a learning curve; `reward` None where it has none."""

    episode: int
    reward: float | None
    success: bool | None
    elite: bool = False


def running_mean(values: Array, window: int = WINDOW) -> Array:
    """Mean of the last `window` values at each place (fewer at the start)."""
    return np.array([values[max(0, i + 1 - window):i + 1].mean() for i in range(len(values))])


def learning_curve(curves: Mapping[str, Sequence[CurvePoint]], episodes: int, title: str = "",
                   size: tuple[float, float] = (7.0, 3.4)) -> Figure:
    """Rewards of all scored episodes with their running means, elites ringed; episodes without a score as ticks.

    Args:
        curves: by label; several sessions are told apart by colour.
        episodes: how many are planned.
        size: inches.
    """
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    alone = len(curves) == 1
    for index, (label, points) in enumerate(curves.items()):
        colour = f"C{index % 10}"
        scored = [p for p in points if p.reward is not None]
        if scored:
            x = np.array([p.episode + 1 for p in scored])
            y = np.array([p.reward for p in scored], float)
            axes.plot(x, running_mean(y), color=colour, label=f"mean of the last {WINDOW}" if alone else label)
            for said, (marker, own, words) in MARKS.items():
                which = np.array([p.success is said for p in scored])
                if which.any():
                    axes.scatter(x[which], y[which], marker=marker, s=22, color=own if alone else colour,
                                 label=words if alone else None)
            elite = np.array([p.elite for p in scored])
            if elite.any():
                axes.scatter(x[elite], y[elite], marker="o", s=80, facecolors="none", edgecolors=ELITE if alone else colour,
                             label="elite" if alone else None)
        missing = [p.episode + 1 for p in points if p.reward is None]
        if missing:
            axes.scatter(missing, [0.0] * len(missing), marker="|", color=OTHER if alone else colour,
                         label="not scored" if alone else None)
    axes.set(xlabel="episode", ylabel="reward (0..1)", ylim=(-0.03, 1.05), xlim=(0.5, max(episodes, 1) + 0.5))
    if title:
        axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    if any(curves.values()):
        axes.legend(loc="center right", fontsize=7)
    return figure


def residuals(names: Sequence[str], sigma: Array, eps: Array, elite: Array, size: tuple[float, float] = (7.0, 4.0)) -> Figure:
    """Each dimension's residuals in first standard deviations: all tries as dots, elites in colour with their mean.

    Args:
        sigma: (n,) of the first distribution, metres and rad; eps (k, n) likewise, NaN where none was drawn.
        elite: (k,) whether an episode is among the best.
    """
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    z = eps / sigma if len(eps) else np.zeros((0, len(names)))
    rows = np.arange(len(names))
    axes.axvline(0.0, color="grey", linewidth=0.8)
    for k in range(len(z)):
        shown = np.isfinite(z[k])
        axes.scatter(z[k][shown], rows[shown], s=24 if elite[k] else 9, color=ELITE if elite[k] else "lightgrey",
                     zorder=2 if elite[k] else 1)
    if elite.any():
        axes.scatter(np.nanmean(z[elite], axis=0), rows, marker="|", s=140, color="tab:blue", zorder=3)
    axes.set_yticks(rows, names, fontsize=6)
    axes.invert_yaxis()
    axes.set(xlabel="residual in first sigmas (orange: elites, blue: mean)", xlim=(-4, 4))
    axes.grid(alpha=0.3, axis="x")
    return figure


def residuals_over_time(names: Sequence[str], sigma: Array, eps: Array, episodes: Sequence[int]) -> Figure:
    """Each dimension over the episodes in first standard deviations, contact, wrist and joints in panels of their own."""
    groups = {"contact": [i for i, n in enumerate(names) if n.startswith("contact")],
              "wrist": [i for i, n in enumerate(names) if n.startswith("wrist")],
              "hand joints": [i for i, n in enumerate(names) if not n.startswith(("contact", "wrist", "tau"))],
              "trajectory": [i for i, n in enumerate(names) if n.startswith("tau")]}
    groups = {name: members for name, members in groups.items() if members}
    figure = Figure(figsize=(9.0, 1.9 * len(groups)), layout="constrained")
    x = np.array(episodes) + 1
    for row, (name, members) in enumerate(groups.items()):
        axes = figure.add_subplot(len(groups), 1, row + 1)
        for i in members:
            axes.plot(x, eps[:, i] / sigma[i], marker=".", linewidth=0.7, label=names[i])
        axes.axhline(0.0, color="grey", linewidth=0.8)
        axes.set_ylabel(f"{name}\n(sigmas)", fontsize=8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=5, ncols=4, loc="upper right")
    figure.axes[-1].set_xlabel("episode")
    return figure


def phase_times(phases: Mapping[str, Sequence[float]]) -> Figure:
    """Wall seconds by phase, one bar a phase: all episodes summed, with the median of an episode in words."""
    figure = Figure(figsize=(7.0, 0.32 * max(len(phases), 3) + 0.7), layout="constrained")
    axes = figure.add_subplot()
    names = list(phases)
    totals = [float(np.sum(phases[n])) for n in names]
    axes.barh(names, totals, color="tab:blue")
    for i, name in enumerate(names):
        axes.text(totals[i], i, f"  median {np.median(phases[name]):.2f} s", va="center", fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="wall s in the session")
    axes.margins(x=0.2)
    axes.tick_params(labelsize=7)
    return figure


def curve_of_summary(summary: Mapping[str, Any], elites: Sequence[int] = ()) -> list[CurvePoint]:
    """The points of a `summary.json`."""
    return [CurvePoint(e["episode"], e["reward"], e["success"], e["episode"] in elites) for e in summary["episodes"]]


def draw(summary: Mapping[str, Any], path: Path) -> None:
    """Write a session's learning curve as PNG."""
    title = f"{summary['task']}, {summary['method']}, seed {summary['seed']}"
    path.write_bytes(png(learning_curve({title: curve_of_summary(summary)}, summary["episodes_planned"], title)))


def png(figure: Figure, dpi: int = 120) -> bytes:
    """A figure as PNG."""
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(data, format="png", dpi=dpi)
    return data.getvalue()


def svg(figure: Figure) -> str:
    """A figure as an SVG element, without the XML heading."""
    data = io.StringIO()
    FigureCanvasSVG(figure).print_figure(data, format="svg", metadata={"Date": None})
    text = data.getvalue()
    return text[text.index("<svg"):]
