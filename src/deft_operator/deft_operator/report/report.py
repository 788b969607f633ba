"""Sessions as one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from deft_operator import plots
from deft_operator.report.record import SessionRecord
from deft_operator.view import clock

TEMPLATE = "report.html"


def render(records: Sequence[SessionRecord], elites: int = 5) -> str:
    """The report of one session, or of several beside each other.

    Args:
        elites: how many of the best episodes are marked.
    """
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, clock=clock, picture=_picture)
    labels = _labels(records)
    curves = {label: plots.curve_of_summary(r.summary, r.elites(elites)) for label, r in zip(labels, records, strict=True)}
    together = _svg(plots.learning_curve(curves, max(r.summary["episodes_planned"] for r in records), size=(9.0, 3.8)))
    return environment.get_template(TEMPLATE).render(
        records=records, labels=labels, together=together, parts=[_parts(r, elites) for r in records],
        data=Markup(_data(records)))


def _labels(records: Sequence[SessionRecord]) -> list[str]:
    """Names that tell the sessions apart."""
    names = [r.name for r in records]
    return [f"{name} ({r.summary['session']})" if names.count(name) > 1 else name
            for name, r in zip(names, records, strict=True)]


def _parts(record: SessionRecord, elites: int) -> dict[str, Any]:
    """Plots and lists of one session."""
    summary = record.summary
    names, best = summary["residual_names"], record.elites(elites)
    drawn = [e for e in summary["episodes"] if e["eps"] is not None]
    eps = np.array([e["eps"] for e in drawn]).reshape(-1, len(names))
    sigma = _sigma(record, eps)
    chosen = np.array([e["episode"] in best for e in drawn], bool)
    return {"elites": best, "sigma": sigma, "phases": _svg(plots.phase_times(record.phases())),
            "residuals": _svg(plots.residuals(names, sigma, eps, chosen, size=(9.0, 4.6))),
            "over_time": _svg(plots.residuals_over_time(names, sigma, eps, [e["episode"] for e in drawn]))}


def _sigma(record: SessionRecord, eps: np.ndarray) -> np.ndarray:
    """(n,) first standard deviations, metres and rad; of the samples themselves where the session does not tell."""
    known = record.resolved.get("residual_sigma")
    if known is not None:
        return np.array(known, float)
    spread = eps.std(axis=0) if len(eps) > 1 else np.ones(eps.shape[1])
    return np.where(spread > 0, spread, 1.0)


def _svg(figure: Any) -> Markup:
    return Markup(plots.svg(figure))


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _picture(data: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def _data(records: Sequence[SessionRecord]) -> str:
    """The summaries for other programs, safe inside a script element."""
    return json.dumps([dict(r.summary) for r in records]).replace("<", "\\u003c")


def write(records: Sequence[SessionRecord], path: Path, elites: int = 5) -> None:
    """Write atomically."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(render(records, elites))
    temporary.replace(path)
