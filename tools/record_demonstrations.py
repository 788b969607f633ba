"""Record the demonstration of each task: the wrist's motion after the grasp, and the last image.

    . .venv/deft_env.sh && python tools/record_demonstrations.py [TASK ...]

A stand-in until demonstrations come from video: the scene says what a person means to do, and a wrist that
moves as people's do shows it once (deft_sim/demonstration.py). The last image is the camera's picture when the
simulated robot has followed that motion with a train object. Files: config/demonstrations/<task>.yaml and .jpg.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from deft_bench.sim_robot import SimRobot
from deft_bringup.rehearsal import lay, rehearse
from deft_core.config import find, load, parse, read_yaml
from deft_core.descriptions import HandConfig, RobotConfig, TaskConfig
from deft_sim import demonstration
from deft_sim.camera import SimCamera
from deft_sim.config import SceneConfig
from deft_sim.scenes import SCENES, scene_module

CONFIG = Path(__file__).resolve().parent.parent / "src" / "deft_bringup" / "config"
SEED = 7  # of the wrist's errors and of the place of the last image
HEADER = """\
# One demonstration of {task}, as a simulated person's wrist gave it (tools/record_demonstrations.py), until it
# comes from video. Wrist poses relative to the grasp: t s since the hand closed, xyz m along the base frame's
# axes, rotvec rad about the grasp centre in base-frame axes.
source: simulated human-like wrist, seed {seed}
final_image: {task}.jpg
trajectory:
"""


def write_motion(task: str, scene: str, folder: Path) -> list[dict[str, object]]:
    """Record the wrist's motion into the YAML; returns the waypoints."""
    times, positions, turns = demonstration.record(scene_module(scene).SHOWN, SEED)
    rows = [{"t": round(float(t), 3), "xyz": [round(float(v), 4) for v in p], "rotvec": [round(float(v), 4) for v in r]}
            for t, p, r in zip(times, positions, turns, strict=True)]
    lines = [f"  - {{t: {row['t']}, xyz: {row['xyz']}, rotvec: {row['rotvec']}}}\n" for row in rows]
    (folder / f"{task}.yaml").write_text(HEADER.format(task=task, seed=SEED) + "".join(lines))
    return rows


def write_image(task: TaskConfig, path: Path) -> str:
    """Let the robot follow the motion and keep the camera's picture of its end; returns the operator's remark."""
    robot = load(RobotConfig, find(CONFIG, "robots", "xarm7_sim"))
    rig = SimRobot(robot, load(HandConfig, find(CONFIG, "hands", "allegro_right")), task, SEED)
    found = rehearse(rig, "train", 0, "oracle", SEED)
    if not found.verdict.success:
        raise SystemExit(f"{task.name}: no grasp succeeded, so there is no picture of the end ({found.verdict.note})")

    def keep_end(phase: str, _: float) -> None:
        if phase == "release":
            camera = SimCamera(rig.world.model, rig.robot.camera, rig.world.realism)
            picture = camera.render(rig.world.data, 0)[0]
            camera.close()
            cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])

    lay(rig, "train", 0)
    return rig.run(found.goal, SEED, keep_end)[1].note


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=list(SCENES), help="names of files in config/tasks; all by default")
    folder = CONFIG / "demonstrations"
    folder.mkdir(exist_ok=True)
    for name in parser.parse_args().tasks:
        data = read_yaml(find(CONFIG, "tasks", name))
        scene = parse(SceneConfig, data["sim"], name).scene
        rows = write_motion(name, scene, folder)
        task = parse(TaskConfig, data | {"trajectory": rows, "goal_image": f"demonstrations/{name}.jpg"}, name)
        print(f"{name}: {len(rows)} waypoints; last image: {write_image(task, folder / f'{name}.jpg')}", flush=True)


if __name__ == "__main__":
    main()
