"""moveit_py as the planner: MoveItPy lives in a process of its own and is spoken to over a pipe.

Its `plan()` holds Python's interpreter lock, so that nothing else in its process runs meanwhile, and it may crash when it is
torn down; neither may happen to the node that watches the robot. A process that has died is started again by the next plan.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from deft_core.errors import DeftError
from deft_core.hardware import MoveItConfig
from deft_core.types import Array, Pose
from deft_motion import codes
from deft_motion.executor import Cancelled
from deft_motion.kinematics import ArmHandModel
from deft_motion.moveit.results import cartesian_path, require_success, timed_path
from deft_motion.moveit.worker import Answer, Request, serve
from deft_motion.paths import JointPath

START_SECONDS = 60.0   # for MoveItPy to load its model and pipelines
MARGIN_SECONDS = 10.0  # on top of the planning time
POLL_SECONDS = 0.05


class MoveItPyPlanner:
    """See deft_motion.planner.Planner.

    Args:
        cancelled: polled while MoveIt plans; true ends the wait, and the call raises Cancelled. The worker's answer is dropped.
        target: what the worker runs, for tests.
    """

    def __init__(self, settings: MoveItConfig, model: ArmHandModel, cancelled: Callable[[], bool] = lambda: False,
                 target: Callable[[Connection, MoveItConfig, tuple[str, ...], str], None] = serve) -> None:
        self._settings, self._model, self._cancelled, self._target = settings, model, cancelled, target
        self._joints, self._frame = model.robot.joint_names, model.robot.base_frame
        self._limits = np.array(model.robot.velocity_limits)
        self._worker: Any = None
        self._pipe: Connection | None = None
        self._number = 0

    def close(self) -> None:
        """End the worker; what its exit status says means nothing."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.join()
        self._worker = self._pipe = None

    # -- Planner --------------------------------------------------------------------------------------

    def plan(self, start: Array, goal: Array, hand: Array, seed: int) -> JointPath:
        """See Planner. Raises DeftError as MoveGroupPlanner.plan."""
        answer = self._ask("plan", start=start, goal=goal, obstacles=self._model.obstacles(), with_things=True)
        return timed_path(answer.names, self._joints, answer.times, answer.positions, answer.velocities, start, goal,
                          self._limits)

    def straight(self, poses: Sequence[Pose], start: Array) -> Array | None:
        """See Planner: the LIN planner of Pilz, from the first pose to the last. None where it finds no way."""
        try:
            answer = self._ask("straight", start=start, obstacles=self._model.obstacles(), with_things=False,
                               pose=self._model.flange_target(poses[-1]))
        except DeftError as error:
            if error.code not in (codes.PLANNING_FAILED, codes.UNREACHABLE, codes.COLLISION) or self._pipe is None:
                raise
            return None
        return cartesian_path(1.0, answer.names, self._joints, answer.positions, start)

    def grasped(self, arm: Array) -> None:
        """See Planner."""
        self._note("grasped", start=arm, obstacles=self._model.obstacles(),
                   pose=self._model.flange_target(self._model.grasp_pose(arm)))

    def released(self) -> None:
        """See Planner."""
        self._note("released")

    def _note(self, kind: str, **values: Any) -> None:
        """Tell MoveIt what the hand holds. Where it cannot be told, the hand opens all the same; a new worker holds nothing."""
        if self._pipe is None:
            return
        try:
            self._ask(kind, **values)
        except DeftError as error:
            logging.getLogger(__name__).warning("MoveIt was not told what the hand holds: %s", error.message)

    # -- the worker -------------------------------------------------------------------------------------

    def _ask(self, kind: str, **values: Any) -> Answer:
        """The worker's answer. Raises DeftError: what MoveIt said, or PLANNING_FAILED where the worker has died."""
        seconds = self._settings.planning_time * self._settings.attempts + MARGIN_SECONDS
        if self._worker is None or not self._worker.is_alive():
            self._start()
            seconds += START_SECONDS
        self._number += 1
        assert self._pipe is not None
        try:
            self._pipe.send(Request(self._number, kind, **values))
            answer = self._received(time.monotonic() + seconds)
        except (EOFError, OSError):
            self.close()
            raise DeftError(codes.PLANNING_FAILED, "the process of moveit_py has died; it is started again for the next plan. "
                            "Where that goes on, use planner move_group") from None
        if answer.failure:
            raise DeftError(codes.PLANNING_FAILED, f"moveit_py: {answer.failure}")
        require_success(answer.code)
        return answer

    def _start(self) -> None:
        self.close()
        context = multiprocessing.get_context("spawn")  # a forked copy of a ROS process would share its sockets
        self._pipe, theirs = context.Pipe()
        self._worker = context.Process(target=self._target, args=(theirs, self._settings, self._joints, self._frame),
                                       daemon=True, name="moveit_py")
        self._worker.start()
        theirs.close()

    def _received(self, deadline: float) -> Answer:
        """The answer to the latest request; ones to requests that nobody waits for any more are dropped."""
        assert self._pipe is not None
        while True:
            if self._cancelled():
                raise Cancelled
            if self._pipe.poll(POLL_SECONDS):
                answer: Answer = self._pipe.recv()
                if answer.number == self._number:
                    return answer
            elif time.monotonic() > deadline:
                self.close()
                raise DeftError(codes.PLANNING_FAILED, "moveit_py gave no answer in time; its process was ended")
