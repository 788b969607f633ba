"""The one door to arm and hand: every command passes here, resets and homing included."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.errors import DeftError
from deft_core.types import Array
from deft_motion import codes
from deft_motion.kinematics import ArmHandModel
from deft_motion.paths import JointPath, still

MAX_STATE_AGE = 0.5        # s, older joint states refuse every command
START_TOLERANCE = 0.08     # rad, between the arm's measured posture and a path's first point
SPEED_MARGIN = 1.10        # splines between the points may exceed the points' speed by this factor
LIMIT_MARGIN = 0.01        # rad, beyond a joint limit that is still rounding
MIN_CLEARANCE = 0.0005     # m, of wrist and hand above the table
HAND_SLACK = 1.0           # rad, a hand that holds something is not where it was sent
CHECK_SECONDS = 0.08       # s, spacing of the workspace and clearance checks along a path


@dataclass(frozen=True)
class RobotState:
    """What the robot says of itself.

    Attributes:
        stamp: s, robot clock.
        arm, hand: (n,) rad, measured.
        age: s of wall time since it was received.
    """

    stamp: float
    arm: Array
    hand: Array
    age: float


class SafetyGate:
    """Checks commands against limits, speed, workspace, table, the robot's own parts, freshness and the stop latch.

    Thread-safe. Refusals are DeftErrors with STOPPED, STALE_STATE, OUT_OF_WORKSPACE or GATE_REFUSED.
    """

    def __init__(self, robot: RobotConfig, hand: HandConfig, model: ArmHandModel) -> None:
        self._robot, self._hand, self._model = robot, hand, model
        n = model.n_arm
        self._limits = {"arm": (model.lower[:n], model.upper[:n], np.array(robot.velocity_limits)),
                        "hand": (model.lower[n:], model.upper[n:], np.full(model.n_hand, hand.velocity_limit))}
        self._names = {"arm": robot.joint_names, "hand": hand.joint_names}
        self._lock = threading.Lock()        # of the latch
        self._model_lock = threading.Lock()  # of the model, which checks from several threads use
        self._stop_reason, self._stops = "", 0

    # -- the latch ----------------------------------------------------------------------------------

    @property
    def stopped(self) -> str:
        """Why the latch is set; "" while it is not."""
        with self._lock:
            return self._stop_reason

    def stop(self, reason: str) -> None:
        """Set the latch: from now on every motion is refused."""
        with self._lock:
            self._stop_reason = self._stop_reason or reason or "stop was called"
            self._stops += 1

    @property
    def stops(self) -> int:
        """How often it has been set, for `rearm`."""
        with self._lock:
            return self._stops

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Publish inside this: the latch cannot be set between its check and the command.

        Raises:
            DeftError: STOPPED.
        """
        with self._lock:
            if self._stop_reason:
                raise DeftError(codes.STOPPED, f"stopped ({self._stop_reason}); call rearm when it is safe")
            yield

    def rearm(self, state: RobotState | None, stops: int | None = None) -> None:
        """Release the latch.

        Args:
            stops: `stops` when the rearm began; None = now. A stop that came since then stays.

        Raises:
            DeftError: STALE_STATE without fresh joint states; STOPPED where there was another stop meanwhile.
        """
        self.require_fresh(state)
        with self._lock:
            if stops is not None and stops != self._stops:
                raise DeftError(codes.STOPPED, f"stopped again while it was rearmed ({self._stop_reason}); call rearm when it "
                                "is safe")
            self._stop_reason = ""

    # -- commands ------------------------------------------------------------------------------------

    def require_fresh(self, state: RobotState | None) -> RobotState:
        """The state, if it is fresh and finite. Raises DeftError STALE_STATE."""
        if state is None:
            raise DeftError(codes.STALE_STATE, "no joint states of all arm and hand joints have arrived; is the robot's "
                            f"driver running and publishing {self._robot.joint_states_topic}?")
        if state.age > MAX_STATE_AGE:
            raise DeftError(codes.STALE_STATE, f"the last joint states are {state.age:.1f} s old (limit {MAX_STATE_AGE} s)")
        if not (np.isfinite(state.arm).all() and np.isfinite(state.hand).all()):
            raise DeftError(codes.STALE_STATE, "joint states are not finite")
        return state

    def check(self, arm: JointPath | None, hand: JointPath | None, state: RobotState | None) -> None:
        """Pass, or refuse with a DeftError, a command to arm, hand or both that start together."""
        with self.armed():
            state = self.require_fresh(state)
        self._check_start("arm", arm, state.arm, START_TOLERANCE)
        self._check_start("hand", hand, state.hand, HAND_SLACK)
        if arm is not None:
            self.check_paths(arm, hand if hand is not None else self._staying("hand", state.hand, arm.duration))
        elif hand is not None:
            self._check_path("hand", hand)
            with self._model_lock:
                self._check_space(self._staying("arm", state.arm, hand.duration), hand)

    def _staying(self, part: str, measured: Array, duration: float) -> JointPath:
        """A part that is not commanded; what a hand holds may press a joint a little past its limit."""
        lower, upper, _ = self._limits[part]
        return still(np.clip(measured, lower, upper), duration)

    def check_paths(self, arm: JointPath, hand: JointPath) -> None:
        """Refuse paths that could never be sent, wherever the robot is: for planning ahead."""
        self._check_path("arm", arm)
        self._check_path("hand", hand)
        with self._model_lock:
            self._check_space(arm, hand)

    def _check_start(self, part: str, path: JointPath | None, measured: Array, tolerance: float) -> None:
        if path is not None and path.positions[:1].shape == (1, len(measured)):
            wrong = ~(np.abs(path.positions[:1] - measured) <= tolerance)
            self._refuse_any(wrong, self._names[part],
                             f"{part} path does not start where the robot is, more than {tolerance} rad off at")

    def _check_path(self, part: str, path: JointPath) -> None:
        lower, upper, speed = self._limits[part]
        names = self._names[part]
        if path.positions.shape != (len(path.times), len(names)) or path.velocities.shape != path.positions.shape:
            raise DeftError(codes.GATE_REFUSED, f"{part} path has shape {path.positions.shape}, needs (k, {len(names)})")
        if not all(np.isfinite(a).all() for a in (path.times, path.positions, path.velocities)):
            raise DeftError(codes.GATE_REFUSED, f"{part} path is not finite")
        if len(path.times) < 2 or np.any(np.diff(path.times) <= 0) or path.times[0] != 0:
            raise DeftError(codes.GATE_REFUSED, f"{part} path times must start at 0 and increase")
        if np.abs(path.velocities[-1]).max() > 1e-6:
            raise DeftError(codes.GATE_REFUSED, f"{part} path does not end at rest")
        self._refuse_any(path.positions < lower - LIMIT_MARGIN, names, f"{part} path is below the lower limit of")
        self._refuse_any(path.positions > upper + LIMIT_MARGIN, names, f"{part} path is above the upper limit of")
        between = np.diff(path.positions, axis=0) / np.diff(path.times)[:, None]
        self._refuse_any(np.abs(np.vstack([between, path.velocities])) > SPEED_MARGIN * speed, names,
                         f"{part} path is faster than allowed for")

    @staticmethod
    def _refuse_any(wrong: np.ndarray, names: tuple[str, ...], what: str) -> None:
        if wrong.any():
            raise DeftError(codes.GATE_REFUSED, f"{what} {names[int(np.argmax(wrong.any(axis=0)))]}")

    def _check_space(self, arm: JointPath, hand: JointPath) -> None:
        """Palm inside the workspace, nothing in the table, no part of the robot in another, sampled along the path.

        A robot that is outside already may come back: only points worse than the first are refused, and parts that touch
        at the start may stay so until they have parted.
        """
        low, high = np.array(self._robot.workspace.lower), np.array(self._robot.workspace.upper)
        outside_at_start, clearance_at_start, parting = 0.0, 0.0, set[str]()
        for k, time in enumerate(np.arange(0.0, arm.duration + CHECK_SECONDS, CHECK_SECONDS)):
            q, fingers = arm.at(time), hand.at(time)
            palm = self._model.palm_position(q)
            outside = float(np.maximum(low - palm, palm - high).max())
            clearance = self._model.clearance(q, fingers)
            touching = self._model.self_contacts(q, fingers)
            if k == 0:
                outside_at_start, clearance_at_start, parting = outside, clearance, touching
            if outside > max(0.0, outside_at_start) + 1e-3:
                raise DeftError(codes.OUT_OF_WORKSPACE, f"the palm would leave the workspace at {palm.round(3).tolist()} m; "
                                "the workspace is in the robot's YAML")
            if clearance < min(MIN_CLEARANCE, clearance_at_start) - 1e-3:
                raise DeftError(codes.GATE_REFUSED, f"the hand would come within {clearance * 1000:.1f} mm of the table")
            if touching - parting:
                raise DeftError(codes.GATE_REFUSED, f"{min(touching - parting)} of the robot would touch; take another grasp, "
                                "or move the object")
            parting &= touching
