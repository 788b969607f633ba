"""Ego4D's forecasting hands and objects (FHO): narrated state changes, with boxes in key frames.

Under the root: annotations/fho_main.json (v2) or annotations/fho.json (v1), and full_scale/<video>.mp4 (or video_540ss, whose
boxes are scaled). A clip runs from the first annotated frame before the action to a second after the contact.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from deft_core.errors import ConfigError
from deft_human_video.clip import PORTABLE, Annotation, Box, Clip, Detections, HandBox, ObjectBox
from deft_human_video.errors import ClipError
from deft_human_video.readers.reader import Problem, json_of
from deft_human_video.video import VideoFrames

LISTS = ("annotations/fho_main.json", "annotations/fho.json")
VIDEOS = ("full_scale", "video_540ss")
CONTACT, TOUCHING = "contact_frame", ("contact_frame", "pnr_frame", "post_frame")
AFTER = 1.0   # s after the contact
LEAD = 1.5    # s before it, where no earlier frame is annotated
WEARER = re.compile(r"^#?\s*C\s+C\s+", re.IGNORECASE)  # "#C C picks up a cup": the wearer does it, nobody else


class Ego4dReader:
    """See Reader. Keys are <video uid>/<action uid>."""

    name = "ego4d"

    def __init__(self, root: Path) -> None:
        self._list = next((root / name for name in LISTS if (root / name).is_file()), None)
        if self._list is None:
            raise ConfigError(f"'{root}' has neither {' nor '.join(LISTS)}")
        self._root = root
        try:
            data = json_of(self._list)
        except ClipError as error:
            raise ConfigError(str(error)) from None
        self._actions: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._problems: list[Problem] = []
        for uid, video in self._videos(data):
            self._collect(uid, video)

    def _videos(self, data: Any) -> list[tuple[str, dict[str, Any]]]:
        """v2 lists videos, v1 keys them by uid."""
        if isinstance(data, dict) and isinstance(data.get("videos"), list):
            pairs = [(v.get("video_uid"), v) for v in data["videos"] if isinstance(v, dict)]
        elif isinstance(data, dict) and isinstance(data.get("video_data"), dict):
            pairs = list(data["video_data"].items())
        else:
            raise ConfigError(f"'{self._list}' has neither 'videos' nor 'video_data'")
        return [(str(uid), video) for uid, video in pairs]

    def _collect(self, uid: str, video: dict[str, Any]) -> None:
        """The wearer's valid actions of a video. Redacted stretches have none; rejected and partial ones are left out."""
        if not isinstance(video, dict) or not isinstance(video.get("annotated_intervals") or [], list):
            self._problems.append(Problem(uid, str(self._list), "the video has no list 'annotated_intervals'"))
            return
        for interval in video.get("annotated_intervals") or []:
            if not isinstance(interval, dict) or not isinstance(interval.get("narrated_actions") or [], list):
                self._problems.append(Problem(uid, str(self._list), "an interval has no list 'narrated_actions'"))
                continue
            if interval.get("redacted"):
                continue
            for action in interval.get("narrated_actions") or []:
                if not isinstance(action, dict) or not isinstance(action.get("uid"), str):
                    self._problems.append(Problem(uid, str(self._list), "an action has no uid"))
                elif _wanted(action):
                    self._actions[f"{uid}/{action['uid']}"] = (video, action)

    def keys(self) -> tuple[list[str], list[Problem]]:
        return sorted(self._actions), list(self._problems)

    def open(self, key: str) -> Clip:
        video, action = self._actions[key]
        assert self._list is not None
        meta = video.get("video_metadata") or {}
        try:
            fps, width = float(meta["fps"]), int(meta["width"])
            if not (1.0 <= fps <= 240.0 and width > 0):
                raise ValueError(f"fps {fps:g}, width {width}")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ClipError(self._list, f"the video's metadata lack fps and width: {error!r}") from None
        frames = self._key_frames(action)
        contact = next((number for kind, number, _ in frames if kind == CONTACT), None)
        if contact is None:
            raise ClipError(self._list, "the action has no contact_frame")
        early = [number for _, number, _ in frames if number < contact]
        begin = min(early) if early else max(contact - round(LEAD * fps), 0)
        path = next((self._root / folder / f"{key.split('/')[0]}.mp4" for folder in VIDEOS
                     if (self._root / folder / f"{key.split('/')[0]}.mp4").is_file()),
                    self._root / VIDEOS[0] / f"{key.split('/')[0]}.mp4")
        pictures = VideoFrames(path, begin, contact + round(AFTER * fps))
        scale = pictures.rgb(0).shape[1] / width
        detections = {number - begin: _detections(boxes, kind in TOUCHING, scale, self._list)
                      for kind, number, boxes in frames if 0 <= number - begin < len(pictures)}
        return Clip(key, self.name, WEARER.sub("", action["narration_text"]).strip(" ."), pictures, fps,
                    annotation=Annotation(contact - begin, detections))

    def _key_frames(self, action: dict[str, Any]) -> list[tuple[str, int, list[Any]]]:
        """Kind, number in the video, and boxes of the annotated frames."""
        assert self._list is not None
        frames = action.get("frames")
        if not isinstance(frames, list) or not frames:
            raise ClipError(self._list, "the action has no annotated frames")
        try:
            found = [(str(f["frame_type"]), int(f["frame_number"]),
                      list(f.get("boxes") or f.get("bbox") or [])) for f in frames]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ClipError(self._list, f"an annotated frame lacks its type or number: {error!r}") from None
        if min(number for _, number, _ in found) < 0:
            raise ClipError(self._list, "an annotated frame has a negative number")
        return found


def _wanted(action: dict[str, Any]) -> bool:
    """Valid, and the wearer's own."""
    text = action.get("narration_text")
    return (isinstance(text, str) and bool(WEARER.match(text)) and bool(action.get("is_valid_action", True))
            and not action.get("is_rejected") and not action.get("is_invalid_annotation"))


def _detections(boxes: list[Any], touching: bool, scale: float, path: Path) -> Detections:
    hands, things = [], []
    for entry in boxes:
        try:
            kind, box = str(entry["object_type"]), entry["bbox"]
            corners = np.array([box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]], float) * scale
            if not np.isfinite(corners).all() or box["width"] < 0 or box["height"] < 0:
                raise ValueError(f"a box of {corners.tolist()}")
        except (KeyError, TypeError, ValueError) as error:
            raise ClipError(path, f"a box lacks its type or x, y, width, height: {error!r}") from None
        found: Box = tuple(corners.tolist())
        if kind in ("left_hand", "right_hand"):
            hands.append((kind, found))
        elif kind in ("object_of_change", "tool"):
            things.append(ObjectBox(found, 1.0, str(entry.get("structured_noun") or kind)))
    at = None
    if touching and things:
        left, top, right, bottom = things[0].box
        at = ((left + right) / 2, (top + bottom) / 2)
    return Detections(tuple(HandBox(box, 1.0, "left" if kind == "left_hand" else "right", PORTABLE if at else 0, at)
                            for kind, box in hands), tuple(things))
