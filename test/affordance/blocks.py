"""Small grasp labels: a coloured block on a plain crop, touched where the text says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from deft_human_video.labels.label import GraspLabel
from deft_human_video.labels.shards import ShardResult, open_folder, write_shard

RIGHT, LEFT = "take the right end", "push the left end"


def label(number: int, text: str, **changes: object) -> GraspLabel:
    """A bar from left to right; the text says at which end it is touched, and which way the wrist is turned."""
    rng = np.random.default_rng(number)
    crop = np.full((60, 90, 3), rng.integers(60, 120), np.uint8)
    crop[25:35, 10:80] = rng.integers(140, 250, 3)
    at = np.array([72.0, 30.0]) if text == RIGHT else np.array([18.0, 30.0])
    turn = Rotation.from_euler("z", 0.8 if text == RIGHT else -0.8)
    values = {
        "key": f"{number:04d}-{'r' if text == RIGHT else 'l'}", "dataset": "blocks", "text": text, "thing": str(number),
        "mirrored": False, "first_frame": 0, "contact_frame": 3, "box": (200, 150, 290, 210), "crop": crop,
        "lens": (450.0, 450.0, 239.5, 179.5), "contact": at, "points": at + rng.normal(0, 2.0, (12, 2)),
        "weights": np.ones(1), "means": at[None], "deviations": np.full((1, 2), 2.0), "surface": 0.5, "behind": 0.01,
        "body": np.array([0.4, 0.6, -0.7]), "wrist": turn.as_rotvec(),
        "position": np.array([0.0, 0.0, 0.5]), "mano_pose": np.full(45, 0.3), "size": 1.0, "fit_error": 0.1, "sources": {},
        "picture": crop}
    return GraspLabel(**(values | changes))  # type: ignore[arg-type]


def write_labels(folder: Path, labels: list[GraspLabel]) -> Path:
    open_folder(folder, {"dataset": "blocks"})
    write_shard(folder, ShardResult(0, [x.key for x in labels], {}, {}, 1.0), labels)
    return folder
