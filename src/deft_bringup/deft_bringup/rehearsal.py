"""`deft sim`: one episode of a task on the simulated robot without ROS, to look at, to film, or to time."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from deft_bench.sim_robot import SimRobot
from deft_core.errors import DeftError
from deft_motion.grasp_plan import GraspGoal
from deft_sim.history import Verdict
from deft_sim.oracle import candidates
from deft_sim.world import TICK_SECONDS

ORACLE_TRIES = 200
FILM_WIDTH, FILM_HEIGHT = 480, 360
FRAMES_PER_SECOND = 12
SPEED_UP = 1.5        # of the film against the robot's clock
LOOK_AT, DISTANCE, ELEVATION = (0.50, -0.02, 0.12), 0.78, -25.0  # m, m, degrees
AZIMUTH = 150.0  # degrees: from in front of the robot, on its left
AZIMUTHS = {"open_drawer": 35.0}  # from where the front can be seen
LABEL = 22  # pixels, height of a strip's caption
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Rehearsed:
    """How an episode went: grasps tried; of the one that counts its goal, verdict, seconds of wall and robot time."""

    tries: int
    goal: GraspGoal
    verdict: Verdict
    wall_seconds: float
    robot_seconds: float
    phases: tuple[tuple[str, float, float], ...]


def goals(rig: SimRobot, grasp: str, seed: int) -> list[GraspGoal]:
    """What to execute: the prior's grasp as perception sees the table, or candidates of the oracle until one succeeds."""
    if grasp == "prior":
        seen, xi = rig.look()
        return [rig.goal(seen, xi)]
    return [rig.goal_of_truth(g) for g in candidates(rig.world, ORACLE_TRIES, seed)]


def lay(rig: SimRobot, object_set: str, episode: int) -> None:
    """Lay the table for an episode, with the robot parked whatever happened before."""
    rig.world.push_back()
    rig.world.reset(object_set, episode)


def rehearse(rig: SimRobot, object_set: str, episode: int, grasp: str, seed: int = 0) -> Rehearsed:
    """One episode: the prior's grasp once, or the oracle's until it succeeds.

    Args:
        grasp: `oracle` or `prior`.

    Raises:
        DeftError: not one grasp could be executed; the last refusal.
    """
    lay(rig, object_set, episode)
    planned = goals(rig, grasp, seed)
    best: Rehearsed | None = None
    refusal: DeftError | None = None
    for tries, goal in enumerate(planned, 1):
        if tries > 1:
            lay(rig, object_set, episode)
        try:
            here = _executed(rig, goal, seed, tries)
        except DeftError as error:
            refusal = error
            continue
        if best is None or here.verdict.score > best.verdict.score:
            best = here
        if here.verdict.success:
            return here
    if best is None:
        raise refusal or DeftError(0, "nothing to execute")
    return best


def _executed(rig: SimRobot, goal: GraspGoal, seed: int, tries: int = 1) -> Rehearsed:
    """Execute one goal. Raises DeftError."""
    started, clock = time.perf_counter(), rig.world.clock
    done, verdict = rig.run(goal, seed)
    return Rehearsed(tries, goal, verdict, time.perf_counter() - started, rig.world.clock - clock, tuple(done.phases))


class Film:
    """Pictures of a world taken while it moves, inside a `with` block."""

    def __init__(self, rig: SimRobot, interval: float) -> None:
        """`interval`: s of robot clock between pictures."""
        self._rig, self._interval = rig, interval
        self.frames: list[tuple[float, Picture]] = []
        self._watching = rig.world.watched(self._look)
        self._renderer = mujoco.Renderer(rig.world.model, FILM_HEIGHT, FILM_WIDTH)
        self._camera, self._option = mujoco.MjvCamera(), mujoco.MjvOption()
        self._camera.lookat[:], self._camera.distance = LOOK_AT, DISTANCE
        self._camera.azimuth, self._camera.elevation = AZIMUTHS.get(rig.task.name, AZIMUTH), ELEVATION
        self._option.geomgroup[3] = 0  # collision shapes

    def __enter__(self) -> Film:
        self._watching.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watching.__exit__(None, None, None)
        self._renderer.close()

    def _look(self) -> None:
        world = self._rig.world
        if not self.frames or world.clock - self.frames[-1][0] >= self._interval - TICK_SECONDS / 2:
            self._renderer.update_scene(world.data, self._camera, self._option)
            self.frames.append((world.clock, self._renderer.render().copy()))

    def at(self, times: list[float]) -> list[Picture]:
        """The pictures nearest to robot clocks, s."""
        clocks = np.array([clock for clock, _ in self.frames])
        return [self.frames[int(np.abs(clocks - t).argmin())][1] for t in times]


def _filmed(rig: SimRobot, object_set: str, episode: int, grasp: str, seed: int, interval: float) -> tuple[Rehearsed, Film]:
    """Find the grasp that counts, then film it: the same commands give the same episode again."""
    found = rehearse(rig, object_set, episode, grasp, seed)
    lay(rig, object_set, episode)
    with Film(rig, interval) as film:
        return _executed(rig, found.goal, seed, found.tries), film


def film_gif(rig: SimRobot, object_set: str, episode: int, grasp: str, seed: int, path: Path) -> Rehearsed:
    """Execute an episode and write it as an animated GIF, from the pregrasp until the hand has let go."""
    outcome, film = _filmed(rig, object_set, episode, grasp, seed, SPEED_UP / FRAMES_PER_SECOND)
    phases = {name: (start, end) for name, start, end in outcome.phases}
    begin, end = phases["approach"][0] - 0.5, phases.get("retreat", outcome.phases[-1][1:])[0] + 0.3
    frames = [Image.fromarray(picture) for clock, picture in film.frames if begin <= clock <= end]
    palette = frames[len(frames) // 2].quantize(128, dither=Image.Dither.NONE)
    small = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    small[0].save(path, save_all=True, append_images=small[1:], duration=round(1000 / FRAMES_PER_SECOND), loop=0, optimize=True,
                  format="GIF")
    return outcome


def strip(rig: SimRobot, object_set: str, episode: int, grasp: str, seed: int, caption: str) -> tuple[Rehearsed, Picture]:
    """Execute an episode; six pictures side by side: before, at the grasp, closed, and three of what follows."""
    outcome, film = _filmed(rig, object_set, episode, grasp, seed, 2 * TICK_SECONDS)
    phases = {name: (start, end) for name, start, end in outcome.phases}
    last = outcome.phases[-1][2]  # a grasp that was stopped early lacks the later phases
    start, end = phases.get("trajectory", (last, last))
    times = [*phases["approach"], phases.get("squeeze", (0.0, last))[1], start + 0.45 * (end - start),
             start + 0.75 * (end - start), phases.get("hold", (0.0, last))[1]]
    width = FILM_WIDTH * 5 // 8
    row = np.hstack([cv2.resize(p, (width, FILM_HEIGHT * 5 // 8), interpolation=cv2.INTER_AREA) for p in film.at(times)])
    labelled = Image.fromarray(np.vstack([np.full((LABEL, row.shape[1], 3), 255, np.uint8), row]))
    ImageDraw.Draw(labelled).text((4, 4), caption, fill=(0, 0, 0))
    return outcome, np.asarray(labelled)


def view(rig: SimRobot, object_set: str, episode: int, grasp: str, seed: int) -> Rehearsed:
    """Execute an episode in MuJoCo's interactive viewer, in real time; it stays open until the person closes it.

    Raises:
        RuntimeError: there is no display.
    """
    import mujoco.viewer

    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise RuntimeError("the viewer needs a display (DISPLAY is not set); without one, use --gif FILE")
    rig.world.reset(object_set, episode)
    viewer = mujoco.viewer.launch_passive(rig.world.model, rig.world.data, show_left_ui=False, show_right_ui=False)

    shown = time.monotonic()

    def show() -> None:
        nonlocal shown
        viewer.sync()
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - shown)))
        shown = time.monotonic()

    try:
        with rig.world.watched(show):
            outcome = _executed(rig, goals(rig, grasp, seed)[0], seed)
            while viewer.is_running():
                rig.world.tick()
    finally:
        viewer.close()
    return outcome
