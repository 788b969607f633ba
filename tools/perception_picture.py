"""Draw docs/images/perception.jpg: four tables of unseen objects with what perception finds on them, and what it calls it.

    . .venv/deft_env.sh && python tools/perception_picture.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.projection import metres
from deft_perception.appearance import describe
from deft_perception.nouns import NounModel
from deft_perception.observation import Frame, Observer
from deft_perception.tabletop import TabletopConfig, TabletopSegmenter
from deft_sim.clutter import TableSetter

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "perception.jpg"
SEEDS = (10003, 10005, 10012, 10021)
COLOURS = ((60, 220, 60), (60, 60, 240), (240, 160, 40), (220, 60, 220), (40, 220, 240), (250, 250, 250))
TOP = 60  # rows of background that are cut off


def drawn(setter: TableSetter, observer: Observer, segmenter: TabletopSegmenter, model: NounModel, robot: RobotConfig,
          seed: int) -> np.ndarray:
    """(h, w, 3) bgr."""
    table = setter.table("test", 4, 1, seed)
    scene = observer.scene(Frame(table.rgb, metres(table.depth), robot.camera.intrinsics()))
    picture = cv2.cvtColor(table.rgb, cv2.COLOR_RGB2BGR)
    for k, rough in enumerate(segmenter.things(scene)):
        odds = model.probabilities(describe(scene, rough)[None])[0]
        mask, colour = segmenter.refined(scene, rough), COLOURS[k % len(COLOURS)]
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, colour, 2)
        rows, columns = np.nonzero(mask)
        place = int(columns.min()), max(int(rows.min()) - 6, TOP + 14)
        for ink, width in (((0, 0, 0), 3), (colour, 1)):
            cv2.putText(picture, f"{model.classes[int(odds.argmax())]} {odds.max():.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.55,
                        ink, width, cv2.LINE_AA)
    return picture[TOP:]


def main() -> None:
    config = default_config_dir()
    robot = load(RobotConfig, find(config, "robots", "xarm7_sim"))
    setter = TableSetter(robot, load(HandConfig, find(config, "hands", "allegro_right")))
    segmenter, model = TabletopSegmenter(TabletopConfig()), NounModel.load(config / "perception" / "nouns.json")
    pictures = [drawn(setter, Observer(robot, segmenter), segmenter, model, robot, seed) for seed in SEEDS]
    rows = [np.hstack(pictures[:2]), np.hstack(pictures[2:])]
    cv2.imwrite(str(OUT), cv2.resize(np.vstack(rows), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA),
                [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
