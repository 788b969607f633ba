"""What MoveIt answers, checked and made ours. Knows neither ROS nor MoveIt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from deft_core.errors import DeftError
from deft_core.types import Array
from deft_motion import codes
from deft_motion.paths import SAMPLE_SECONDS, JointPath, still

MAX_JUMP = 0.3         # rad of any joint between two points of a Cartesian path: more is another branch of the kinematics
START_TOLERANCE = 0.02  # rad, between where a path was asked to start and where it does
GOAL_TOLERANCE = 0.01   # rad, at its end
PEAK_POINTS = 500       # at least, that a path's highest speed is looked for at
WHOLE = 0.999           # of a Cartesian path: a smaller fraction is an unfinished one, whatever the error code says

# moveit_msgs/MoveItErrorCodes (its numbers are part of the interface): our code, and what to do
MOVEIT_CODES: dict[int, tuple[int, str]] = {
    0: (codes.PLANNING_FAILED, "MoveIt gave no reason; its log has one"),
    99999: (codes.PLANNING_FAILED, "planning failed; move the object, or clear the workspace"),
    -1: (codes.PLANNING_FAILED, "no collision-free path was found; move the object, or clear the workspace"),
    -2: (codes.PLANNING_FAILED, "MoveIt's own check refused the path it had found"),
    -3: (codes.PLANNING_FAILED, "the scene changed while the path was planned"),
    -4: (codes.EXECUTION_FAILED, "the controller failed"),
    -5: (codes.STALE_STATE, "MoveIt has no sensor data"),
    -6: (codes.PLANNING_FAILED, "planning took too long; raise moveit.planning_time in the robot's YAML"),
    -7: (codes.PLANNING_FAILED, "planning was interrupted by another request"),
    -10: (codes.EXECUTION_FAILED, "the robot touches something where it stands, as MoveIt sees it"),
    -11: (codes.EXECUTION_FAILED, "where the robot stands is against the path's constraints"),
    -12: (codes.COLLISION, "the goal touches something, as MoveIt sees it"),
    -13: (codes.COLLISION, "the goal is against the path's constraints"),
    -14: (codes.PLANNING_FAILED, "the goal was not reached"),
    -15: (codes.BAD_INPUT, "MoveIt does not know the group; correct moveit.group in the robot's YAML"),
    -16: (codes.BAD_INPUT, "MoveIt does not understand the goal; are the joint names of the robot's YAML those of its URDF?"),
    -17: (codes.BAD_INPUT, "MoveIt does not understand the robot's state; are the joint names those of its URDF?"),
    -18: (codes.BAD_INPUT, "MoveIt does not know the link; correct moveit.link in the robot's YAML"),
    -19: (codes.BAD_INPUT, "MoveIt does not know the object"),
    -21: (codes.BAD_INPUT, "MoveIt cannot transform from the base frame; correct base_frame in the robot's YAML"),
    -22: (codes.PLANNING_FAILED, "MoveIt has no collision checking"),
    -23: (codes.STALE_STATE, "MoveIt has no fresh joint states; does every publisher on /joint_states stamp them?"),
    -24: (codes.STALE_STATE, "MoveIt's sensor data are old"),
    -25: (codes.PLANNING_FAILED, "MoveIt could not reach a part of itself"),
    -26: (codes.EXECUTION_FAILED, "where the robot stands is beyond a limit, as MoveIt sees it"),
    -27: (codes.UNREACHABLE, "the goal is beyond a limit"),
    -28: (codes.BAD_INPUT, "MoveIt does not understand the goal"),
    -29: (codes.PLANNING_FAILED, "a part of MoveIt crashed"),
    -30: (codes.PLANNING_FAILED, "MoveIt gave up"),
    -31: (codes.UNREACHABLE, "no inverse kinematics solution"),
}
SUCCESS = 1


def require_success(code: int, message: str = "", source: str = "") -> None:
    """Raises DeftError for any MoveIt error code but SUCCESS."""
    if code == SUCCESS:
        return
    ours, what = MOVEIT_CODES.get(code, (codes.PLANNING_FAILED, "MoveIt failed"))
    said = f" ({source + ': ' if source else ''}{message})" if message else ""
    raise DeftError(ours, f"MoveIt {code}: {what}{said}")


def by_name(names: Sequence[str], joint_names: Sequence[str], rows: Array) -> Array:
    """Columns of rows (k, n) in the order of our joints.

    Raises:
        DeftError: BAD_INPUT where a joint is missing; the planning group is of another robot then.
    """
    missing = [name for name in joint_names if name not in names]
    if missing:
        raise DeftError(codes.BAD_INPUT, f"MoveIt's path has no joint '{missing[0]}' (it has {', '.join(names)}); correct "
                        "moveit.group or joint_names in the robot's YAML")
    return rows[:, [list(names).index(name) for name in joint_names]]


def timed_path(names: Sequence[str], joint_names: Sequence[str], times: Array, positions: Array, velocities: Array,
               start: Array, goal: Array, velocity_limits: Array) -> JointPath:
    """A planned trajectory as a path of ours, sampled as ours are, and slowed down where it is faster than allowed.

    Args:
        times: (k,) s; positions, velocities: (k, n) rad, rad/s, in MoveIt's order (velocities of (0, n): none were sent).
        start, goal: (n_arm,) rad, what was asked for.
        velocity_limits: (n_arm,) rad/s, of the robot's YAML.

    Raises:
        DeftError: PLANNING_FAILED for a path that cannot be trusted: not finite, times that do not increase, another start
            or end than asked for, not at rest at its end.
    """
    def untrue(why: str) -> DeftError:
        return DeftError(codes.PLANNING_FAILED, f"MoveIt's path was refused: {why}")

    if len(times) == 0:  # it is there already
        if np.abs(start - goal).max() > GOAL_TOLERANCE:
            raise untrue("it has no points")
        return still(goal, SAMPLE_SECONDS)
    if len(velocities) != len(positions):
        raise untrue("its points have no velocities; add a time parameterisation to the pipeline's response adapters")
    positions, velocities = by_name(names, joint_names, positions), by_name(names, joint_names, velocities)
    if not all(np.isfinite(a).all() for a in (times, positions, velocities)):
        raise untrue("it is not finite")
    if np.abs(positions[0] - start).max() > START_TOLERANCE:
        raise untrue(f"it starts {np.abs(positions[0] - start).max():.3f} rad from where the arm is")
    if np.abs(positions[-1] - goal).max() > GOAL_TOLERANCE:
        raise untrue(f"it ends {np.abs(positions[-1] - goal).max():.3f} rad from the goal")
    if len(times) == 1:
        return still(goal, SAMPLE_SECONDS)
    if times[0] < 0 or np.any(np.diff(times) <= 0):
        raise untrue("its times do not increase")
    if np.abs(velocities[-1]).max() > 1e-3:
        raise untrue("it does not end at rest")
    return _resampled(times - times[0], positions, velocities, velocity_limits)


def _resampled(times: Array, positions: Array, velocities: Array, velocity_limits: Array) -> JointPath:
    """Points every SAMPLE_SECONDS on the splines that a controller would follow, never faster than the limits."""
    spline = CubicHermiteSpline(times, positions, velocities)
    fine = np.linspace(0.0, times[-1], max(PEAK_POINTS, int(np.ceil(times[-1] / SAMPLE_SECONDS)) + 1))
    slower = max(1.0, float((np.abs(spline.derivative()(fine)) / velocity_limits).max()))
    at = np.linspace(0.0, times[-1], max(3, int(np.ceil(times[-1] * slower / SAMPLE_SECONDS)) + 1))
    speeds = spline.derivative()(at) / slower
    speeds[0] = speeds[-1] = 0.0
    return JointPath(at * slower, spline(at), speeds)


def cartesian_path(fraction: float, names: Sequence[str], joint_names: Sequence[str], positions: Array,
                   start: Array) -> Array | None:
    """Joints (k, n_arm), rad, along a Cartesian path; None where it breaks off or jumps.

    Raises:
        DeftError: PLANNING_FAILED where it is not finite or starts elsewhere.
    """
    if not np.isfinite(fraction) or fraction < WHOLE or len(positions) < 2:
        return None
    path = by_name(names, joint_names, positions)
    if not np.isfinite(path).all():
        raise DeftError(codes.PLANNING_FAILED, "MoveIt's path was refused: it is not finite")
    if np.abs(path[0] - start).max() > START_TOLERANCE:
        raise DeftError(codes.PLANNING_FAILED, f"MoveIt's path was refused: it starts {np.abs(path[0] - start).max():.3f} rad "
                        "from where it was asked to")
    return path if np.abs(np.diff(path, axis=0)).max() <= MAX_JUMP else None
