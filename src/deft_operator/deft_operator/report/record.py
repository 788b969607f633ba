"""What a session's folder tells for a report, as plain values."""

from __future__ import annotations

import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

PICTURES = ("before", "end", "after")
WIDTH, QUALITY = 300, 75  # pixels and JPEG quality of a picture in the report


@dataclass(frozen=True)
class Event:
    """A record of the journal: when (ISO 8601 UTC), what kind, and its values."""

    time: str
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class SessionRecord:
    """A session for a report.

    Attributes:
        folder: where it was read.
        summary: its summary.json (docs/session_files.md).
        events: its journal.
        pictures: JPEG by episode (0-based) and name of PICTURES, made small.
    """

    folder: str
    summary: Mapping[str, Any]
    events: Sequence[Event]
    pictures: Mapping[int, Mapping[str, bytes]]

    @property
    def name(self) -> str:
        """Task, method and seed: what tells sessions apart for a person."""
        return f"{self.summary['task']}, {self.summary['method']}, seed {self.summary['seed']}"

    @property
    def resolved(self) -> Mapping[str, Any]:
        """The configuration it was run with, the last one where it was changed."""
        known = [e.data["resolved"] for e in self.events if e.data.get("resolved")]
        return dict(known[-1]) if known else {}

    @property
    def wall_seconds(self) -> float:
        """From the first to the last record; pauses and restarts count."""
        if not self.events:
            return 0.0
        first, last = (datetime.datetime.fromisoformat(self.events[k].time) for k in (0, -1))
        return (last - first).total_seconds()

    def phases(self) -> dict[str, list[float]]:
        """Wall s of each episode, by phase."""
        out: dict[str, list[float]] = {}
        for episode in self.summary["episodes"]:
            for phase, seconds in episode["seconds"].items():
                out.setdefault(phase, []).append(float(seconds))
        return out

    def elites(self, count: int) -> list[int]:
        """The episodes with the best rewards, best first; of equal ones the later first."""
        scored = [e for e in self.summary["episodes"] if e["status"] == "scored" and not e["control"]]
        return [e["episode"] for e in sorted(scored, key=lambda e: (e["reward"], e["episode"]), reverse=True)[:count]]

    def faults(self) -> list[tuple[str, str]]:
        """When something did not go as planned, and what, in words."""
        out = []
        for event in self.events:
            data, number = event.data, event.data.get("episode", -1) + 1
            if event.kind == "retry":
                out.append((event.time, f"episode {number} is done again ({data.get('status', '')}): {data.get('reason', '')}"))
            elif event.kind == "finished" and data.get("status") != "scored":
                out.append((event.time, f"episode {number} is {data.get('status')}: {data.get('reason', '')}"))
            elif event.kind == "rejected":
                out.append((event.time, f"episode {number}: draw {data['draw'] + 1} was not approved; {data.get('note', '')}"))
            elif event.kind == "amended":
                what = "void" if data.get("status") == "void" else f"reward {data.get('reward')}"
                out.append((event.time, f"episode {number} was amended: {what}; {data.get('note', '')}"))
            elif event.kind == "reconfigured":
                out.append((event.time, "went on with another configuration: " + "; ".join(data.get("differences", []))))
            elif event.kind == "ended":
                out.append((event.time, f"ended early: {data.get('reason', '')}"))
        return out


def small_pictures(folder: Path, attempts: Mapping[int, int]) -> dict[int, dict[str, bytes]]:
    """The pictures of episodes in a session's folder `pictures`, made small; what cannot be read is left out.

    Args:
        attempts: by episode (0-based), the attempt that counts.
    """
    out: dict[int, dict[str, bytes]] = {}
    for episode, attempt in attempts.items():
        for name in PICTURES:
            try:
                picture = Image.open(folder / f"episode_{episode:03d}_{attempt}_{name}.jpg").convert("RGB")
            except OSError:
                continue
            picture.thumbnail((WIDTH, WIDTH))
            data = io.BytesIO()
            picture.save(data, "JPEG", quality=QUALITY)
            out.setdefault(episode, {})[name] = data.getvalue()
    return out
