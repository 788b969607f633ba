"""A session: what it was started with, what its journal says, and what is still to be done."""

from __future__ import annotations

import datetime
import fcntl
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml

from deft_cem import codes
from deft_cem.distribution import Scored
from deft_cem.journal import Journal, Record
from deft_core.errors import DeftError

FINAL = ("scored", "infeasible", "aborted", "void")


@dataclass(frozen=True)
class SessionSpec:
    """What must agree for a session to be resumed.

    Attributes:
        method: cem | prior | elite_mean.
        config_hash: over the search's parameters, robot, hand and task.
        residual_names: layout of eps.
        resolved: the whole resolved configuration, for `session.yaml`.
    """

    task: str
    method: str
    episodes: int
    seed: int
    object_set: str
    config_hash: str
    residual_names: tuple[str, ...]
    resolved: dict[str, Any] = field(compare=False)

    def identity(self) -> dict[str, Any]:
        """What is compared on resume (episodes may grow)."""
        return {"task": self.task, "method": self.method, "seed": self.seed, "object_set": self.object_set,
                "config_hash": self.config_hash, "residual_names": list(self.residual_names)}


@dataclass
class EpisodeState:
    """What the journal says of one episode; the last attempt counts."""

    episode: int
    attempt: int = 0
    status: str = ""          # one of FINAL once finished
    reason: str = ""
    xi: dict[str, Any] | None = None
    eps: list[float] | None = None
    redraws: int = 0
    executed: dict[str, Any] | None = None
    reward: float | None = None
    success: bool | None = None
    note: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def awaiting(self) -> bool:
        """Executed, and the operator has not answered yet."""
        return not self.status and self.executed is not None


class Session:
    """An open session folder. One process at a time holds it."""

    def __init__(self, folder: Path, spec: SessionSpec) -> None:
        """Open or create.

        Raises:
            DeftError: BAD_GOAL (unusable folder), SESSION_MISMATCH (holds another session, or is in
                use by another process), JOURNAL_FAILED.
        """
        self.folder, self.spec = folder, spec
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
        except OSError as error:
            raise DeftError(codes.BAD_GOAL, f"session folder {folder} cannot be used: {error.strerror}") from None
        self.journal = Journal(folder / "journal.jsonl")
        self.episodes: dict[int, EpisodeState] = {}
        self.resumed = bool(self.journal.records)
        if self.resumed:
            self._check_identity(self.journal.records[0])
            for record in self.journal.records:
                self._apply(record)
            self.id = str(self.journal.records[0].data["session"])
        else:
            self.id = f"{spec.task}-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
            (folder / "session.yaml").write_text(yaml.safe_dump(spec.resolved, sort_keys=False))
            self.journal.append("opened", {"schema": 1, "session": self.id, **spec.identity()})

    def _take_lock(self) -> IO[str]:
        file = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise DeftError(codes.SESSION_MISMATCH, f"{self.folder} is in use by another process") from None
        return file

    def _check_identity(self, opened: Record) -> None:
        for key, wanted in self.spec.identity().items():
            if opened.data.get(key) != wanted:
                raise DeftError(codes.SESSION_MISMATCH, f"{self.folder} holds a session with {key} "
                                f"{opened.data.get(key)!r}, asked for {wanted!r}; use another session folder, or the "
                                "same settings")

    def close(self) -> None:
        """Release the folder."""
        self.journal.close()
        self._lock.close()

    # -- changes, each on disk before it counts ---------------------------------------------------

    def record(self, kind: str, **data: Any) -> None:
        """Append to the journal, then take it into account. Raises DeftError JOURNAL_FAILED."""
        self._apply(self.journal.append(kind, data))

    def _apply(self, record: Record) -> None:
        data = record.data
        if "episode" not in data:
            return
        state = self.episodes.setdefault(data["episode"], EpisodeState(data["episode"]))
        if record.kind == "sampled":
            self.episodes[state.episode] = EpisodeState(state.episode, data["attempt"], xi=data["xi"], eps=data["eps"],
                                                        redraws=data["redraws"])
        elif record.kind == "executed":
            state.executed = data
            state.seconds.update(data.get("seconds", {}))
        elif record.kind == "finished":
            state.status, state.reason, state.attempt = data["status"], data.get("reason", ""), data["attempt"]
            state.reward, state.success, state.note = data.get("reward"), data.get("success"), data.get("note", "")
            state.seconds.update(data.get("seconds", {}))
        elif record.kind == "retry":
            self.episodes[state.episode] = EpisodeState(state.episode, data["attempt"], redraws=state.redraws)

    # -- questions ----------------------------------------------------------------------------------

    def next_episode(self) -> int | None:
        """The first episode without a final status, None when all are done."""
        for k in range(self.spec.episodes):
            if k not in self.episodes or self.episodes[k].status not in FINAL:
                return k
        return None

    def scored(self) -> list[Scored]:
        """Scored episodes in order, for the distribution."""
        return [Scored(s.episode, np.array(s.eps), s.reward) for k, s in sorted(self.episodes.items())
                if s.status == "scored" and s.eps is not None and s.reward is not None]

    def finished(self) -> list[EpisodeState]:
        """Episodes with a final status, in order."""
        return [s for _, s in sorted(self.episodes.items()) if s.status in FINAL]

    def best_reward(self) -> float:
        """The best reward so far, NaN before the first."""
        return max((s.reward for s in self.scored()), default=math.nan)
