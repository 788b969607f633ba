"""From grasp parameters to joint paths: pregrasp, approach, close, squeeze, trajectory, hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.spatial.transform import Rotation

from deft_core.descriptions import HandConfig, RobotConfig, TaskConfig
from deft_core.errors import DeftError
from deft_core.types import Array, GraspParameters, Pose
from deft_motion import codes
from deft_motion.gate import SafetyGate
from deft_motion.kinematics import NOTHING, ArmHandModel
from deft_motion.paths import JointPath, ramp, still, time_optimal

BACK_OFF = (0.10, 0.14, 0.18, 0.22)  # m along the palm normal, the first that does not touch the object
APPROACH_STEPS = 10
APPROACH_SECONDS = 0.6   # at least
CLOSE_SECONDS = 0.5      # at least
SQUEEZE_SECONDS = 0.3    # at least
TRAJECTORY_STEP = 0.1    # s, spacing of the poses along tau
SHIFTED_BY = 0.2         # share of tau's time by which a grasp's trajectory_offset is reached
CLEARANCE = 0.008        # m, wrist and hand stay this far above the table: the arm gives when the hand squeezes
MAX_LIFT = 0.08          # m, a grasp that needs more is infeasible
HEIGHTS = 4              # that are tried, for the grasp and for what follows it
ROUNDING = 5e-4          # m, of CLEARANCE
RAISE_EASE = 4           # steps of a trajectory over which it is raised before and after a place that needs it
RANDOM_STARTS = 12


@dataclass(frozen=True)
class GraspGoal:
    """What is asked for: xi + eps, the task, and what was observed (base frame, m).

    Attributes:
        object_centre, object_extent: (3,), box of what is to be grasped.
        surroundings: (n, 3) points of all that was seen to stand on the table; none: unknown.
    """

    grasp: GraspParameters
    task: TaskConfig
    table_height: float
    object_centre: Array
    object_extent: Array
    surroundings: Array = field(default_factory=lambda: NOTHING)


@dataclass(frozen=True)
class GraspPlan:
    """How it is done. Paths are (k, n_arm) and (k, n_hand); phases are (name, start, end) in s of `arm`.

    Attributes:
        executed: the grasp after lifting it clear of the table.
        lift: m, by how much.
        pregrasp: (n_arm,) rad, where `arm` starts.
        arm, hand: approach to hold, on one clock.
        phases: approach, close, squeeze, trajectory, hold.
    """

    executed: GraspParameters
    lift: float
    pregrasp: Array
    arm: JointPath
    hand: JointPath
    phases: tuple[tuple[str, float, float], ...]


class GraspPlanner:
    """Makes grasp plans that the safety gate will pass; knows nothing of where the robot is now.

    Args:
        straight: what follows the straight approach (Planner.straight); None: the model's own inverse kinematics.
    """

    def __init__(self, robot: RobotConfig, hand: HandConfig, model: ArmHandModel, gate: SafetyGate,
                 straight: Callable[[Sequence[Pose], Array], Array | None] | None = None) -> None:
        self._robot, self._hand, self._model, self._gate = robot, hand, model, gate
        self._straight = straight or model.follow
        self._velocity, self._acceleration = np.array(robot.velocity_limits), np.array(robot.acceleration_limits)
        self._open = np.array(hand.open_pose)

    def plan(self, goal: GraspGoal) -> GraspPlan:
        """The plan for a goal. The pregrasp touches nothing that was seen; from there on the hand means to touch.

        Leaves what the goal says of table, object and surroundings in the model.

        Raises:
            DeftError: BAD_INPUT, OUT_OF_WORKSPACE, UNREACHABLE, COLLISION or GATE_REFUSED.
        """
        grasp = self._validated(goal)
        model = self._model
        # The camera's idea of the table may raise it, never lower it: the YAML's height was measured with the robot.
        model.set_table(max(goal.table_height, self._robot.table_height))
        model.set_object(goal.object_centre, goal.object_extent)
        model.set_surroundings(goal.surroundings)
        closed, squeezed = self._closed(grasp)
        why = DeftError(codes.UNREACHABLE, "the arm cannot reach this grasp with its approach and trajectory")
        for start in self._starts():
            try:
                return self._plan_from(start, goal, grasp, closed, squeezed)
            except DeftError as error:
                why = error if error.code != codes.UNREACHABLE else why
        raise why

    def _validated(self, goal: GraspGoal) -> GraspParameters:
        grasp = goal.grasp
        if not grasp.finite() or not np.isfinite([goal.table_height, *goal.object_centre, *goal.object_extent]).all():
            raise DeftError(codes.BAD_INPUT, "the grasp or the observed object is not finite")
        if grasp.frame not in ("", self._robot.base_frame):
            raise DeftError(codes.BAD_INPUT, f"the grasp is in frame '{grasp.frame}', needed '{self._robot.base_frame}'")
        if set(grasp.joint_names) != set(self._hand.joint_names):
            raise DeftError(codes.BAD_INPUT, f"the grasp's joints are not those of hand '{self._hand.name}'")
        order = [grasp.joint_names.index(n) for n in self._hand.joint_names]
        joints = self._hand.followed(grasp.joints[order])
        low, high = np.array(self._robot.workspace.lower), np.array(self._robot.workspace.upper)
        if np.any(grasp.contact < low - 0.05) or np.any(grasp.contact > high):
            raise DeftError(codes.OUT_OF_WORKSPACE, f"contact {grasp.contact.round(3).tolist()} m lies outside the "
                            "workspace of the robot's YAML")
        return replace(grasp, joint_names=self._hand.joint_names, joints=joints)

    def _closed(self, grasp: GraspParameters) -> tuple[Array, Array]:
        """Hand joints when closed and when squeezing, within limits."""
        squeezed = self._hand.followed(grasp.joints + np.array(self._hand.squeeze))
        return grasp.joints, squeezed

    def _starts(self) -> list[Array]:
        """Starts of the inverse kinematics: the robot's own, then fixed random postures."""
        own = self._robot.ik_starts or (self._robot.ready,)
        rng = np.random.default_rng(0)
        lower, upper = self._model.lower[:self._model.n_arm], self._model.upper[:self._model.n_arm]
        return [*map(np.array, own), *(rng.uniform(lower, upper) for _ in range(RANDOM_STARTS))]

    def _plan_from(self, start: Array, goal: GraspGoal, grasp: GraspParameters, closed: Array,
                   squeezed: Array) -> GraspPlan:
        lift, arm = self._clear_of_table(grasp, start, closed, squeezed)
        executed = grasp.raised(lift)
        palm = self._model.palm_target(executed.contact, executed.rotation())
        approach = self._approach(palm, arm)
        tau, times = self._trajectory(goal.task, executed, approach[-1], squeezed)
        plan = self._assemble(goal, executed, lift, approach, tau, times, closed, squeezed)
        self._gate.check_paths(plan.arm, plan.hand)
        return plan

    def _clear_of_table(self, grasp: GraspParameters, start: Array, closed: Array, squeezed: Array) -> tuple[float, Array]:
        """How far to raise the grasp so that open and closed hand stay above the table, and its posture."""
        lift = 0.0
        for _ in range(HEIGHTS):
            arm = self._model.inverse(self._model.palm_target(grasp.raised(lift).contact, grasp.rotation()), start)
            if arm is None:
                raise DeftError(codes.UNREACHABLE, "no inverse kinematics solution")
            lowest = min(self._model.clearance(arm, q) for q in (self._open, closed, squeezed))
            if lowest >= CLEARANCE - ROUNDING:
                return lift, arm
            lift += CLEARANCE - lowest
            if lift > MAX_LIFT:
                raise DeftError(codes.COLLISION, f"the hand would have to be raised {lift * 100:.0f} cm to clear the table")
        raise DeftError(codes.COLLISION, "no height found at which the hand clears the table")

    def _approach(self, palm: Pose, arm: Array) -> Array:
        """Arm joints from the pregrasp to the grasp; the pregrasp backs off along the palm normal."""
        normal = palm.rotation.as_matrix()[:, 2]
        touching = ""
        for distance in BACK_OFF:
            away = [Pose(palm.position - normal * d, palm.rotation)
                    for d in np.linspace(0.0, distance, APPROACH_STEPS + 1)]
            path = self._straight(away, arm)
            if path is None:
                continue
            if min(self._model.clearance(q, self._open) for q in path[1::3]) < CLEARANCE / 2:
                touching = touching or "hand and table (on the approach)"
                continue
            hit = self._model.colliding(path[-1], self._open)
            if not hit:
                return path[::-1]
            touching = hit
        if touching:
            raise DeftError(codes.COLLISION, f"before the grasp {touching} touch")
        raise DeftError(codes.UNREACHABLE, "the approach cannot be followed")

    def _trajectory(self, task: TaskConfig, grasp: GraspParameters, arm: Array, squeezed: Array) -> tuple[Array, Array]:
        """Arm joints (k, n_arm) along tau and their times (k,), s from its start.

        The grasp's trajectory_offset shifts all of tau but its beginning, where the hand is already. Where the hand would meet
        the table tau is raised: it was shown with another hand.
        """
        keys = np.array([w.t for w in task.trajectory])
        times = np.linspace(0.0, keys[-1], max(2, int(np.ceil(keys[-1] / TRAJECTORY_STEP)) + 1))
        shifts = np.stack([np.interp(times, keys, [w.xyz[i] for w in task.trajectory]) for i in range(3)], axis=1)
        shifts += np.outer(np.minimum(times / (SHIFTED_BY * keys[-1]), 1.0), grasp.trajectory_offset)
        turns = np.stack([np.interp(times, keys, [w.rotvec[i] for w in task.trajectory]) for i in range(3)], axis=1)
        for _ in range(HEIGHTS):
            poses = [self._model.palm_target(grasp.contact + shift, Rotation.from_rotvec(turn) * grasp.rotation())
                     for shift, turn in zip(shifts, turns, strict=True)]
            path = self._model.follow(poses, arm)
            if path is None:
                raise DeftError(codes.UNREACHABLE, "the post-grasp trajectory cannot be followed from this grasp")
            missing = CLEARANCE - np.array([self._model.clearance(q, squeezed) for q in path])
            if missing.max() <= ROUNDING:
                return path, times
            shifts[1:, 2] += _spread(np.maximum(missing, 0.0))[1:]
        raise DeftError(codes.COLLISION, "the hand would meet the table on the post-grasp trajectory, however it is raised")

    def _assemble(self, goal: GraspGoal, executed: GraspParameters, lift: float, approach: Array, tau: Array,
                  times: Array, closed: Array, squeezed: Array) -> GraspPlan:
        reach = time_optimal(approach, self._velocity, self._acceleration, APPROACH_SECONDS)
        close = ramp(self._open, closed, CLOSE_SECONDS, self._hand.velocity_limit)
        squeeze = ramp(closed, squeezed, SQUEEZE_SECONDS, self._hand.velocity_limit)
        grip = close.duration + squeeze.duration
        moved = time_optimal(tau, self._velocity, self._acceleration, float(times[-1]))
        hold = max(goal.task.hold_seconds, 0.1)
        arm = reach.then(still(approach[-1], grip)).then(moved).then(still(tau[-1], hold))
        grasped = reach.duration + grip
        hand = (still(self._open, reach.duration).then(close).then(squeeze)
                .then(still(squeezed, arm.duration - grasped)))
        marks = np.cumsum([0.0, reach.duration, close.duration, squeeze.duration, moved.duration, hold])
        names = ("approach", "close", "squeeze", "trajectory", "hold")
        phases = tuple((n, float(a), float(b)) for n, a, b in zip(names, marks, marks[1:], strict=False))
        return GraspPlan(executed, lift, approach[0], arm, hand, phases)


def _spread(heights: Array) -> Array:
    """Heights (k,), m, with slopes of RAISE_EASE steps on both sides; nowhere lower than they were."""
    size = RAISE_EASE + 1
    return uniform_filter1d(maximum_filter1d(heights, size, mode="nearest"), size, mode="nearest")
