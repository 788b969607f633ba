"""What `deft doctor` finds: one line a check, and where the arm reaches. Knows no ROS; the measurements are given to it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.descriptions import CameraConfig, HandConfig, RobotConfig
from deft_core.types import Array, Intrinsics
from deft_motion.gate import MAX_STATE_AGE, MIN_CLEARANCE, START_TOLERANCE
from deft_motion.kinematics import ArmHandModel

FEW_PICTURES = 3  # fewer may miss each other by chance
SLOW_CAMERA, SLOW_STATES = 5.0, 20.0  # Hz
SKEW = 0.1               # s between two clocks
FEW_DEPTHS = 0.5         # share of pixels
DISK = (1.0, 5.0)        # GB: fail below the first, warn below the second
CELLS = 14               # of the reachability map along each axis
# Grasp frames with the fingers away from the robot: the palm to its left, and down
WRISTS = {"sideways": Rotation.from_euler("x", -math.pi / 2), "from above": Rotation.from_euler("x", math.pi)}


class Grade(str, Enum):
    """How a check ended."""

    ok = "pass"
    warn = "warn"
    fail = "fail"


@dataclass(frozen=True)
class Finding:
    """A check: its name, how it ended, and what was seen or is to be done."""

    name: str
    grade: Grade
    words: str


@dataclass
class Heard:
    """What was heard of the robot in a while of `seconds` (wall).

    Attributes:
        nodes: names of DEFT's nodes that sent heartbeats.
        colours, depths: stamps, s, of the pictures; received: when the last of them came, s before the end.
        depth_valid: share of valid pixels of the last depth picture, NaN without one.
        intrinsics: that the camera says of itself, None without.
        states: stamps, s, of the joint states; names: of all their joints; finite: whether all numbers were.
        listeners: how many hear the commands of arm and hand.
        wall: s, wall clock at the end.
    """

    seconds: float
    nodes: Sequence[str] = ()
    colours: list[float] = field(default_factory=list)
    depths: list[float] = field(default_factory=list)
    depth_valid: float = math.nan
    intrinsics: Intrinsics | None = None
    states: list[float] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    finite: bool = True
    listeners: Mapping[str, int] = field(default_factory=dict)
    wall: float = 0.0


EXPECTED = ("deft_perception", "deft_affordance", "deft_retarget", "deft_motion", "deft_policy", "deft_cem")


def nodes(heard: Heard) -> Finding:
    """Whether DEFT's nodes run."""
    known = {name.rsplit("/", 1)[-1] for name in heard.nodes}
    absent = [name for name in EXPECTED if name not in known]
    if absent:
        return Finding("nodes", Grade.fail, f"not heard of: {', '.join(absent)}; start them with `ros2 launch deft_bringup "
                       "finetune.launch.py`, and see that ROS_DOMAIN_ID is theirs")
    return Finding("nodes", Grade.ok, f"{len(known)} nodes send heartbeats")


def _graded(value: float, bounds: tuple[float, float]) -> Grade:
    """Fail up to the first bound, warn below the second."""
    return Grade.fail if not value > bounds[0] else Grade.warn if value < bounds[1] else Grade.ok


def camera(heard: Heard, config: CameraConfig) -> list[Finding]:
    """Rate, stamps, depth and intrinsics."""
    if not heard.colours or not heard.depths:
        what = "colour" if not heard.colours else "aligned depth"
        return [Finding("camera", Grade.fail, f"no {what} pictures on {config.namespace} in {heard.seconds:.0f} s; start the "
                        "driver with align_depth.enable and enable_sync")]
    rate = len(heard.colours) / heard.seconds
    both, few = len(set(heard.colours) & set(heard.depths)), min(len(heard.colours), len(heard.depths)) < FEW_PICTURES
    out = [Finding("camera rate", Grade.ok if rate >= SLOW_CAMERA else Grade.warn, f"{rate:.1f} Hz"),
           Finding("camera stamps", Grade.ok if both else Grade.warn if few else Grade.fail,
                   f"{both} colour and depth pictures have equal stamps" + (
                       "" if both else "; too few came to judge: listen longer (--seconds)" if few else "; set enable_sync")),
           Finding("depth", _graded(heard.depth_valid, (0.0, FEW_DEPTHS)), f"{heard.depth_valid:.0%} of the pixels are valid")]
    said = heard.intrinsics
    if said is not None:
        same = (said.width, said.height) == (config.width, config.height) and np.allclose(
            [said.fx, said.fy, said.cx, said.cy], [config.fx, config.fy, config.cx, config.cy], rtol=0.02, atol=2.0)
        out.append(Finding("intrinsics", Grade.ok if same else Grade.warn, "as in the robot's YAML" if same else
                           f"the camera says {said.width}x{said.height}, fx {said.fx:.0f}; the robot's YAML says "
                           f"{config.width}x{config.height}, fx {config.fx:.0f}"))
    return out


def joint_states(heard: Heard, robot: RobotConfig, hand: HandConfig) -> list[Finding]:
    """Complete by name, fresh, finite, stamped."""
    if not heard.states:
        return [Finding("joint states", Grade.fail, f"none on {robot.joint_states_topic} in {heard.seconds:.0f} s")]
    absent = [n for n in (*robot.joint_names, *hand.joint_names) if n not in heard.names]
    if absent:
        return [Finding("joint states", Grade.fail, f"joints missing: {', '.join(absent)}")]
    if not heard.finite:
        return [Finding("joint states", Grade.fail, "some are not finite")]
    if not any(heard.states):
        return [Finding("joint states", Grade.fail, "they carry no stamps: motions cannot be timed by them")]
    rate = len(heard.states) / heard.seconds
    slow = rate < SLOW_STATES
    return [Finding("joint states", Grade.warn if slow else Grade.ok, f"{rate:.0f} Hz, all {len(robot.joint_names)} + "
                    f"{len(hand.joint_names)} joints" + ("; too slow to watch a motion" if slow else ""))]


def clocks(heard: Heard) -> Finding:
    """Whether camera and joint states go by one clock."""
    if not heard.colours or not heard.states:
        return Finding("clocks", Grade.warn, "not compared: camera or joint states are missing")
    skew = heard.colours[-1] - heard.states[-1]
    ahead = heard.states[-1] - heard.wall
    wall = f"; the robot's clock is {abs(ahead):.2f} s off this machine's" if abs(ahead) < 3600 else "; a simulated clock"
    late = SKEW + 2 * heard.seconds / max(len(heard.colours), 1)
    bad = abs(skew) > max(late, 0.5)
    words = f"the last picture is {-skew:.2f} s older than the last joint state{wall}"
    return Finding("clocks", Grade.warn if bad else Grade.ok, words + ("; synchronise the clocks (chrony)" if bad else ""))


def controllers(heard: Heard) -> list[Finding]:
    """Whether somebody follows commands."""
    deaf = "nobody listens to its command topic; is the controller active?"
    return [Finding(f"{part} controller", Grade.ok if count else Grade.fail, "listens" if count else deaf)
            for part, count in heard.listeners.items()]


def disk(folder: Path) -> Finding:
    """Room for sessions; one takes some 20 MB."""
    at = folder.expanduser()
    while not at.exists():
        at = at.parent
    free = shutil.disk_usage(at).free / 1e9
    return Finding("disk", _graded(free, DISK), f"{free:.1f} GB free in {at}")


def limits(robot: RobotConfig) -> Finding:
    """What the safety gate enforces."""
    low, high = robot.workspace.lower, robot.workspace.upper
    return Finding("gate", Grade.ok, f"joint speeds up to {max(robot.velocity_limits):.1f} rad/s, palm within {low} to {high} "
                   f"m, {1000 * MIN_CLEARANCE:.1f} mm above the table at {robot.table_height} m, joint states at most "
                   f"{MAX_STATE_AGE} s old, starts within {START_TOLERANCE} rad of where the arm is")


def postures(robot: RobotConfig, hand: HandConfig) -> Finding:
    """Whether the arm may be where it is sent by itself: parked, and ready."""
    model = ArmHandModel(robot, hand)
    for name in ("park", "ready"):
        palm = model.palm_position(np.array(getattr(robot, name)))
        if np.any(palm < robot.workspace.lower) or np.any(palm > robot.workspace.upper):
            return Finding("postures", Grade.fail, f"{name} has the palm at {palm.round(2).tolist()} m, outside the workspace; "
                           f"move {name}, or widen the workspace in the robot's YAML")
    return Finding("postures", Grade.ok, "park and ready are inside the workspace")


def reach(robot: RobotConfig, hand: HandConfig) -> dict[str, Array]:
    """By name of WRISTS: (CELLS, CELLS) whether the arm reaches 6 cm above the table, x along the first axis.

    Over the object region, base frame; hand orientations of a grasp from the side and from above.
    """
    model = ArmHandModel(robot, hand)
    starts = [np.array(s) for s in (robot.ik_starts or (robot.ready,))]
    low, high = np.array(robot.object_region.lower), np.array(robot.object_region.upper)
    xs, ys = (np.linspace(low[i], high[i], CELLS) for i in (0, 1))
    out = {}
    for name, wrist in WRISTS.items():
        out[name] = np.array([[any(model.inverse(model.palm_target(np.array([x, y, robot.table_height + 0.06]), wrist), start)
                                   is not None for start in starts) for y in ys] for x in xs])
    return out


def draw_reach(robot: RobotConfig, reached: Mapping[str, Array], path: Path) -> None:
    """The map as a PNG, seen from above: x forward, y to the left, m."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    low, high = robot.object_region.lower, robot.object_region.upper
    figure = Figure(figsize=(4.0 * len(reached), 4.2), layout="constrained")
    for k, (name, cells) in enumerate(reached.items()):
        axes = figure.add_subplot(1, len(reached), k + 1)
        axes.imshow(cells, origin="lower", extent=(low[1], high[1], low[0], high[0]), cmap="RdYlGn", vmin=0, vmax=1)
        axes.invert_xaxis()
        axes.set(title=f"{name}: {cells.mean():.0%} reached", xlabel="y, m", ylabel="x, m (base frame)")
    FigureCanvasAgg(figure).print_figure(str(path), dpi=110)


def reachability(reached: Mapping[str, Array], path: Path) -> Finding:
    """What the map says."""
    best = max(float(cells.mean()) for cells in reached.values())
    said = ", ".join(f"{cells.mean():.0%} {name}" for name, cells in reached.items())
    return Finding("reach", Grade.ok if best > 0.5 else Grade.warn if best > 0 else Grade.fail,
                   f"of the object region: {said}; map: {path}")
