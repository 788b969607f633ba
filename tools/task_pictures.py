"""Draw the pictures of docs/tasks.md: a strip per task of a real execution, one film, and a sheet of all objects.

    . .venv/deft_env.sh && python tools/task_pictures.py [--tasks NAME ...] [--out docs/images/tasks]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from deft_bench.sim_robot import SimRobot, load_rig
from deft_bringup.rehearsal import film_gif, strip
from deft_core.config import parse
from deft_sim.config import RealismConfig, SceneConfig
from deft_sim.model import robot_spec
from deft_sim.objects.shapes import Spot
from deft_sim.realism import draw_cell, draw_light
from deft_sim.scenes import SCENES, things_by_name

SEED, EPISODE = 1, 0
CELL = 150  # pixels of an object's picture
SETTLE_STEPS = 250
LABEL = 16


def portrait(rig: SimRobot, thing: object) -> NDArray[np.uint8]:
    """(CELL, CELL, 3) rgb of one thing, alone on the table."""
    exact = RealismConfig(calibration_error=0.0, calibration_turn=0.0, light_change=0.0)
    rng = np.random.default_rng(0)
    spec = robot_spec(rig.robot, rig.hand, draw_cell(rig.robot, rig.hand, exact), draw_light(exact, rng))
    rig.world.scene.build(spec, thing, Spot(0.5, 0.0, rig.robot.table_height + 0.001, 0.3), rng)
    model = spec.compile()
    data = mujoco.MjData(model)
    for name, q in zip(rig.robot.joint_names, rig.robot.park, strict=True):
        data.joint(name).qpos[0] = q
        data.actuator(name).ctrl[0] = q
    for _ in range(SETTLE_STEPS):
        mujoco.mj_step(model, data)
    camera, option = mujoco.MjvCamera(), mujoco.MjvOption()
    camera.lookat[:], camera.distance = [0.5, 0.03, 0.06], 0.55
    camera.azimuth, camera.elevation = 145.0, -30.0
    option.geomgroup[3] = 0
    renderer = mujoco.Renderer(model, CELL, CELL)
    renderer.update_scene(data, camera, option)
    picture = renderer.render().copy()
    renderer.close()
    return picture


def row(task: str) -> NDArray[np.uint8]:
    """All objects of a task: train, then test."""
    rig = load_rig(task, seed=SEED)
    sets = parse(SceneConfig, rig.task.sim, task).objects
    things = things_by_name(rig.world.scene)
    cells = [portrait(rig, things[name]) for which in ("train", "test") for name in sets[which]]
    cells.insert(len(sets["train"]), np.full((CELL, 6, 3), 255, np.uint8))
    pictures = np.hstack(cells)
    labelled = Image.fromarray(np.vstack([np.full((LABEL, pictures.shape[1], 3), 255, np.uint8), pictures]))
    draw = ImageDraw.Draw(labelled)
    draw.text((4, 2), f"{task}: train", fill=(0, 0, 0))
    draw.text((6 * CELL + 10, 2), "test", fill=(0, 0, 0))
    return np.asarray(labelled)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/tasks"))
    parser.add_argument("--tasks", nargs="+", default=list(SCENES), choices=SCENES)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for task in options.tasks:
        caption = f"{task} (grasp set by the oracle)"
        outcome, picture = strip(load_rig(task, seed=SEED), "train", EPISODE, "oracle", SEED, caption)
        Image.fromarray(picture).save(options.out / f"{task}.jpg", quality=88)
        print(f"{task}: {outcome.verdict.note}, score {outcome.verdict.score:.2f}", flush=True)
        if task == "stir_spoon":
            film_gif(load_rig(task, seed=SEED), "train", EPISODE, "oracle", SEED, options.out / f"{task}.gif")
    if set(options.tasks) == set(SCENES):
        Image.fromarray(np.vstack([row(task) for task in SCENES])).save(options.out / "objects.jpg", quality=85)


if __name__ == "__main__":
    main()
