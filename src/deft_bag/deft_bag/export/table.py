"""A session as one flat Parquet table, a row an episode: for pandas, DuckDB, spreadsheets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deft_bag.episodes import RecordedEpisode, RecordedSession, read_session
from deft_core.types import GraspParameters

GRASP = ("contact_x", "contact_y", "contact_z", "wrist_rx", "wrist_ry", "wrist_rz")
UNITS = "lengths in m, angles and rotation vectors in rad, base frame; times in s; eps_* was added to xi_*; docs/bags.md"


def write_table(source: Path, out: Path, session: str = "") -> int:
    """Write the table; how many rows it has.

    Args:
        source: a bag, or a session's folder.
        session: which one, where the bag holds several.

    Raises:
        DeftError: BAD_BAG.
        OSError: `out` cannot be written.
    """
    recorded = read_session(source, session)
    rows = [_row(recorded, e) for e in recorded.episodes]
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), b"deft": UNITS.encode()}), out)
    return len(rows)


def _row(session: RecordedSession, episode: RecordedEpisode) -> dict[str, Any]:
    row: dict[str, Any] = {
        "session": session.id, "task": session.task, "object_set": session.object_set, "seed": session.seed,
        "hand": session.hand, "robot": session.robot, "software_version": session.software_version, "episode": episode.episode,
        "attempt": episode.attempt, "revision": episode.revision, "status": episode.status,
        "reward": None if math.isnan(episode.reward) else episode.reward, "reward_source": episode.source,
        "success": episode.success, "control": episode.control, "repeat_of": episode.repeat_of, "note": episode.note}
    for prefix, grasp in (("xi", episode.xi), ("executed", episode.executed)):
        row |= _numbers(prefix, grasp)
    if episode.eps.size:
        row |= {f"eps_{name}": float(value) for name, value in zip(session.space.names, episode.eps, strict=True)}
    return row | {f"seconds_{phase}": seconds for phase, seconds in episode.seconds.items()}


def _numbers(prefix: str, grasp: GraspParameters | None) -> dict[str, float]:
    if grasp is None:
        return {}
    values = [*grasp.contact, *grasp.wrist_rotation, *grasp.joints]
    return {f"{prefix}_{name}": float(value) for name, value in zip((*GRASP, *grasp.joint_names), values, strict=True)}
