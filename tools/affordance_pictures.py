"""Pictures for docs/affordance.md: what the shipped network answers to unseen things, and whether its spread is true.

    python tools/affordance_pictures.py build/affordance docs/images/affordance    (after benchmarks/affordance.py predict)
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")

import cv2
import numpy as np
from matplotlib import pyplot as plt

from deft_affordance.learned import LearnedPredictor
from deft_affordance.overlay import overlay
from deft_affordance.predictor import Contact
from deft_bringup.held_out import held_out
from deft_bringup.still_views import view_of
from deft_human_video.synthetic.split import Split
from deft_human_video.synthetic.stills import Still, still

SEED, TILE, COLUMNS = 9500, 220, 6
# Scene and text: the same thing with different tasks side by side
ASKED = ((0, "pour from the cup into the bowl"), (0, "pick up the cup"), (3, "drink from the mug"), (3, "pour out the mug"),
         (5, "pick up the lemon"), (5, "squeeze the lemon on the juicer"), (8, "pick up the spoon"), (8, "stir with the spoon"),
         (9, "stir the pot with the spoon"), (7, "open the drawer"), (10, "scoop with the ladle"),
         (11, "flip the bagel with the spatula"))


def tile(predictor: LearnedPredictor, scene: Still, text: str) -> np.ndarray:
    """One answer, with its text and deviations below."""
    view = view_of(scene, text)
    found = predictor.predict(view, "", np.random.default_rng(0))
    # No depth here: the contact is drawn at the thing's own distance.
    distance = float(scene.scene.camera.inverse().apply(scene.scene.place.position)[2])
    at = view.camera.apply(view.intrinsics.deproject(found.pixels.mean(axis=0), distance))
    drawn = overlay(view, found, Contact(at[None], at, 0.0))
    scale = TILE / max(drawn.shape[:2])
    small = cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.full((TILE + 34, TILE, 3), 255, np.uint8)
    canvas[:small.shape[0], :small.shape[1]] = small
    deviation = 1000 * found.contact_deviation * distance / view.intrinsics.fx
    for k, line in enumerate((text, f"+-{deviation:.0f} mm, +-{np.degrees(found.wrist_deviation):.0f} deg")):
        cv2.putText(canvas, line, (2, TILE + 13 + 16 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def curves(results: Path, path: Path) -> None:
    """Promised against observed shares of errors."""
    found = json.loads(results.read_text())
    figure, axes = plt.subplots(figsize=(4.2, 4.0))
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="true")
    for name in found["curves"]:
        axes.plot(found["levels"], found["curves"][name], marker="o", markersize=3, label=name)
    axes.set(xlabel="share of errors that is promised to lie within", ylabel="share that does", xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    predictor, scenes = LearnedPredictor(), {}
    tiles = []
    for number, text in ASKED:
        if number not in scenes:
            scenes[number] = still(number, SEED, held_out(), Split.test)
        tiles.append(tile(predictor, scenes[number], text))
    rows = [np.hstack(tiles[i:i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(options.out / "answers.png"), np.vstack(rows)[:, :, ::-1])
    curves(options.results / "predict.json", options.out / "calibration.png")


if __name__ == "__main__":
    main()
