"""EPIC-KITCHENS-100: narrated actions in kitchens, as frames, with hand-object detections.

Under the root: EPIC_100_train.csv and EPIC_100_validation.csv (either will do), optionally EPIC_100_video_info.csv; frames as
<participant>/rgb_frames/<video>/frame_0000000001.jpg or <participant>/<video>/...; detections as
hand-objects/<participant>/<video>.pkl. A clip is an action and the second before it, in which the hand reaches out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from deft_core.errors import ConfigError
from deft_human_video.clip import Annotation, Clip, Detections
from deft_human_video.errors import ClipError
from deft_human_video.readers.hand_object_protobuf import parsed, read_detections
from deft_human_video.readers.reader import Problem, rows_of
from deft_human_video.video import ImageFrames

COLUMNS = ("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp", "start_frame", "stop_frame",
           "narration")
TABLES = ("EPIC_100_train.csv", "EPIC_100_validation.csv")
LEAD = 1.0        # s before the action
USUAL_FPS = 60.0  # of the frames of most videos, where nothing tells
NAME = re.compile(r"[A-Za-z0-9_-]+")


class EpicReader:
    """See Reader. Keys are narration ids: P01_01_0."""

    name = "epic"

    def __init__(self, root: Path) -> None:
        tables = [root / name for name in TABLES if (root / name).is_file()]
        if not tables:
            raise ConfigError(f"'{root}' has neither {' nor '.join(TABLES)}")
        self._root, self._problems = root, list[Problem]()
        self._actions: dict[str, tuple[dict[str, str], Path]] = {}
        for table in tables:
            self._read(table)
        info = root / "EPIC_100_video_info.csv"
        rows = rows_of(info, ("video_id", "fps")) if info.is_file() else []
        self._fps = {row["video_id"]: row["fps"] for row in rows if "fps" in row}
        self._detections = lru_cache(maxsize=2)(read_detections)  # a video's actions come one after the other

    def _read(self, table: Path) -> None:
        try:
            rows = rows_of(table, COLUMNS)
        except ClipError as error:
            raise ConfigError(str(error)) from None
        for number, row in enumerate(rows, start=2):
            key = row.get("narration_id", "")
            if set(row) < set(COLUMNS):
                self._problems.append(Problem(key, str(table), f"line {number} is cut off"))
            elif not (NAME.fullmatch(key) and NAME.fullmatch(row["video_id"]) and NAME.fullmatch(row["participant_id"])):
                self._problems.append(Problem(key, str(table),
                                              f"line {number} has no proper narration, video or participant id"))
            elif key in self._actions:
                self._problems.append(Problem(key, str(table), f"line {number} repeats the narration id"))
            else:
                self._actions[key] = (row, table)

    def keys(self) -> tuple[list[str], list[Problem]]:
        return sorted(self._actions), list(self._problems)

    def open(self, key: str) -> Clip:
        row, table = self._actions[key]
        try:
            start, stop = int(row["start_frame"]), int(row["stop_frame"])
        except ValueError:
            raise ClipError(table,
                            f"start_frame '{row['start_frame']}' and stop_frame '{row['stop_frame']}' are no numbers") from None
        if not 1 <= start < stop:
            raise ClipError(table, f"frames {start} to {stop} are no stretch of a video, which begins at 1")
        if not row["narration"].strip():
            raise ClipError(table, "the narration is empty")
        fps = self._rate(row, start, stop, table)
        begin = max(start - round(LEAD * fps), 1)
        frames = ImageFrames([self._folder(row) / f"frame_{i:010d}.jpg" for i in range(begin, stop + 1)])
        height, width = frames.rgb(0).shape[:2]
        return Clip(key, self.name, row["narration"].strip(), frames, fps,
                    annotation=Annotation(detections=self._found(row, begin, stop, width, height)),
                    thing=f"{row['participant_id']}/{row.get('noun', '')}")

    def _folder(self, row: dict[str, str]) -> Path:
        person = self._root / row["participant_id"]
        places = (person / "rgb_frames" / row["video_id"], person / row["video_id"])
        return next((place for place in places if place.is_dir()), places[0])

    def _rate(self, row: dict[str, str], start: int, stop: int, table: Path) -> float:
        """Frames a second, by the video's table or by the action's times."""
        try:
            if row["video_id"] in self._fps:
                fps = float(self._fps[row["video_id"]])
            else:
                seconds = _seconds(row["stop_timestamp"]) - _seconds(row["start_timestamp"])
                fps = (stop - start) / seconds if seconds > 0 else USUAL_FPS
        except ValueError as error:
            raise ClipError(table, f"its times cannot be read: {error}") from None
        if not 1.0 <= fps <= 240.0:
            raise ClipError(table, f"{fps:g} frames a second cannot be")
        return fps

    def _found(self, row: dict[str, str], begin: int, stop: int, width: int, height: int) -> dict[int, Detections]:
        path = self._root / "hand-objects" / row["participant_id"] / f"{row['video_id']}.pkl"
        if not path.is_file():
            return {}
        messages = self._detections(path)
        if len(messages) < stop:
            raise ClipError(path, f"it ends at frame {len(messages)}, the action at {stop}")
        return {i - begin: parsed(messages[i - 1], i, width, height, path) for i in range(begin, stop + 1)}


def _seconds(stamp: str) -> float:
    """Of HH:MM:SS.ss."""
    hours, minutes, seconds = stamp.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
