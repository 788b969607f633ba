"""Pictures of looks that went wrong, for the person who mends it."""

from __future__ import annotations

import re
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deft_perception.scene import Mask

EVERY = 5.0          # s, at most so often a picture of the same trouble
KEEP = 50            # pictures; the oldest go
OWN = re.compile(r"\d{8}T\d{6}\.\d{6}-[a-z0-9_]+\.png")  # names of these pictures; other files are left alone
LINE = 16            # pixels, height of a line of text
CHARACTERS = 78


class DebugPictures:
    """A folder of PNG files, `<time>-<what>.png`: colour with the mask's outline beside depth, and what was wrong.

    Trouble that lasts, like a camera that is waited for, gets a picture every few seconds, not one for every try.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._latest: tuple[str, float, Path] | None = None  # what, when (s, monotonic), where

    def save(self, what: str, message: str, rgb: NDArray[np.uint8] | None, depth: NDArray[np.float32] | None,
             mask: Mask | None = None) -> Path | None:
        """Write a picture; None when there is nothing to show or the disk refuses (the reason matters more than the "
          "picture)."""
        if rgb is None:
            return None
        if self._latest and self._latest[0] == what and time.monotonic() - self._latest[1] < EVERY:
            return self._latest[2]
        picture = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        if mask is not None:
            contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, contours, -1, (0, 255, 0), 2)
        if depth is not None and depth.shape == rgb.shape[:2]:
            picture = np.hstack([picture, _coloured(depth)])
        lines = textwrap.wrap(f"{what}: {message}", CHARACTERS)
        banner = np.full((LINE * len(lines) + 8, picture.shape[1], 3), 255, np.uint8)
        for k, line in enumerate(lines):
            cv2.putText(banner, line, (4, LINE * (k + 1)), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        path = self._folder / f"{stamp}-{re.sub(r'[^a-z0-9]+', '_', what.lower())}.png"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            written = cv2.imwrite(str(path), np.vstack([banner, picture]))
            for old in sorted(p for p in self._folder.glob("*.png") if OWN.fullmatch(p.name))[:-KEEP]:
                old.unlink()
        except (OSError, cv2.error):
            return None
        if not written:
            return None
        self._latest = what, time.monotonic(), path
        return path


def _coloured(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(h, w, 3) bgr: near is red, far is blue, none is black."""
    known = np.isfinite(depth)
    if not known.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    near, far = np.percentile(depth[known], [2, 98])
    grey = np.where(known, np.clip((far - depth) / max(far - near, 1e-3), 0.0, 1.0) * 255, 0).astype(np.uint8)
    return np.asarray(np.where(known[..., None], cv2.applyColorMap(grey, cv2.COLORMAP_JET), 0), np.uint8)
