"""Human skeleton and robot hand side by side, drawn from the same direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from scipy.spatial.transform import Rotation

from deft_core.types import Array, Pose
from deft_retarget.retargeter import Retargeted, Retargeter
from deft_retarget.skeleton import FINGERS, TIP, WRIST, Side, mirrored
from deft_retarget.wrist import GRASP_FRAME_IN_MANO

COLOURS = {"thumb": "#c0392b", "index": "#2471a3", "middle": "#1e8449", "ring": "#b7950b", "little": "#7d3c98"}
BONE = "#5d6d7e"
AXIS_COLOURS = ("#c0392b", "#1e8449", "#2471a3")
AXIS_LENGTH = 0.04  # m
ELEVATION, AZIMUTH = 40.0, -80.0  # degrees; where the viewer stands about the pictured frame
CELL, ROW = 3.2, 2.3  # inches


def compare(retargeter: Retargeter, poses: Sequence[tuple[str, Array]], path: Path, side: Side = "right") -> None:
    """A row for each pose (title, (45,) rad): the human hand and the robot's, both in the grasp frame.

    Red x goes to the fingers, blue z out of the palm. Crosses on the robot show where the human fingertips, scaled, would be.

    Raises:
        DeftError: a pose cannot be retargeted.
    """
    figure = Figure(figsize=(2 * CELL, len(poses) * ROW), layout="constrained")
    for row, (title, pose) in enumerate(poses):
        right = mirrored(pose) if side == "left" else pose
        human = figure.add_subplot(len(poses), 2, 2 * row + 1, projection="3d")
        _draw_human(human, retargeter, right, side)
        human.set_title(title, fontsize=9)
        found = retargeter.retarget(right)
        robot = figure.add_subplot(len(poses), 2, 2 * row + 2, projection="3d")
        _draw_robot(robot, retargeter, found, retargeter.scale * retargeter.human_tips(right))
        limits = f"; at a limit: {', '.join(found.saturated)}" if found.saturated else ""
        robot.set_title(f"{retargeter.hand.name}, {retargeter.method}: {1e3 * found.fingertip_error:.0f} mm{limits}",
                        fontsize=7, wrap=True)
    _save(figure, path)


def wrist_cases(retargeter: Retargeter, cases: Sequence[tuple[str, Rotation, Pose]], pose: Array, path: Path) -> None:
    """A row for each case: how both hands stand in the robot's base frame (red x forward, green y left, blue z up).

    Args:
        cases: title, MANO's wrist, and pose of the robot hand's base_link; both in the base frame.
        pose: (45,) rad, of the human hand.
    """
    figure = Figure(figsize=(2 * CELL, len(cases) * ROW), layout="constrained")
    found = retargeter.retarget(pose)
    for row, (title, wrist, base) in enumerate(cases):
        human = figure.add_subplot(len(cases), 2, 2 * row + 1, projection="3d")
        points = wrist.apply(retargeter.skeleton.keypoints(pose))
        _fingers(human, points)
        human.set_title(title, fontsize=9)
        robot = figure.add_subplot(len(cases), 2, 2 * row + 2, projection="3d")
        middle = base.rotation.apply(np.array(retargeter.config.wrist))
        tips = _bones(robot, retargeter, found, Pose(-middle, base.rotation).apply)
        robot.set_title(f"{retargeter.hand.name}, base_link", fontsize=8)
        for axes, reach, half in ((human, points, 0.10), (robot, tips, 0.13)):
            _frame(axes, np.zeros(3), np.eye(3))
            _box(axes, 0.5 * reach.mean(axis=0), half)
    _save(figure, path)


def _draw_human(axes: Axes3D, retargeter: Retargeter, right: Array, side: Side) -> None:
    points = retargeter.skeleton.keypoints(right)
    points = (points - points[WRIST]) @ GRASP_FRAME_IN_MANO["right"].as_matrix()
    if side == "left":
        points = points * [1.0, -1.0, 1.0]
    _fingers(axes, points)
    _frame(axes, np.zeros(3), np.eye(3))
    _box(axes, points.mean(axis=0), 0.10)


def _fingers(axes: Axes3D, points: Array) -> None:
    """A skeleton of (21, 3) points in the order of HandSkeleton.keypoints."""
    for f, finger in enumerate(FINGERS):
        chain = points[[WRIST, *range(1 + 3 * f, 4 + 3 * f), TIP[finger]]]
        axes.plot(*chain.T, "-", color=COLOURS[finger], linewidth=2.5)
        axes.plot(*chain[1:-1].T, "o", color=COLOURS[finger], markersize=3)
    knuckles = points[[1, 4, 10, 7]]
    axes.plot(*knuckles.T, "-", color=BONE, linewidth=1.5)


def _draw_robot(axes: Axes3D, retargeter: Retargeter, found: Retargeted, targets: Array) -> None:
    grasp = retargeter.hand.grasp_frame.pose().rotation.inv()
    wrist = np.array(retargeter.config.wrist)
    tips = _bones(axes, retargeter, found, lambda p: grasp.apply(p - wrist))
    for finger, target in zip(retargeter.fingers, grasp.apply(targets), strict=True):
        axes.plot(*target[:, None], "x", color=COLOURS[finger], markersize=7)
    _frame(axes, np.zeros(3), np.eye(3))
    _box(axes, np.vstack([tips, np.zeros(3)]).mean(axis=0), 0.13)


def _bones(axes: Axes3D, retargeter: Retargeter, found: Retargeted, placed: Callable[[Array], Array]) -> Array:
    """Draws palm, joints and fingertips with `placed` taking points of base_link to the picture; the fingertips (f, 3)."""
    chains = retargeter.kinematics.chain_points(found.joints, range(1, 1 + len(retargeter.fingers)))
    wrist = np.array(retargeter.config.wrist)
    tips = []
    for finger, chain in zip(retargeter.fingers, chains, strict=True):
        line = placed(np.vstack([wrist, chain]))
        axes.plot(*line.T, "-", color=COLOURS[finger], linewidth=3.5, alpha=0.85)
        axes.plot(*line[1:-1].T, "s", color=BONE, markersize=4)
        tips.append(line[-1])
    return np.array(tips)


def _frame(axes: Axes3D, origin: Array, directions: Array) -> None:
    for direction, colour in zip(directions, AXIS_COLOURS, strict=True):
        axes.quiver(*origin, *(AXIS_LENGTH * direction), color=colour, linewidth=1.5)


def _box(axes: Axes3D, middle: Array, half: float) -> None:
    axes.set_box_aspect((1, 1, 1), zoom=1.4)
    axes.set_axis_off()
    for set_limits, centre in zip((axes.set_xlim, axes.set_ylim, axes.set_zlim), middle, strict=True):
        set_limits(centre - half, centre + half)
    axes.view_init(ELEVATION, AZIMUTH)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)
