"""Draw the README's picture: the best grasp of a fine-tuning session, and the session's learning curve.

    . .venv/deft_env.sh && python tools/readme_picture.py SESSION_FOLDER docs/images/pick_cup.png

The grasp is executed again in the simulator (same object, same command) and rendered where the object is highest.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import mujoco
import numpy as np

from deft_bench.sim_robot import load_rig
from deft_cem.loop import recorded_grasp
from deft_operator.plots import draw

WIDTH, HEIGHT = 640, 480
OFF_TABLE = 0.02  # m


def held(summary: dict[str, Any]) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) rgb of the best grasp where it holds the object highest, from in front of the robot."""
    rig = load_rig(summary["task"], seed=summary["seed"])
    best = max((e for e in summary["episodes"] if e["status"] == "scored"), key=lambda e: (e["reward"], e["episode"]))
    rig.world.reset(summary["object_set"], best["episode"])
    seen, _ = rig.look()
    grasp = recorded_grasp(best["executed"], rig.hand.name, rig.robot.base_frame)
    renderer = mujoco.Renderer(rig.world.model, HEIGHT, WIDTH)
    view, option = mujoco.MjvCamera(), mujoco.MjvOption()
    view.lookat[:], view.distance, view.azimuth, view.elevation = [0.35, -0.02, 0.2], 1.35, 155.0, -22.0
    option.geomgroup[3] = 0
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    highest = OFF_TABLE

    def look() -> None:
        nonlocal highest
        bottom = rig.world.history.moments[-1].bottom
        if bottom > highest + 0.002:
            highest = bottom
            renderer.update_scene(rig.world.data, view, option)
            picture[:] = renderer.render()

    with rig.world.watched(look):
        rig.execute(seen, grasp)
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    summary = json.loads((options.session / "summary.json").read_text())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw(summary, options.out)
    curve = cv2.imread(str(options.out))
    frame = cv2.cvtColor(held(summary), cv2.COLOR_RGB2BGR)
    scale = curve.shape[0] / HEIGHT
    cv2.imwrite(str(options.out), np.hstack([cv2.resize(frame, None, fx=scale, fy=scale)[:curve.shape[0]], curve]))


if __name__ == "__main__":
    main()
