"""A picture of many labels, for a person to look at: would they agree?"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deft_human_video.labels.shards import read_labels

COLUMNS, ROWS = 4, 8
HEIGHT = 180       # pixels of a label's pictures
WIDTH = 2 * 240
CAPTION = 20


def draw_sheet(folder: Path, path: Path) -> None:
    """A PNG of labels from all over the extraction: contact frame with fitted hand, crop with contact."""
    labels = list(islice(read_labels(folder), 4000))
    chosen = [labels[i] for i in np.linspace(0, len(labels) - 1, min(COLUMNS * ROWS, len(labels))).astype(int)]
    tiles = [tile(label) for label in chosen]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i:i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows)[:, :, ::-1])


def tile(label: dict[str, Any]) -> NDArray[np.uint8]:
    """One label: contact frame and crop beside each other, the task's text below."""
    crop = label["crop"].copy()
    radius = max(round(max(crop.shape[:2]) / 60), 1)
    for point in label["points"]:
        cv2.circle(crop, _pixel(point), radius, (255, 230, 0), -1, cv2.LINE_AA)
    for mean, deviation in zip(label["means"], label["deviations"], strict=True):
        axes = (max(round(deviation[0]), 1), max(round(deviation[1]), 1))
        cv2.ellipse(crop, _pixel(mean), axes, 0, 0, 360, (0, 220, 255), max(radius // 2, 1), cv2.LINE_AA)
    cv2.circle(crop, _pixel(label["contact"]), 2 * radius, (255, 0, 60), -1, cv2.LINE_AA)
    canvas = np.full((HEIGHT + CAPTION, WIDTH, 3), 255, np.uint8)
    for k, image in enumerate((label["contact_picture"], crop)):
        shown = _fitted(image)
        canvas[:shown.shape[0], k * WIDTH // 2:k * WIDTH // 2 + shown.shape[1]] = shown
    side = ", left hand mirrored" if label["mirrored"] else ""
    cv2.putText(canvas, f"{label['text']} (frame {label['contact_frame']}{side})", (4, HEIGHT + 14), cv2.FONT_HERSHEY_SIMPLEX,
                0.42,
                (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def _pixel(point: list[float]) -> tuple[int, int]:
    return round(point[0]), round(point[1])


def _fitted(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = min(HEIGHT / image.shape[0], WIDTH / 2 / image.shape[1])
    size = (max(int(image.shape[1] * scale), 1), max(int(image.shape[0] * scale), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
