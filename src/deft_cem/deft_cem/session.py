"""A session: what it was started with, what its journal says, and what is still to be done."""

from __future__ import annotations

import datetime
import fcntl
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml

from deft_cem import codes
from deft_cem.journal import Journal, Record, peek
from deft_cem.rewards.automatic import calibrated
from deft_cem.rewards.ranking import Insertion, Ranking, rewards, without
from deft_cem.schema import SCHEMA, migrated
from deft_core.errors import DeftError
from deft_core.types import Array

FINAL = ("scored", "infeasible", "aborted", "void")
HASHES = ("config_hash", "calibration_hash")
SHOWN_DIFFERENCES = 8


@dataclass(frozen=True)
class SessionSpec:
    """What must agree for a session to be resumed.

    Attributes:
        method: the search's name, or of an evaluation prior | tuned | versus.
        config_hash: over parameters of search and rewards, robot, hand and task.
        calibration_hash: over the camera's pose and intrinsics.
        residual_names: layout of eps.
        resolved: the whole resolved configuration, for `session.yaml` and to show differences.
        calibration_episodes: first episodes that automatic rewards are calibrated on.
    """

    task: str
    method: str
    episodes: int
    seed: int
    object_set: str
    config_hash: str
    calibration_hash: str
    residual_names: tuple[str, ...]
    resolved: dict[str, Any] = field(compare=False)
    calibration_episodes: int = 10

    def identity(self) -> dict[str, Any]:
        """What another session differs in."""
        return {"task": self.task, "method": self.method, "seed": self.seed, "object_set": self.object_set,
                "residual_names": list(self.residual_names)}

    def hashes(self) -> dict[str, str]:
        """What may change in the same session, when somebody says so."""
        return {"config_hash": self.config_hash, "calibration_hash": self.calibration_hash}


@dataclass
class EpisodeState:
    """What the journal says of one episode; the last attempt counts.

    Attributes:
        executed: the record of the execution; None before it.
        measured: what the automatic reward makes of the last picture, on its own scale.
        suggested: the same as a reward 0..1, by what was known when it was asked for.
        fallback: why less than the wanted residual was executed, down to the prior alone; "" else.
        compared: (earlier episode, better | worse | equal), the answers so far.
        source: operator | comparison | automatic, where the reward comes from.
        reward: the operator's; None where it follows from ranks or pictures (see Session.rewards).
        history: answers that were amended, repeated or taken back, oldest first.
        rejected: samples that a person did not approve, each with draw, eps and note. A constraint, not a score.
    """

    episode: int
    attempt: int = 0
    status: str = ""          # one of FINAL once finished
    reason: str = ""
    xi: dict[str, Any] | None = None
    eps: list[float] | None = None
    redraws: int = 0
    control: bool = False
    repeat_of: int | None = None
    fallback: str = ""
    executed: dict[str, Any] | None = None
    measured: float | None = None
    suggested: float | None = None
    compared: list[tuple[int, str]] = field(default_factory=list)
    source: str = ""
    reward: float | None = None
    success: bool | None = None
    note: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)

    @property
    def awaiting(self) -> bool:
        """Executed, and nobody has answered yet."""
        return not self.status and self.executed is not None

    def answer(self) -> dict[str, Any]:
        """What was said of it, for the history."""
        return {"status": self.status, "reward": self.reward, "success": self.success, "note": self.note,
                "source": self.source}


@dataclass(frozen=True)
class ScoredEpisode:
    """For the search: eps (n,), metres and rad, and its reward 0..1 as it is known now."""

    episode: int
    eps: Array
    reward: float


class Session:
    """An open session folder. One process at a time holds it; its threads may share it."""

    def __init__(self, folder: Path, spec: SessionSpec, force: bool = False) -> None:
        """Open or create.

        Args:
            force: go on although the configuration or the calibration is another one than before, and without damaged
                lines of the journal.

        Raises:
            DeftError: BAD_GOAL (unusable folder), SESSION_MISMATCH (holds another session, or is in
                use by another process), JOURNAL_FAILED.
        """
        self.folder, self.spec = folder, spec
        self.episodes: dict[int, EpisodeState] = {}
        self.ranking: Ranking = []
        self.ended: str | None = None  # why the operator ended it
        self._last_finished: int | None = None
        self._changing = threading.RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
        except OSError as error:
            raise DeftError(codes.BAD_GOAL, f"session folder {folder} cannot be used: {error.strerror}") from None
        try:
            self._open(force)
        except BaseException:
            self._lock.close()
            raise

    def _open(self, force: bool) -> None:
        self.journal = Journal(self.folder / "journal.jsonl", salvage=force)
        records = migrated(self.journal.records, self.folder)
        self.resumed = bool(records)
        if not self.resumed:
            self.id = f"{self.spec.task}-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
            self._write_resolved()
            self.journal.append("opened", {"schema": SCHEMA, "session": self.id, **self.spec.identity(), **self.spec.hashes(),
                                           "resolved": self.spec.resolved})
            return
        opened, known = _configured(records, self.journal.path)
        self.id = str(opened["session"])
        self._check_identity(opened)
        for record in records:
            self._apply(record)
        if changed := [h for h in HASHES if known.get(h) != self.spec.hashes()[h]]:
            self._reconfigure(changed, known, force)

    def _take_lock(self) -> IO[str]:
        file = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise DeftError(codes.SESSION_MISMATCH, f"{self.folder} is in use by another process") from None
        return file

    def _write_resolved(self) -> None:
        (self.folder / "session.yaml").write_text(yaml.safe_dump(self.spec.resolved, sort_keys=False))

    def _check_identity(self, opened: dict[str, Any]) -> None:
        for key, wanted in self.spec.identity().items():
            if opened.get(key) != wanted:
                raise DeftError(codes.SESSION_MISMATCH, f"{self.folder} holds a session with {key} "
                                f"{opened.get(key)!r}, asked for {wanted!r}; use another session folder, or the "
                                "same settings")

    def _reconfigure(self, changed: list[str], known: dict[str, Any], force: bool) -> None:
        """Refuse another configuration, or go on with it and say so in the journal."""
        differences = different(known.get("resolved", {}), self.spec.resolved)
        if not force:
            shown = "; ".join(differences[:SHOWN_DIFFERENCES]) or "nothing that session.yaml shows"
            more = f"; and {len(differences) - SHOWN_DIFFERENCES} more" if len(differences) > SHOWN_DIFFERENCES else ""
            raise DeftError(codes.SESSION_MISMATCH, f"{self.folder}: {' and '.join(changed)} differ from the session's: {shown}"
                            f"{more}. Restore that, use another session folder, or go on all the same with `deft finetune "
                            "--force`")
        self._write_resolved()
        self.record("reconfigured", **self.spec.hashes(), resolved=self.spec.resolved, differences=differences)

    def close(self) -> None:
        """Release the folder."""
        self.journal.close()
        self._lock.close()

    # -- changes, each on disk before it counts ---------------------------------------------------

    def record(self, kind: str, **data: Any) -> None:
        """Append to the journal, then take it into account. Raises DeftError JOURNAL_FAILED."""
        with self._changing:
            self._apply(self.journal.append(kind, data))

    def amend(self, episode: int, reward: float, success: bool | None, voided: bool, note: str) -> EpisodeState:
        """Change what was said of an earlier episode; what was said before stays in its history.

        Args:
            reward: 0..1; NaN in a session that ranks, where only success and note can be changed.
            success: None = as before.
            note: "" = as before.

        Raises:
            DeftError: NO_SUCH_EPISODE, BAD_AMENDMENT or AMENDMENT_NOT_SAVED; nothing is changed then.
        """
        with self._changing:
            state = self.episodes.get(episode)
            if state is None or state.status not in ("scored", "void") or state.executed is None:
                has = f"is {state.status}" if state and state.status else "has no answer yet"
                possible = [s.episode for s in self.finished() if s.status in ("scored", "void") and s.executed]
                raise DeftError(codes.NO_SUCH_EPISODE, f"episode {episode} {has}; scored and void episodes can be amended: "
                                f"{possible}")
            ranks = any(s.source == "comparison" for s in self.episodes.values())
            if not voided and ranks and not (math.isnan(reward) and state.status == "scored"):
                raise DeftError(codes.BAD_AMENDMENT, "this session ranks by comparisons: only success and note can be changed "
                                "(reward NaN); make the episode void, or repeat it")
            if not voided and not ranks and not (math.isfinite(reward) and 0.0 <= reward <= 1.0):
                raise DeftError(codes.BAD_AMENDMENT, f"a reward is a number from 0 to 1, not {reward}")
            try:
                self.record("amended", episode=episode, status="void" if voided else "scored", note=note or state.note,
                            success=state.success if success is None else success, source="comparison" if ranks else "operator",
                            reward=None if voided or ranks else reward)
            except DeftError as error:
                raise DeftError(codes.AMENDMENT_NOT_SAVED, error.message) from None
            return state

    def repeat_last(self, note: str) -> int:
        """Take back the last finished episode, to be executed again; its index.

        Raises:
            DeftError: NOT_NOW (there is none), CONTROL_NOT_SAVED.
        """
        with self._changing:
            last = self._last_finished
            if last is None or self.ended is not None:
                raise DeftError(codes.NOT_NOW, "no episode has been finished that could be repeated")
            try:
                self.record("retry", episode=last, attempt=self.episodes[last].attempt + 1, status="void",
                            reason=note or "repeated by the operator")
            except DeftError as error:
                raise DeftError(codes.CONTROL_NOT_SAVED, error.message) from None
            return last

    def taken_back(self) -> list[EpisodeState]:
        """Copies of the episodes that were finished and are to be done again."""
        with self._changing:
            return [replace(s) for _, s in sorted(self.episodes.items()) if s.history and not s.status and s.executed is None]

    def _apply(self, record: Record) -> None:
        data = record.data
        if record.kind == "ended":
            self.ended = str(data.get("reason", ""))
        if "episode" not in data:
            return
        episode = int(data["episode"])
        state = self.episodes.setdefault(episode, EpisodeState(episode))
        if record.kind == "sampled":
            self.episodes[episode] = EpisodeState(
                episode, data["attempt"], xi=data["xi"], eps=data["eps"], redraws=data["redraws"], control=data["control"],
                repeat_of=data["repeat_of"], fallback=data.get("fallback", ""), history=state.history,
                rejected=state.rejected)
        elif record.kind == "rejected":
            state.rejected.append({key: data[key] for key in ("attempt", "draw", "eps", "note")})
        elif record.kind == "executed":
            state.executed = data
            state.seconds.update(data.get("seconds", {}))
        elif record.kind == "measured":
            state.measured, state.suggested = data["value"], data["suggested"]
        elif record.kind == "compared":
            state.compared.append((data["other"], data["answer"]))
            state.success = state.success if data["success"] is None else data["success"]
            state.note = data["note"] or state.note
        elif record.kind == "finished":
            self._finish(state, data)
        elif record.kind == "amended":
            state.history.append({**state.answer(), "until": record.time})
            state.status, state.reward, state.source = data["status"], data["reward"], data["source"]
            state.success, state.note = data["success"], data["note"]
            self.ranking = without(self.ranking, episode) if state.status == "void" else self.ranking
        elif record.kind == "retry":
            self._take_back(state, data, record.time)

    def _finish(self, state: EpisodeState, data: dict[str, Any]) -> None:
        state.status, state.reason, state.attempt = data["status"], data.get("reason", ""), data["attempt"]
        state.reward, state.success, state.note = data.get("reward"), data.get("success"), data.get("note", "")
        state.source = data.get("source", "")
        state.seconds.update(data.get("seconds", {}))
        self._last_finished = state.episode
        if state.source == "comparison":
            self.ranking = Insertion.after(self.ranking, state.compared).inserted(state.episode)

    def _take_back(self, state: EpisodeState, data: dict[str, Any], time: str) -> None:
        """Another attempt: the sample stays, what became of it goes into the history."""
        history = [*state.history, {**state.answer(), "until": time}] if state.status else state.history
        self.ranking = without(self.ranking, state.episode)
        self.episodes[state.episode] = EpisodeState(
            state.episode, data["attempt"], eps=state.eps, redraws=state.redraws, control=state.control,
            repeat_of=state.repeat_of, fallback=state.fallback, history=history, rejected=state.rejected)
        if self._last_finished == state.episode:
            self._last_finished = None

    # -- questions ----------------------------------------------------------------------------------

    def next_episode(self, but: int | None = None) -> int | None:
        """The first episode without a final status, other than `but`; None when all are done or the session was ended."""
        if self.ended is not None:
            return None
        for k in range(self.spec.episodes):
            if k != but and (k not in self.episodes or self.episodes[k].status not in FINAL):
                return k
        return None

    def awaiting(self) -> bool:
        """Whether an executed episode has no final status yet."""
        with self._changing:
            return any(s.awaiting for s in self.episodes.values())

    def rewards(self) -> dict[int, float]:
        """The reward 0..1 of every scored episode, as it is known now: ranks and calibrated values move."""
        with self._changing:
            scored = [s for _, s in sorted(self.episodes.items()) if s.status == "scored"]
            ranked = rewards(self.ranking)
            first = self._first_measured()
            known: dict[int, float] = {}
            for s in scored:
                if s.source == "comparison" and s.episode in ranked:
                    known[s.episode] = ranked[s.episode]
                elif s.source == "automatic" and s.measured is not None:
                    known[s.episode] = calibrated(first, s.measured)
                elif s.reward is not None:
                    known[s.episode] = s.reward
            return known

    def _first_measured(self) -> list[float]:
        """Values of the pictures that automatic rewards are calibrated on."""
        values = [s.measured for _, s in sorted(self.episodes.items()) if s.status == "scored" and s.measured is not None]
        return values[:self.spec.calibration_episodes]

    def suggestion(self, measured: float) -> float | None:
        """What the automatic reward would say, 0..1; None while there is nothing to compare with."""
        with self._changing:
            first = self._first_measured()
            return calibrated(first, measured) if len(first) >= 2 else None

    def scored(self) -> list[ScoredEpisode]:
        """What the search may learn from, in order: scored episodes but for those without a residual."""
        with self._changing:
            return [ScoredEpisode(k, np.array(self.episodes[k].eps), reward) for k, reward in self.rewards().items()
                    if self.episodes[k].eps is not None and not self.episodes[k].control]

    def finished(self) -> list[EpisodeState]:
        """Copies of the episodes with a final status, in order."""
        with self._changing:
            return [replace(s) for _, s in sorted(self.episodes.items()) if s.status in FINAL]

    def best_reward(self) -> float:
        """The best reward so far, NaN before the first."""
        return max(self.rewards().values(), default=math.nan)


def amend_folder(folder: Path, episode: int, reward: float, success: bool | None, voided: bool, note: str,
                 tell: Callable[[Session, EpisodeState], None]) -> None:
    """Amend an episode of a session that does not run.

    Args:
        tell: told of it while the session is open, to record it elsewhere.

    Raises:
        DeftError: as Session and Session.amend; BAD_GOAL where the folder holds no session.
    """
    path = folder / "journal.jsonl"
    if not path.is_file():
        raise DeftError(codes.BAD_GOAL, f"there is no session in {folder}")
    opened, known = _configured(migrated(peek(path), folder), path)
    spec = SessionSpec(opened["task"], opened["method"], 0, opened["seed"], opened["object_set"], known["config_hash"],
                       known["calibration_hash"], tuple(opened["residual_names"]), known["resolved"])
    session = Session(folder, spec)
    try:
        state = session.amend(episode, reward, success, voided, note)
        (folder / "summary.json").unlink(missing_ok=True)  # it says what was recommended before
        tell(session, state)
    finally:
        session.close()


def _configured(records: list[Record], path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a session was opened with, and its last configuration. Raises DeftError JOURNAL_FAILED: it has no beginning."""
    if not records or records[0].kind != "opened":
        raise DeftError(codes.JOURNAL_FAILED, f"{path} does not begin with the opening of a session; use another session "
                        "folder")
    return records[0].data, next(r.data for r in reversed(records) if r.kind in ("opened", "reconfigured"))


def different(before: dict[str, Any], now: dict[str, Any], path: str = "") -> list[str]:
    """'search.deft.elites: 5 -> 7' for every value that differs between two configurations."""
    found: list[str] = []
    for key in [*before, *(k for k in now if k not in before)]:
        name = f"{path}{key}"
        a, b = before.get(key, "(none)"), now.get(key, "(none)")
        if isinstance(a, dict) and isinstance(b, dict):
            found += different(a, b, f"{name}.")
        elif a != b and name not in ("config_hash", "episodes"):
            found.append(f"{name}: {_short(a)} -> {_short(b)}")
    return found


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
