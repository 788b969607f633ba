"""What a study found: tables with intervals beside the paper's numbers, and learning curves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from deft_bench.studies import OBJECTS, POINTS, Outcome, Row
from deft_cem.gate import wilson
from deft_operator.plots import running_mean

# Success with train and test objects of ten trials each, as published (Tables 1 and 2); None where a paper has no such split
PAPER: dict[str, dict[str, tuple[float, float | None]]] = {
    "Real-World Only": {"pick_cup": (0.0, 0.1), "pour_cup": (0.2, 0.1), "open_drawer": (0.1, 0.0), "pick_spoon": (0.7, 0.3),
                        "scoop_grape": (0.0, 0.0), "stir_spoon": (0.3, 0.0)},
    "Affordance Only": {"pick_cup": (0.1, None), "pour_cup": (0.4, None), "open_drawer": (0.5, None),
                        "pick_spoon": (0.5, None), "scoop_grape": (0.0, None), "stir_spoon": (0.3, None)},
    "DEFT (Algorithm 1, cVAE)": {"pick_cup": (0.8, 0.8), "pour_cup": (0.8, 0.9), "open_drawer": (0.5, 0.4),
                                 "pick_spoon": (0.8, 0.6), "scoop_grape": (0.7, 0.3), "stir_spoon": (0.8, 0.5)},
    "reward: r3m": {"pour_cup": (0.0, 0.0), "open_drawer": (0.4, 0.5), "pick_spoon": (0.5, 0.4)},
    "reward: resnet18": {"pour_cup": (0.1, 0.2), "open_drawer": (0.3, 0.1), "pick_spoon": (0.4, 0.2)},
    "MLP": {"pour_cup": (0.0, 0.0), "open_drawer": (0.5, 0.0), "pick_spoon": (0.6, 0.5)},
    "Transformer": {"pour_cup": (0.4, 0.5), "open_drawer": (0.6, 0.1), "pick_spoon": (0.4, 0.5)},
    "Direct": {"pour_cup": (0.1, 0.1), "open_drawer": (0.1, 0.0), "pick_spoon": (0.3, 0.0)},
}


EXPLAINED = (
    "Intervals are 95 %, over the sessions (t), which all are tried out on the same scenes; where there is one session, or all "
    "came to the same, over the scenes (Wilson). Those of means and leads are over the seeds, each a session on every task. A "
    "trial that could not be executed is no success. Where the robot could not execute the whole residual, or the policy's was "
    "out of bounds, 75, 50 or 25 % of it or the prior alone were executed.")


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and its 95 % interval (t); NaN bounds with fewer than two."""
    x = np.array(values, float)
    if len(x) < 2:
        return float(x.mean()), np.nan, np.nan
    half = float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return float(x.mean()), float(x.mean()) - half, float(x.mean()) + half


def interval(outcomes: Sequence[Outcome], objects: str) -> tuple[float, float, float]:
    """Mean success of a row on a task and its interval within 0..1, as EXPLAINED says."""
    rates = [_rate(o, objects) for o in outcomes]
    if len(set(rates)) == 1:
        return rates[0], *wilson(outcomes[0].successes[objects], outcomes[0].trials)
    mean, low, high = spread(rates)
    return mean, max(0.0, low), min(1.0, high)


def _cell(outcomes: Sequence[Outcome], objects: str) -> str:
    mean, low, high = interval(outcomes, objects)
    return f"{mean:.2f} ({low:.2f}-{high:.2f})"


def _links(outcomes: Sequence[Outcome], objects: str, out: Path) -> str:
    """To the folders of the trials."""
    return " ".join(f"[{o.seed}]({os.path.relpath(o.folders[objects], out)})" for o in outcomes if objects in o.folders)


def _of(outcomes: Iterable[Outcome], row: Row, task: str) -> list[Outcome]:
    return sorted((o for o in outcomes if o.row == row and o.task == task), key=lambda o: o.seed)


def table(outcomes: Sequence[Outcome], rows: Sequence[Row], tasks: Sequence[str], out: Path | None = None,
          ahead: Row | None = None) -> str:
    """Markdown: a row a method, train objects first; below each what the paper has. In training: of the sessions' own episodes.

    Args:
        out: the folder of the file that it is written to, for links to the trials of each cell; None for none.
        ahead: of the rows, the one whose lead over each other's mean gets a column of its own.
    """
    blocks = []
    for which, objects in enumerate(OBJECTS):
        if not any(objects in row.objects for row in rows):
            continue
        columns = [*tasks, "mean", *([f"{ahead.label} less this"] if ahead else []), "in training"]
        lines = [f"Success with {objects} objects:", "", f"| method | {' | '.join(columns)} |",
                 "|" + " --- |" * (len(columns) + 1)]
        first = _means(outcomes, ahead, tasks, objects) if ahead else {}
        for row in rows:
            found = [_of(outcomes, row, task) for task in tasks]
            cells = [_cell(o, objects) + (f" {_links(o, objects, out)}" if out else "") if o else "" for o in found]
            means = _means(outcomes, row, tasks, objects)
            cells.append(_span([*means.values()], within=(0.0, 1.0)))
            if ahead:
                cells.append("" if row == ahead else _span(_lead(first, means)))
            cells.append(_span([*_means(outcomes, row, tasks).values()], within=(0.0, 1.0)))
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
            lines += _published(row.label, tasks, which, len(columns))
        blocks.append("\n".join(lines))
    return "\n\n".join([*blocks, EXPLAINED, *notes(outcomes)]) + "\n"


def _means(outcomes: Sequence[Outcome], row: Row, tasks: Sequence[str], objects: str = "") -> dict[int, float]:
    """Mean success of a row over the tasks that it was tried out on, of the sessions of each seed.

    Args:
        objects: of the trials; "" for the sessions' own episodes, where somebody said whether they succeeded.
    """
    known = [o for o in outcomes if objects or any(s is not None for s in o.training)]
    return _by_seed(known, row, tasks, lambda o: _rate(o, objects))


def _by_seed(outcomes: Sequence[Outcome], row: Row, tasks: Sequence[str],
             value: Callable[[Outcome], float]) -> dict[int, float]:
    """Mean over the tasks that a row was tried out on, of the sessions of each seed."""
    found = [each for each in (_of(outcomes, row, task) for task in tasks) if each]
    seeds = sorted(set.intersection(*({o.seed for o in each} for each in found))) if found else []
    return {s: float(np.mean([value(o) for each in found for o in each if o.seed == s])) for s in seeds}


def _rate(outcome: Outcome, objects: str) -> float:
    return outcome.successes[objects] / outcome.trials if objects else learned(outcome.training)


def learned(training: Sequence[bool | None]) -> float:
    """Share of successes of a session's episodes."""
    return float(np.mean([s is True for s in training]))


def _lead(first: dict[int, float], other: dict[int, float]) -> list[float]:
    """What one is ahead of another, seed by seed; where that one was tried out once, as the prior alone, each seed of it."""
    if len(other) == 1:
        return [mean - next(iter(other.values())) for mean in first.values()]
    return [first[s] - other[s] for s in first if s in other]


def _published(label: str, tasks: Sequence[str], which: int, columns: int) -> list[str]:
    """The paper's line of a method, where it has one, with as many columns."""
    known = PAPER.get(label)
    if not known:
        return []
    values = [known[task][which] if task in known else None for task in tasks]
    have = [v for v in values if v is not None]
    cells = ["-" if v is None else f"*{v:.1f}*" for v in values]
    return [f"| *paper* | {' | '.join(cells)} | *{np.mean(have):.2f}* |{' |' * (columns - len(tasks) - 1)}"] if have else []


def notes(outcomes: Sequence[Outcome]) -> list[str]:
    """What could not be tried out, and how often less than the wanted residual was executed: a paragraph each."""
    said = []
    missing = [f"{o.row.label} on {o.task}, session {o.seed}: {o.why}" for o in outcomes if o.why]
    if missing:
        said.append("Counted as no success, since nothing could be tried out: " + "; ".join(missing) + ".")
    shown = []
    for label in dict.fromkeys(o.row.label for o in outcomes):
        mine = [o for o in outcomes if o.row.label == label]
        if some := sum(sum(o.held_back.values()) for o in mine):
            shown.append(f"{label} {some} of {sum(o.trials * len(o.successes) for o in mine)}")
    if shown:
        said.append("Trials with less than the whole residual: " + "; ".join(shown) + ".")
    return said


def search_table(outcomes: Sequence[Outcome], rows: Sequence[Row], tasks: Sequence[str]) -> str:
    """Markdown: a line a search of `rows` (see studies.searches): success in training and of what was recommended (train and
    test objects alike), mean over the tasks with its interval over the seeds, and the first search's lead, seed by seed."""
    points = sorted({row.episodes for row in rows if row.training})
    by_search: dict[str, list[Row]] = {}
    for row in rows:
        if row.training:
            by_search.setdefault(row.training, []).append(row)
    first = next(iter(by_search.values()))[-1]
    lines = ["| search | success in training | in its last 10 | " + " | ".join(f"of the result after {n}" for n in points)
             + f" | {_search(first)} less this in training | at the end |", "|" + " --- |" * (len(points) + 5)]
    for found in by_search.values():
        last = found[-1]
        rates = [_by_seed(outcomes, last, tasks, lambda o: learned(o.training)),
                 _by_seed(outcomes, last, tasks, lambda o: learned(o.training[-10:])),
                 *(_by_seed(outcomes, row, tasks, rate) for row in found)]
        ahead = ["", ""] if last == first else [
            _span(_lead(_by_seed(outcomes, first, tasks, value), _by_seed(outcomes, last, tasks, value)))
            for value in (lambda o: learned(o.training), rate)]
        lines.append(f"| {_search(last)} | {' | '.join([*(_span([*r.values()]) for r in rates), *ahead])} |")
    alone = [rate(o) for o in outcomes if not o.row.training]
    if alone:
        cells = ["the prior alone", "", "", *("" for _ in points[1:]), f"{np.mean(alone):.2f}", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _search(row: Row) -> str:
    """Which search a row of studies.searches is of."""
    return row.label.rsplit(",", 1)[0]


def variant_table(outcomes: Sequence[Outcome], rows: Sequence[Row], tasks: Sequence[str]) -> str:
    """Markdown: success in training, and of what was recommended, by task (train objects)."""
    lines = [f"| variant | in training | {' | '.join(tasks)} | mean |", "|" + " --- |" * (len(tasks) + 3)]
    for row in rows:
        found = [_of(outcomes, row, task) for task in tasks]
        training = [learned(o.training) for each in found for o in each if o.training]
        mean = np.mean([np.mean([o.successes["train"] / o.trials for o in each]) for each in found])
        cells = [_cell(each, "train") for each in found]
        lines.append(f"| {row.label} | {f'{np.mean(training):.2f}' if training else ''} | {' | '.join(cells)} | {mean:.2f} |")
    return "\n\n".join(["\n".join(lines), EXPLAINED, *notes(outcomes)]) + "\n"


def rate(outcome: Outcome) -> float:
    """Success over all its trials, whatever the objects."""
    return sum(outcome.successes.values()) / (outcome.trials * len(outcome.successes))


def _span(values: Sequence[float], within: tuple[float, float] = (-np.inf, np.inf)) -> str:
    if not values:
        return ""
    mean, low, high = spread(values)
    return f"{mean:.2f}" if np.isnan(low) else f"{mean:.2f} ({max(low, within[0]):.2f} to {min(high, within[1]):.2f})"


def draw_curves(outcomes: Sequence[Outcome], rows: Sequence[Row], tasks: Sequence[str], episodes: int, path: Path) -> None:
    """Figure 4: tasks as small multiples; success while learning (mean over sessions of the last five episodes), and of the
    policies that were tried out, with 95 % intervals."""
    across = min(3, len(tasks))
    down = -(-len(tasks) // across)
    figure = Figure(figsize=(3.4 * across, 2.7 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    colours = {name: f"C{k}" for k, name in enumerate(dict.fromkeys(row.training for row in rows))}
    labels = {row.training: row.label.split(",")[0] for row in rows}
    for panel, task in zip(panels, tasks, strict=False):
        for name, colour in colours.items():
            mine = [o for o in outcomes if o.task == task and o.row.training == name]
            if not name:
                for o in mine:
                    panel.axhline(o.successes["train"] / o.trials, color=colour, linestyle="--", label=labels[name])
                continue
            sessions = {o.seed: np.array([s is True for s in o.training], float) for o in mine if o.training}
            if sessions:
                mean = np.mean([running_mean(v) for v in sessions.values()], axis=0)
                panel.plot(np.arange(1, len(mean) + 1), mean, color=colour, alpha=0.4)
            _draw_points(panel, mine, episodes, colour, labels[name])
        panel.set(title=task, ylim=(-0.03, 1.03), xticks=sorted({0, *(n for n in POINTS if n < episodes), episodes}))
        panel.grid(alpha=0.3)
    for panel in panels[len(tasks):]:
        panel.set_axis_off()
    panels[0].legend(fontsize=7)
    figure.supxlabel("episodes")
    figure.supylabel("success with train objects")
    FigureCanvasAgg(figure).print_figure(str(path), dpi=120)


def _draw_points(panel: object, outcomes: Sequence[Outcome], episodes: int, colour: str, label: str) -> None:
    """What was tried out after some episodes, with intervals."""
    points = sorted({o.row.episodes or episodes for o in outcomes})
    means, lows, highs = [], [], []
    for n in points:
        mean, low, high = interval([o for o in outcomes if (o.row.episodes or episodes) == n], "train")
        means.append(mean)
        lows.append(mean - low)
        highs.append(high - mean)
    panel.errorbar(points, means, [lows, highs], color=colour, marker="o", capsize=3, label=label)  # type: ignore[attr-defined]
