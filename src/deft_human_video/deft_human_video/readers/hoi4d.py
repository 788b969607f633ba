"""HOI4D: RGB-D videos of a hand with one object each. Layout: https://github.com/leolyliu/HOI4D-Instructions

A root folder holds HOI4D_release, HOI4D_annotations, HOI4D_depth_video, camera_params and Hand_pose (or the older handpose), or
one tree with everything of a sequence together. Videos have 15 frames a second, numbered from 0. Depth, hand poses and
annotations may be missing; hand poses are missing in some frames of nearly every sequence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from deft_core.errors import ConfigError
from deft_core.types import Intrinsics
from deft_human_video.clip import Annotation, Clip, HandPose, scaled
from deft_human_video.errors import ClipError
from deft_human_video.readers.reader import Problem, json_of, numbers, rows_of, unpickled
from deft_human_video.video import VideoFrames, probe
from deft_retarget.skeleton import SIDES, Side

FPS = 15.0
SEQUENCE = re.compile(r"ZY\d+/H\d+/C\d+/N\d+/S\d+/s\d+/T\d+")
CATEGORIES = {1: "toy car", 2: "mug", 3: "laptop", 4: "drawer", 5: "bottle", 6: "safe", 7: "bowl", 8: "bucket", 9: "scissors",
              11: "pliers", 12: "kettle", 13: "knife", 14: "trash can", 17: "lamp", 18: "stapler", 20: "chair"}
# What the annotators call an action, and how people would say it
VERBS = {"pickup": "pick up the", "putdown": "put down the", "open": "open the", "close": "close the", "push": "push the",
         "pull": "pull the", "dump": "pour from the", "carry": "carry the", "carrywithbothhands": "carry the",
         "cut": "cut with the",
         "paper-cut": "cut paper with the", "binding": "staple with the", "press": "press the",
         "turn&on&the&switch": "switch on the", "clamp": "clamp with the"}
APPROACH = ("rest", "reachout", "stop")  # events before the hand touches anything
SHORT_CLOCK, LONG_CLOCK = 10.0, 20.0     # s that a recording lasts by its annotation's clock, where it does not say
KEYPOINTS = 21
LARGEST_TURN = 20.0  # rad, what no joint's rotation vector reaches


class Hoi4dReader:
    """See Reader. Keys are sequences: ZY2021.../H1/C1/N19/S100/s02/T1."""

    name = "hoi4d"

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ConfigError(f"there is no folder '{root}'")
        self._root = root
        self._release = root / "HOI4D_release" if (root / "HOI4D_release").is_dir() else root
        self._texts = self._own_texts()

    def keys(self) -> tuple[list[str], list[Problem]]:
        listed = self._root / "release.txt"
        if listed.is_file():
            lines = [line.strip().strip("/") for line in listed.read_text(errors="replace").splitlines() if line.strip()]
            wrong = [Problem("", str(listed),
                             f"'{line[:60]}' is no sequence") for line in lines if not SEQUENCE.fullmatch(line)]
            return sorted({line for line in lines if SEQUENCE.fullmatch(line)}), wrong
        found = {folder.parent.relative_to(self._release).as_posix()
                 for folder in self._release.glob("ZY*/H*/C*/N*/S*/s*/T*/align_rgb")}
        keys = sorted(key for key in found if SEQUENCE.fullmatch(key))
        if not keys:
            raise ConfigError(f"'{self._root}' has no HOI4D sequence: HOI4D_release/ZY.../H*/C*/N*/S*/s*/T*/align_rgb is "
                              "expected in it")
        return keys, []

    def open(self, key: str) -> Clip:
        video = self._release / key / "align_rgb/image.mp4"
        width, height, _ = probe(video)
        intrinsics = self._intrinsics(key, width, height)
        depth = self._part(key, "HOI4D_depth_video", "align_depth/depth_video.avi")
        frames = VideoFrames(video, depth=depth if depth.is_file() else None)
        shown = frames.rgb(0).shape
        events = self._events(key, len(frames))
        return Clip(key, self.name, self._text(key, events), frames, FPS, scaled(intrinsics, shown[1], shown[0]),
                    Annotation(contact_frame=_contact(events), hands=self._hands(key, shown[1] / width, len(frames))),
                    thing="/".join(key.split("/")[2:4]))

    def _part(self, key: str, archive: str, name: str) -> Path:
        """A sequence's file in the folder of its archive, or beside the others."""
        apart = self._root / archive / key / name
        return apart if apart.parent.is_dir() else self._release / key / name

    def _intrinsics(self, key: str, width: int, height: int) -> Intrinsics:
        path = self._root / "camera_params" / key.split("/")[0] / "intrin.npy"
        try:
            matrix = numbers(np.load(path, allow_pickle=False), 9, path, "intrin").reshape(3, 3)
        except FileNotFoundError:
            raise ClipError(path, "the camera's intrinsics are missing") from None
        except (OSError, ValueError, EOFError) as error:
            raise ClipError(path, f"it is no .npy of a matrix: {error}") from None
        if not (matrix[0, 0] > 0 and matrix[1, 1] > 0):
            raise ClipError(path, f"focal lengths must be positive, they are {matrix[0, 0]:g} and {matrix[1, 1]:g}")
        fx, fy, cx, cy = (float(matrix[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
        return Intrinsics(width, height, fx, fy, cx, cy)

    def _events(self, key: str, frames: int) -> list[tuple[str, int]]:
        """Names and first frames of the annotated actions, in order of time."""
        path = self._part(key, "HOI4D_annotations", "action/color.json")
        if not path.is_file() or not path.stat().st_size:  # a sequence was published with an empty file
            return []
        data = json_of(path)
        try:
            info = data.get("info", {})
            marks = data["events"] if "events" in data else data["markResult"]["marks"]
            found = [(str(m["event"]).lower(), float(m.get("startTime", m.get("hdTimeStart"))),
                      float(m.get("endTime", m.get("hdTimeEnd")))) for m in marks]
            last = max((end for _, _, end in found), default=0.0)
            clock = float(info.get("duration") or info.get("Duration") or (SHORT_CLOCK if last < 12.0 else LONG_CLOCK))
            if not (np.isfinite(clock) and clock > 0 and np.isfinite([a for _, a, _ in found]).all()):
                raise ValueError("times that are not finite")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ClipError(path, f"it has no list of events: {type(error).__name__}: {error}") from None
        return [(name, min(max(round(start * frames / clock), 0), frames - 1))
                for name, start, _ in sorted(found, key=lambda e: e[1])]

    def _text(self, key: str, events: list[tuple[str, int]]) -> str:
        category, task = (part for part in key.split("/") if part[0] in "CT")
        if (category, task) in self._texts:
            return self._texts[category, task]
        noun = CATEGORIES.get(int(category[1:]), "object")
        verb = next((VERBS[name] for name, _ in events if name in VERBS), "take the")
        return f"{verb} {noun}"

    def _own_texts(self) -> dict[tuple[str, str], str]:
        """Texts by category and task where definitions/clips.csv gives them."""
        path = self._root / "definitions/clips.csv"
        if not path.is_file():
            return {}
        rows = rows_of(path, ("category", "task", "text"))
        return {(row["category"], row["task"]): row["text"] for row in rows if "text" in row}

    def _hands(self, key: str, scale: float, frames: int) -> dict[int, tuple[HandPose, ...]]:
        out: dict[int, tuple[HandPose, ...]] = {}
        for side in SIDES:
            folders = (self._root / f"Hand_pose/handpose_{side}_hand" / key,
                       self._root / f"handpose/refinehandpose_{side}" / key)
            folder = next((f for f in folders if f.is_dir()), None)
            for path in sorted(folder.glob("*.pickle")) if folder else ():
                if not path.stem.isdigit():
                    raise ClipError(path, "its name is not a frame's number")
                if int(path.stem) < frames:
                    pose = _hand(unpickled(path), path, side, scale)  # type: ignore[arg-type]
                    out[int(path.stem)] = (*out.get(int(path.stem), ()), pose)
        return out


def _contact(events: list[tuple[str, int]]) -> int | None:
    """The hand touches when something other than reaching out begins."""
    return next((frame for name, frame in events if name not in APPROACH and frame > 0), None)


def _hand(data: Any, path: Path, side: Side, scale: float) -> HandPose:
    if not isinstance(data, dict) or not {"poseCoeff", "trans"} <= data.keys():
        raise ClipError(path, "it has no 'poseCoeff' and 'trans'")
    pose = numbers(data["poseCoeff"], 48, path, "poseCoeff")
    if np.abs(pose).max() > LARGEST_TURN:
        raise ClipError(path, f"'poseCoeff' has a turn of {np.abs(pose).max():g} rad")
    pixels = None
    if "kps2D" in data:
        pixels = scale * numbers(data["kps2D"], 2 * KEYPOINTS, path, "kps2D").reshape(KEYPOINTS, 2)
    return HandPose(side, pose[3:], pose[:3], numbers(data["trans"], 3, path, "trans"), pixels)
