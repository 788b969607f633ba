"""What a bag says of a session: its episodes as they were last known, with what was seen."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from deft_bag import codes
from deft_bag.definitions import EPISODE, STATUS, STRING
from deft_bag.reader import Bag
from deft_core.errors import DeftError
from deft_core.residual import ResidualSpace
from deft_core.types import Array, GraspParameters
from deft_core.vision import Picture

SUCCESS = {1: False, 2: True}        # of Episode.success
MOVING = ("comparison", "automatic")  # sources of rewards that change as later episodes come
EXECUTED = "executed"
CONFIGURATION = "session_config"  # end of the topic that carries it
ADVICE = "record it with `ros2 bag record /deft/episode /deft/session_status`, or fit from a session's own bag"


@dataclass(frozen=True)
class RecordedEpisode:
    """One episode; the last attempt and the last answer count.

    Attributes:
        status: scored | infeasible | aborted | void | executed (nobody has answered) | retry.
        reward: 0..1, NaN when it has none.
        xi, executed: the prior's grasp and what the robot was sent to, base frame; None where the record has none.
        eps: (n,) what was added to xi, metres and rad; empty without any.
        crop: (h, w, 3) RGB of the object before the grasp; None where the bag has none.
        phases: (name, start, end), s of robot clock.
        record: running numbers of attempt and revision, to tell which of two records is the later.
    """

    episode: int
    attempt: int
    revision: int
    status: str
    reward: float
    source: str
    success: bool | None
    control: bool
    repeat_of: int | None
    note: str
    xi: GraspParameters | None
    executed: GraspParameters | None
    eps: Array
    crop: Picture | None
    phases: tuple[tuple[str, float, float], ...]
    seconds: dict[str, float]

    @property
    def order(self) -> tuple[int, int, bool]:
        """The greater, the later the record."""
        return self.attempt, self.revision, self.status != EXECUTED

    @property
    def learnable(self) -> bool:
        """Whether something can be learned from it: it was scored, and it had a residual."""
        return self.status == "scored" and math.isfinite(self.reward) and self.eps.size > 0 and not self.control


@dataclass(frozen=True)
class RecordedSession:
    """A session as a bag has it.

    Attributes:
        text: of the task, as the prior was asked; its name where the bag has no configuration.
        space: where eps lives.
        episodes: in order.
        warnings: what was lost or is missing, a sentence each.
    """

    id: str
    task: str
    text: str
    object_set: str
    seed: int
    hand: str
    robot: str
    software_version: str
    space: ResidualSpace
    episodes: tuple[RecordedEpisode, ...]
    warnings: tuple[str, ...]

    def elites(self, count: int) -> list[RecordedEpisode]:
        """The best of what can be learned from, best first; of equal rewards the later one wins, as in the search."""
        return sorted((e for e in self.episodes if e.learnable), key=lambda e: (e.reward, e.episode), reverse=True)[:count]


def bag_of(path: Path) -> Path:
    """The bag of a session's folder, or the bag itself."""
    return path / "bag" if (path / "bag").is_dir() else path


def read_session(path: Path, session: str = "", on_read: Callable[[int], None] = lambda n: None) -> RecordedSession:
    """A session from a bag alone.

    Args:
        path: a bag, or the folder of a session that has one.
        session: its id; "" when the bag holds one session only.

    Raises:
        DeftError: BAD_BAG; no bag, no such session, several and none named, or a topic is missing.
    """
    with Bag(bag_of(path)) as bag:
        if EPISODE not in bag.topics.values():
            raise DeftError(codes.BAD_BAG, f"{path} has no topic of type {EPISODE} (usually /deft/episode); it has "
                            f"{', '.join(sorted(bag.topics)) or 'none at all'}; {ADVICE}")
        gathered = _Gathered()
        for message in bag.messages((EPISODE, STATUS, STRING), on_read):
            if message.type != STRING:
                gathered.take(message.decoded(), message.time)
            elif message.topic.endswith(CONFIGURATION):
                gathered.configure(message.decoded().data)
        if not gathered.heads:
            raise DeftError(codes.BAD_BAG, f"{path} has the topic of the episodes, but none of it can be read"
                            + (f": {'; '.join(bag.lost)}" if bag.lost else "; it was recorded before the first episode ended"))
        name = _chosen(session, gathered.heads, path)
        return gathered.session(name, bag.lost)


def _chosen(session: str, heads: Iterable[str], path: Path) -> str:
    """The session that is meant. Raises DeftError."""
    known = sorted(heads)
    if session and session not in known:
        raise DeftError(codes.BAD_BAG, f"{path} has no session '{session}'; it has {', '.join(known)}")
    if not session and len(known) > 1:
        raise DeftError(codes.BAD_BAG, f"{path} holds several sessions, name one (--session-id): {', '.join(known)}")
    return session or known[0]


class _Gathered:
    """Messages, put together as they come. Their order does not matter."""

    def __init__(self) -> None:
        self.heads: dict[str, Any] = {}  # session -> an Episode message that has a residual, if any has
        self._episodes: dict[str, dict[int, RecordedEpisode]] = {}
        self._statuses: dict[str, tuple[int, dict[int, float]]] = {}  # session -> when, rewards by episode
        self._texts: dict[str, str] = {}  # by task

    def configure(self, text: str) -> None:
        """The configuration of a session. One that cannot be read is passed over: it is not needed."""
        with contextlib.suppress(yaml.YAMLError, TypeError, KeyError):
            task = yaml.safe_load(text)["task"]
            self._texts[str(task["name"])] = str(task["phrasings"][0])

    def take(self, message: Any, time: int) -> None:
        """An Episode or a SessionStatus."""
        if not message.session:
            return
        if hasattr(message, "statuses"):
            rewards = dict(zip((int(k) for k in getattr(message, "finished_episodes", ())), map(float, message.rewards),
                               strict=False))
            if time >= self._statuses.get(message.session, (-1, {}))[0]:
                self._statuses[message.session] = time, rewards
            return
        if message.session not in self.heads or not len(self.heads[message.session].eps.names):
            self.heads[message.session] = message
        known = self._episodes.setdefault(message.session, {})
        new, old = _episode(message), known.get(int(message.episode))
        if old is not None:
            first, second = (old, new) if new.order >= old.order else (new, old)
            new = _joined(first, second)
        known[new.episode] = new

    def session(self, name: str, lost: list[str]) -> RecordedSession:
        """Everything that is known of one session."""
        head, known = self.heads[name], self._episodes[name]
        moved = self._statuses.get(name, (0, {}))[1]
        episodes = tuple(replace(e, reward=moved.get(k, e.reward)) if e.source in MOVING and e.status == "scored" else e
                         for k, e in sorted(known.items()))
        warnings = list(lost)
        blind = [e.episode for e in episodes if e.learnable and e.crop is None]
        if blind:
            warnings.append(f"the bag has no picture of episodes {', '.join(map(str, blind))}; policies do without it")
        gone = sorted(set(range(episodes[-1].episode + 1)) - set(known))
        if gone:
            warnings.append(f"the bag has no record of episodes {', '.join(map(str, gone))}")
        text = self._texts.get(head.task, head.task)
        return RecordedSession(name, head.task, text, head.object_set, int(head.seed), head.hand, head.robot,
                               head.software_version, _space(head), episodes, tuple(warnings))


def _joined(earlier: RecordedEpisode, later: RecordedEpisode) -> RecordedEpisode:
    """The later record, with what only the earlier one of the same attempt says."""
    if earlier.attempt != later.attempt:
        return later
    return replace(later, crop=earlier.crop if later.crop is None else later.crop, xi=later.xi or earlier.xi,
                   executed=later.executed or earlier.executed, eps=later.eps if later.eps.size else earlier.eps,
                   phases=later.phases or earlier.phases)


def _episode(message: Any) -> RecordedEpisode:
    """From a decoded message."""
    repeat = int(getattr(message, "repeat_of", -1))
    return RecordedEpisode(
        int(message.episode), int(message.attempt), int(getattr(message, "revision", 0)), message.status,
        float(message.reward), getattr(message, "reward_source", "operator"), SUCCESS.get(int(message.success)),
        bool(getattr(message, "control", False)), None if repeat < 0 else repeat, message.note, _grasp(message.xi),
        _grasp(message.executed), np.array(message.eps.values, float), _crop(message.observation.rgb_crop),
        tuple((p.phase, _seconds(p.start), _seconds(p.end)) for p in message.phases),
        dict(zip(message.timing_names, map(float, message.timing_seconds), strict=False)))


def _grasp(message: Any) -> GraspParameters | None:
    """A grasp, None where the record has none."""
    if not len(message.joint_names):
        return None
    return GraspParameters(_vector(message.contact), _vector(message.wrist_rotation), tuple(message.joint_names),
                           np.array(message.joint_positions, float), message.hand, message.header.frame_id,
                           _vector(message.trajectory_offset) if hasattr(message, "trajectory_offset") else np.zeros(3))


def _vector(message: Any) -> Array:
    return np.array([message.x, message.y, message.z], float)


def _seconds(stamp: Any) -> float:
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def _crop(image: Any) -> Picture | None:
    """The object's picture; None where the record has none. Raises DeftError BAD_BAG: its size and bytes do not fit."""
    if not image.height:
        return None
    data = np.frombuffer(bytes(image.data), np.uint8)
    if image.encoding != "rgb8" or data.size != image.height * image.width * 3:
        raise DeftError(codes.BAD_BAG, f"the crop of an episode is {image.width} x {image.height} {image.encoding} in "
                        f"{data.size} bytes; needed is rgb8")
    return data.reshape(image.height, image.width, 3)


def _space(message: Any) -> ResidualSpace:
    """Where eps lives. Raises DeftError BAD_BAG: the record does not say."""
    eps, nothing = message.eps, np.zeros(0)
    try:
        return ResidualSpace.named(tuple(eps.names), getattr(eps, "sigma", nothing), getattr(eps, "bound", nothing))
    except ValueError:
        raise DeftError(codes.BAD_BAG, f"the records of session {message.session} do not say in what units eps is (sigma and "
                        "bound of Residual); they were made by an earlier DEFT, or no episode has a residual") from None
