"""Runs grasp plans on a robot: move, grasp, release, park. Knows the robot only through RobotPort."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np

from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.errors import DeftError
from deft_core.hardware import Touch
from deft_core.types import Array, GraspParameters, Pose
from deft_motion import codes
from deft_motion.closing import UntilTouch
from deft_motion.gate import RobotState
from deft_motion.grasp_plan import GraspGoal, GraspPlan, GraspPlanner
from deft_motion.kinematics import NOTHING, ArmHandModel
from deft_motion.paths import JointPath, ramp, still, time_optimal
from deft_motion.planner import Planner

SETTLE_SECONDS = 0.25      # s of robot clock after a motion before its end is judged
TRACKING_TOLERANCE = 0.06  # rad, an arm joint further from its command has hit something
GOAL_TOLERANCE = 0.04      # rad, of the arm at the end of a motion
OPEN_SECONDS = 0.4
LEAVE = 0.10               # m along the palm normal, after opening the hand
RISES = (0.15, 0.08)       # m, straight up where there is no better way out
PARK_ATTEMPTS = 3
POLL_SECONDS = 0.1         # s of wall time between two looks at whether it is cancelled
STALL_SECONDS = 3.0        # s of wall time without a joint state ends a motion
COLLISION_STOP = "collision"
CLOSE = 1                  # row of a plan's phases: until its end the hand follows the plan, whatever it touches
STEP_SECONDS = 0.08        # of a step of closing until it touches
REFUSED = (codes.GATE_REFUSED, codes.OUT_OF_WORKSPACE)


class Cancelled(Exception):
    """The goal was cancelled; the robot has been told to hold."""


class RobotPort(Protocol):
    """The robot as the executor sees it. Commands pass the safety gate inside."""

    def state(self) -> RobotState:
        """The latest state. Raises DeftError STALE_STATE when it is old or missing."""
        ...

    def send(self, arm: JointPath | None, hand: JointPath | None) -> float:
        """Start paths together; returns their start in s of robot clock. Raises DeftError when refused."""
        ...

    def next_state(self, after: float, timeout: float) -> RobotState | None:
        """The next state with a stamp later than `after`; None when none comes within `timeout` s of wall time."""
        ...

    def hold(self) -> None:
        """Stop where the robot is."""
        ...


@dataclass
class Execution:
    """What happened.

    Attributes:
        phases: (name, start, end) in s of robot clock.
        stop_reason: why it ended early, "" else.
        planning: s of wall time in which the robot stood and its ways were planned.
    """

    executed: GraspParameters
    lift: float
    phases: list[tuple[str, float, float]] = field(default_factory=list)
    stop_reason: str = ""
    planning: float = 0.0

    @contextmanager
    def plans(self) -> Iterator[None]:
        """What happens inside is planning."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.planning += time.monotonic() - started


class _TrackingLost(Exception):
    """The arm is not where it was sent; carries the robot clock at which that was seen."""

    def __init__(self, stamp: float) -> None:
        super().__init__(f"tracking lost at {stamp}")
        self.stamp = stamp


class GraspExecutor:
    """Executes one goal at a time.

    Args:
        on_phase: told the name of each phase and the progress 0..1 when it starts.
        cancelled: polled while moving.
    """

    def __init__(self, robot: RobotConfig, hand: HandConfig, model: ArmHandModel, planner: Planner,
                 grasp_planner: GraspPlanner, port: RobotPort) -> None:
        self._robot, self._model, self._planner = robot, model, planner
        self._grasps, self._port = grasp_planner, port
        self._hand = hand
        self._hand_limits = np.array(hand.lower), np.array(hand.upper)
        self._open, self._park = np.array(hand.open_pose), np.array(robot.park)
        self._velocity, self._acceleration = np.array(robot.velocity_limits), np.array(robot.acceleration_limits)

    def execute(self, goal: GraspGoal, seed: int, on_phase: Callable[[str, float], None],
                cancelled: Callable[[], bool]) -> Execution:
        """Move to the pregrasp, grasp, follow tau, hold, release, park.

        A collision on the way ends the grasp early and is reported in `stop_reason`; the robot still
        opens, backs out and parks.

        Raises:
            DeftError: nothing was touched (planning codes), or the robot failed (EXECUTION_FAILED, STALE_STATE).
            Cancelled: it holds where it was.
        """
        done = Execution(goal.grasp, 0.0)
        with done.plans():
            plan = self._grasps.plan(goal)
            done.executed, done.lift = plan.executed, plan.lift
            on_phase("move", 0.0)
            path = self._planner.plan(self._port.state().arm, plan.pregrasp, self._open, seed)
        try:
            self._run(path, self._hand_to_open(path.duration), (("move", 0.0, path.duration),), done, cancelled)
        except _TrackingLost:
            raise DeftError(codes.EXECUTION_FAILED, "the arm did not follow on the way to the pregrasp; is it in "
                            "collision, or its controller stopped?") from None
        try:
            on_phase("grasp", 0.3)
            touch = None if goal.task.gentle else self._hand.touch
            reached = self._grasp(plan, touch, done, cancelled)
            self._planner.grasped(plan.arm.at(plan.phases[0][2]))
            on_phase("release", 0.7)
            self._release(plan, reached, goal.task.release, done, cancelled)
            on_phase("park", 0.85)
            self.park(seed, cancelled, done)
        except DeftError as error:
            if error.code in (codes.STOPPED, codes.STALE_STATE):
                raise
            raise DeftError(codes.EXECUTION_FAILED, f"after the grasp had begun: {error.message}") from None
        return done

    def park(self, seed: int, cancelled: Callable[[], bool], done: Execution | None = None) -> None:
        """Open the hand and bring the arm to its park pose; where it hits something, back off and plan again.

        What stood on the table when the grasp was planned is avoided, unless it bars the way: it may have moved. Afterwards
        it is forgotten.

        Raises:
            DeftError: EXECUTION_FAILED after PARK_ATTEMPTS, or a gate or state code.
            Cancelled: it holds where it was.
        """
        self._model.forget_object()
        self._planner.released()
        try:
            self._go_home(seed, cancelled, done)
        finally:
            self._model.set_surroundings(NOTHING)

    def _go_home(self, seed: int, cancelled: Callable[[], bool], done: Execution | None) -> None:
        """See park."""
        state = self._port.state()
        if np.abs(state.arm - self._park).max() < GOAL_TOLERANCE / 2 and np.abs(state.hand - self._open).max() < 0.1:
            return
        attempt = 0
        while True:
            try:
                with done.plans() if done is not None else nullcontext():
                    path = self._planner.plan(self._port.state().arm, self._park, self._open, seed + attempt)
                self._run(path, self._hand_to_open(path.duration), (("park", 0.0, path.duration),), done, cancelled)
                return
            except _TrackingLost:
                why = "the arm did not follow on the way to its park pose"
                self._port.hold()
            except DeftError as error:
                if error.code not in (codes.EXECUTION_FAILED, codes.COLLISION, codes.PLANNING_FAILED):
                    raise
                why = error.message
                if self._model.knows_surroundings:
                    self._model.set_surroundings(NOTHING)
                    continue
            attempt += 1
            if attempt == PARK_ATTEMPTS:
                raise DeftError(codes.EXECUTION_FAILED, f"{why}; clear it by hand, then run again")
            self._back_off(attempt - 1, done, cancelled)

    def _back_off(self, attempt: int, done: Execution | None, cancelled: Callable[[], bool]) -> None:
        """Get clear of what the arm has run into, which no camera has seen there: off the palm, or straight up.

        Each attempt begins with another way: one that moves the hand need not free it (fingers behind a handle).
        """
        ways = (self._off, *self._rises())
        first = attempt % len(ways)
        for way in (*ways[first:], *ways[:first]):
            try:
                if self._leave(way(), done, cancelled):
                    return
            except _TrackingLost:
                self._port.hold()

    def _hand_to_open(self, duration: float) -> JointPath:
        """To the open pose while the arm moves for `duration`, s."""
        return self._opening(max(duration - 0.05, OPEN_SECONDS)).then(still(self._open, 0.05))

    def _opening(self, duration: float) -> JointPath:
        """From where the hand is to its open pose; what it holds may press a joint past its limit."""
        return ramp(np.clip(self._port.state().hand, *self._hand_limits), self._open, duration, self._hand.velocity_limit)

    def _grasp(self, plan: GraspPlan, touch: Touch | None, done: Execution, cancelled: Callable[[], bool]) -> float:
        """Approach to hold; returns how far into plan.arm (s) the arm came.

        Args:
            touch: how the hand closes on from the grasp until it touches; None: it closes as planned.
        """
        before, first = 0.0, len(done.phases)
        try:
            if touch is None:
                self._run(plan.arm, plan.hand, plan.phases, done, cancelled)
                return plan.arm.duration
            closed = plan.phases[CLOSE][2] + 1e-9
            way_in = plan.arm.until(closed)
            self._run(way_in, plan.hand.until(closed), plan.phases[:CLOSE + 1], done, cancelled)
            closing = self._close_until_touch(touch, plan, done, cancelled)
            before, first = way_in.duration, len(done.phases)
            self._lead(plan, before, closing, done, cancelled)
            return plan.arm.duration
        except _TrackingLost as lost:
            done.stop_reason = COLLISION_STOP
            self._port.hold()
            reached = float(np.clip(before + lost.stamp - done.phases[first][1], 0.0, plan.arm.duration))
            done.phases[:] = [(n, a, min(b, lost.stamp)) for n, a, b in done.phases if a < lost.stamp]
            return reached

    def _close_until_touch(self, touch: Touch, plan: GraspPlan, done: Execution, cancelled: Callable[[], bool]) -> UntilTouch:
        """Close on, step by step, until every finger is held up; the end of the phase `close` is then."""
        closing = UntilTouch(self._hand, touch, plan.hand.at(plan.phases[CLOSE][2]))
        while True:
            state = self._port.state()
            start, following = closing.start(state.hand), closing.further(state.hand)
            if following is None:
                break
            step = ramp(start, following, STEP_SECONDS, self._hand.velocity_limit)
            if not self._try(None, step, ("close", 0.0, step.duration), None, cancelled):
                break
        name, began, _ = done.phases[-1]
        done.phases[-1] = name, began, self._port.state().stamp
        return closing

    def _lead(self, plan: GraspPlan, since: float, closing: UntilTouch, done: Execution, cancelled: Callable[[], bool]) -> None:
        """Squeeze from where the fingers touch, and go on with plan.arm from `since` (s); where the gate refuses the hand like
        that, as it was planned."""
        arm, measured = plan.arm.since(since), self._port.state().hand
        began = plan.arm.duration - arm.duration
        phases = tuple((name, max(0.0, a - began), b - began) for name, a, b in plan.phases[CLOSE + 1:])
        for squeezed in (closing.squeezed(measured), plan.hand.positions[-1]):
            squeeze = ramp(closing.start(measured), squeezed, phases[0][2], self._hand.velocity_limit)
            hand = squeeze.then(still(squeezed, max(arm.duration - squeeze.duration, STEP_SECONDS)))
            try:
                self._run(arm, hand, phases, done, cancelled)
                return
            except DeftError as error:
                if error.code not in REFUSED:
                    raise
                refused = error
        raise refused

    def _release(self, plan: GraspPlan, reached: float, how: str, done: Execution,
                 cancelled: Callable[[], bool]) -> None:
        """Bring the object back down (or not), open, back out."""
        grasped = plan.phases[0][2]
        way_in = plan.arm.until(max(reached, 0.04))
        came = way_in.positions[way_in.times >= grasped][::-1] if reached > grasped else way_in.positions[-1:]
        approach = plan.arm.until(min(reached, grasped)).positions[::-1]
        try:
            placed = how == "place_back" and len(came) > 1 and self._place(came, done, cancelled)
            opened = self._open_here(done, cancelled)
            if opened:
                self._planner.released()
            self._retreat(came, approach, placed, opened, done, cancelled)
            if not opened:
                self._open_here(done, cancelled)
        except _TrackingLost:
            self._port.hold()
            done.stop_reason = done.stop_reason or COLLISION_STOP

    def _retreat(self, came: Array, approach: Array, placed: bool, opened: bool, done: Execution,
                 cancelled: Callable[[], bool]) -> None:
        """Leave what was grasped: the first of several ways that passes the gate.

        From where it was grasped, the way in; from elsewhere, off along the palm normal if the hand is open, else
        the way that it came, else straight up.
        """
        ways: list[Callable[[], Array | None]] = [lambda: np.vstack([came, approach]), *self._rises()]
        if placed or len(came) == 1:
            ways.insert(0, lambda: approach)
        elif opened:
            ways.insert(0, self._off)
        for way in ways:
            if self._leave(way(), done, cancelled):
                return
        raise DeftError(codes.EXECUTION_FAILED, "there is no way out that keeps the hand above the table; move the arm by hand")

    def _off(self) -> Array | None:
        """Off along the palm normal; None when out of reach."""
        return self._straight(lambda palm: -LEAVE * palm.rotation.as_matrix()[:, 2])

    def _rises(self) -> list[Callable[[], Array | None]]:
        """Ways straight up, far and less far."""
        def risen(up: float) -> Array | None:
            return self._straight(lambda _: np.array([0.0, 0.0, up]))
        return [partial(risen, up) for up in RISES]

    def _leave(self, positions: Array | None, done: Execution | None, cancelled: Callable[[], bool]) -> bool:
        """Go along positions (k, n_arm) out of where the hand is; False, and nothing moves, when that cannot be done."""
        if positions is None:
            return False
        try:
            path = self._timed(positions)
        except DeftError as error:
            if error.code != codes.PLANNING_FAILED:
                raise
            return False
        return self._try(path, None, ("retreat", 0.0, path.duration), done, cancelled)

    def _straight(self, shift: Callable[[Pose], Array]) -> Array | None:
        """Arm joints (k, n_arm) of a straight motion of the palm by `shift(palm)` (m, base frame); None when out of reach."""
        arm = self._port.state().arm
        palm = self._model.grasp_pose(arm)
        path = [Pose(palm.position + share * shift(palm), palm.rotation) for share in np.linspace(0.0, 1.0, 8)]
        return self._planner.straight(path, arm)

    def _open_here(self, done: Execution, cancelled: Callable[[], bool]) -> bool:
        """Open the hand. False, and nothing moves, when there is no room for it above the table."""
        opening = self._opening(OPEN_SECONDS)
        return self._try(None, opening, ("release", 0.0, opening.duration), done, cancelled)

    def _place(self, came: Array, done: Execution, cancelled: Callable[[], bool]) -> bool:
        """Bring the object back to where it was grasped. False, and nothing moves, when the gate refuses.

        Fingers that lost the object stand otherwise than planned and may reach below the table there.
        """
        back = self._timed(came)
        return self._try(back, None, ("place", 0.0, back.duration), done, cancelled)

    def _try(self, arm: JointPath | None, hand: JointPath | None, phase: tuple[str, float, float],
             done: Execution | None, cancelled: Callable[[], bool]) -> bool:
        """Run one phase; False, and nothing moves, when the gate refuses it."""
        try:
            self._run(arm, hand, (phase,), done, cancelled)
        except DeftError as error:
            if error.code not in REFUSED:
                raise
            return False
        return True

    def _next_state(self, after: float, cancelled: Callable[[], bool]) -> RobotState | None:
        """The next state, None after STALL_SECONDS without one or when the motion is cancelled."""
        deadline = time.monotonic() + STALL_SECONDS
        while time.monotonic() < deadline:
            if (state := self._port.next_state(after, POLL_SECONDS)) is not None or cancelled():
                return state
        return None

    def _timed(self, positions: Array) -> JointPath:
        """A path from where the arm is along positions (k, n_arm), as fast as allowed."""
        here = self._port.state().arm
        nearest = int(np.argmin(np.abs(positions - here).max(axis=1)))
        return time_optimal(np.vstack([here, positions[nearest:]]), self._velocity, self._acceleration)

    def _run(self, arm: JointPath | None, hand: JointPath | None, phases: tuple[tuple[str, float, float], ...],
             done: Execution | None, cancelled: Callable[[], bool]) -> None:
        """Send paths and watch them to their end, on the robot's clock.

        Raises:
            _TrackingLost: the arm is off its path, or not at its end.
            Cancelled, DeftError.
        """
        start = self._port.send(arm, hand)
        if done is not None:
            done.phases += [(name, start + a, start + b) for name, a, b in phases]
        end = start + max(p.duration for p in (arm, hand) if p is not None) + SETTLE_SECONDS
        stamp, off, arrived = 0.0, 0, np.zeros(0)
        while stamp < end:
            state = self._next_state(stamp, cancelled)
            if cancelled():
                with suppress(DeftError):  # without joint states there is nothing to hold at: the windows end by themselves
                    self._port.hold()
                raise Cancelled
            if state is None:  # nothing to hold at: the controllers end their trajectories by themselves
                raise DeftError(codes.STALE_STATE, f"joint states stopped for {STALL_SECONDS:.0f} s during a motion")
            stamp, arrived = state.stamp, state.arm
            if arm is not None:
                error = float(np.abs(arm.at(stamp - start) - state.arm).max())
                off = off + 1 if error > TRACKING_TOLERANCE else 0
                if off >= 2:
                    raise _TrackingLost(stamp)
        if arm is not None and np.abs(arm.positions[-1] - arrived).max() > GOAL_TOLERANCE:
            raise _TrackingLost(stamp)
