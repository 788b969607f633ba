"""Draw docs/images/human_video: one clip of each purpose, and labels made from clips.

    . .venv/deft_env.sh
    python tools/human_video_pictures.py CLIPS LABELS      # folders of deft synthesize and deft extract
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from deft_human_video.labels.contact_sheet import tile
from deft_human_video.labels.shards import read_labels
from deft_human_video.readers.hoi4d import Hoi4dReader

TARGET = Path(__file__).resolve().parents[1] / "docs/images/human_video"
MOMENTS = (-1000, -7, 0, 8, 16)  # frames from the contact on
WIDTH, COLUMNS, CAPTION = 150, 2, 16


def clips_picture(clips: Path) -> np.ndarray:
    """Rows of frames, one clip of each purpose."""
    reader, rows, seen = Hoi4dReader(clips / "hoi4d"), [], set()
    for path in sorted((clips / "truth").glob("*.json")):
        known = json.loads(path.read_text())
        if known["purpose"] in seen:
            continue
        seen.add(known["purpose"])
        frames = reader.open(known["sequence"]).frames
        row = [frames.rgb(min(max(known["contact_frame"] + m, 0), len(frames) - 1)) for m in MOMENTS]
        small = np.hstack([cv2.resize(f, (WIDTH, WIDTH * 3 // 4), interpolation=cv2.INTER_AREA) for f in row])
        small[:CAPTION] = small[:CAPTION] // 4 + 190
        cv2.putText(small, known["text"], (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        rows.append(small)
    rows += [np.full_like(rows[0], 255)] * (-len(rows) % COLUMNS)
    return np.vstack([np.hstack(rows[i:i + COLUMNS]) for i in range(0, len(rows), COLUMNS)])


def labels_picture(labels: Path, count: int, columns: int) -> np.ndarray:
    """Labels from all over the folder, unchosen."""
    every = list(islice(read_labels(labels), 4000))
    tiles = [tile(every[i]) for i in np.linspace(0, len(every) - 1, count).astype(int)]
    return np.vstack([np.hstack(tiles[i:i + columns]) for i in range(0, count, columns)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("labels", type=Path)
    arguments = parser.parse_args()
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, image in (("clips", clips_picture(arguments.clips)), ("labels", labels_picture(arguments.labels, 18, 3)),
                        ("labels_small", labels_picture(arguments.labels, 6, 3))):
        cv2.imwrite(str(TARGET / f"{name}.png"), image[:, :, ::-1])


if __name__ == "__main__":
    main()
