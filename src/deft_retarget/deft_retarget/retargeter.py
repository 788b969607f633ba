"""Human hand poses to joints of a robot hand, by whichever method the hand's YAML names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Literal, get_args

import numpy as np
from pydantic import Field, model_validator

from deft_core.config import Config, nearest, parse
from deft_core.descriptions import HandConfig, Positive, Vector3
from deft_core.errors import ConfigError, DeftError
from deft_core.types import Array
from deft_retarget import codes
from deft_retarget.axis_mapping import AxisMapping, JointMapping
from deft_retarget.keyvectors import KeyVectorConfig, KeyVectors
from deft_retarget.kinematics import HandKinematics
from deft_retarget.skeleton import (
    FINGERS,
    THUMB_FIRST,
    TIP,
    WRIST,
    HandSkeleton,
    Side,
    checked_pose,
    checked_side,
    mirrored,
    shipped_skeleton,
)
from deft_retarget.wrist import GRASP_FRAME_IN_MANO

Method = Literal["axis", "vector", "dexpilot"]
METHODS = get_args(Method)
HUMAN_LENGTH = 0.187  # m, wrist to middle fingertip of the hand that `scale` is relative to
AT_LIMIT = 1e-9  # rad
SPHERES_A_FINGER = 2  # of the last joints, beside the tip
CHUNK = 256  # poses that a worker of a batch is given at a time
MIRROR_Y = np.array([1.0, -1.0, 1.0])


class RetargetConfig(Config):
    """`retarget:` of a hand."""

    method: Method = Field("axis", description="axis: the paper's table; vector, dexpilot: optimisers")
    scale: Positive = Field(description="size of the robot hand by that of a human hand of 0.187 m")
    wrist: Vector3 = Field(description="point of base_link that stands for the human wrist, m")
    fingertips: dict[str, str] = Field(description="human finger: link of the URDF at the robot's fingertip")
    joints: dict[str, JointMapping] = Field(description="axis mapping, a row for each motor; also where the optimisers begin")
    key_vectors: KeyVectorConfig = KeyVectorConfig()

    @model_validator(mode="after")
    def _fingers(self) -> RetargetConfig:
        for finger in self.fingertips:
            if finger not in FINGERS:
                raise ValueError(f"fingertips names the finger '{finger}': {nearest(finger, FINGERS)}")
        if "thumb" not in self.fingertips or len(self.fingertips) < 2:
            raise ValueError("fingertips needs the thumb and at least one finger")
        return self


@dataclass(frozen=True)
class Retargeted:
    """One pose of the robot hand.

    Attributes:
        joints: (n,) rad, the hand's order, within its limits.
        saturated: joints cut at a limit (axis), or that the optimum has at a limit (vector, dexpilot).
        fingertip_errors: m by finger, between the robot's fingertip and the human's, scaled, both about the wrist.
        converged: always true: what does not converge raises.
        pinching: (f - 1,) state of a pinch, for the next pose of a sequence.
        iterations: of the optimiser; 0 for axis mapping.
    """

    joints: Array
    saturated: tuple[str, ...]
    fingertip_errors: dict[str, float]
    converged: bool
    pinching: Array
    iterations: int

    @property
    def fingertip_error(self) -> float:
        """Mean over the fingers, m."""
        return float(np.mean(list(self.fingertip_errors.values())))


@dataclass(frozen=True)
class RetargetedBatch:
    """Many poses, in rows.

    Attributes:
        joints: (N, n) rad; NaN where it did not converge.
        saturated: (N, n) which joints are saturated, as of one pose.
        fingertip_errors: (N, f) m, thumb first; NaN where it did not converge.
        converged: (N,).
    """

    joints: Array
    saturated: Array
    fingertip_errors: Array
    converged: Array


class Retargeter:
    """Retargeting onto one hand. Not for several threads at once: it has working memory.

    Args:
        hand: the robot hand.
        method: axis, vector or dexpilot; None takes the hand's own.
        skeleton: whose hand the poses are of; None takes the one that comes with DEFT.

    Raises:
        ConfigError: the hand's YAML or its URDF does not fit.
    """

    def __init__(self, hand: HandConfig, method: str | None = None, skeleton: HandSkeleton | None = None) -> None:
        self.config = parse(RetargetConfig, hand.retarget, f"hand '{hand.name}', retarget")
        self.method = method or self.config.method
        if self.method not in METHODS:
            raise ConfigError(f"unknown retargeting method '{self.method}': {nearest(self.method, METHODS)}")
        self.hand, self.skeleton = hand, skeleton or shipped_skeleton()
        # a longer human hand makes the same robot hand smaller beside it
        self.scale = self.config.scale * HUMAN_LENGTH / self.skeleton.length
        self.fingers = tuple(finger for finger in THUMB_FIRST if finger in self.config.fingertips)
        self.axis = AxisMapping(hand, self.config.joints, self.skeleton)
        points, spheres = [(hand.base_link, np.array(self.config.wrist))], []
        points += [(self.config.fingertips[finger], np.zeros(3)) for finger in self.fingers]
        self.kinematics = HandKinematics(hand, points)
        if self.config.key_vectors.self_collision.weight and self.method != "axis":
            spheres = self._finger_spheres(points)
        self._middle = 0.5 * (self.kinematics.lower + self.kinematics.upper)
        self._rows = np.array([TIP[finger] for finger in self.fingers])
        self.mano_to_base = self._mano_axes()
        self.optimiser = None if self.method == "axis" else KeyVectors(
            self.kinematics, self.method, self.config.key_vectors, len(self.fingers), spheres)  # type: ignore[arg-type]

    def _finger_spheres(self, points: list[tuple[str, Array]]) -> list[tuple[int, int]]:
        """Adds the last joints of every finger to the points; (finger, row) of them and of the tips."""
        spheres = [(f, 1 + f) for f in range(len(self.fingers))]
        for f, chain in enumerate(self.kinematics.chains(range(1, 1 + len(self.fingers)))):
            for link in chain[-SPHERES_A_FINGER:]:
                spheres.append((f, len(points)))
                points.append((link, np.zeros(3)))
        self.kinematics = HandKinematics(self.hand, points)
        return spheres

    def _mano_axes(self) -> Array:
        """(3, 3): points of MANO's right wrist frame, on row vectors, to axes of base_link; mirrored for a left robot hand."""
        to_grasp = GRASP_FRAME_IN_MANO["right"].as_matrix()
        if self.hand.side == "left":
            to_grasp = to_grasp * MIRROR_Y
        return np.asarray(to_grasp @ self.hand.grasp_frame.pose().rotation.as_matrix().T)

    def warm_up(self) -> None:
        """Compile the optimiser, if the method has one, before the first pose has to wait some seconds for it."""
        with contextlib.suppress(DeftError):
            self.retarget(np.zeros(45))

    def retarget(self, mano_pose: Array, previous: Retargeted | None = None, side: Side = "right") -> Retargeted:
        """The robot hand for one human pose.

        Args:
            mano_pose: (45,) rad, axis-angle, relative to the flat hand.
            previous: the pose before in a sequence, where the search begins and stays near; without one, at the axis mapping.
            side: of the human hand, whose MANO model the pose is of.

        Raises:
            DeftError: BAD_INPUT, not 45 finite angles; NOT_CONVERGED, and no pose with it.
        """
        pose = checked_pose(mano_pose)
        if pose.shape != (45,):
            raise DeftError(codes.BAD_INPUT, f"one MANO pose is (45,); got {pose.shape}: use sequence() or batch() for many")
        if checked_side(side) == "left":
            pose = mirrored(pose)
        tips = self.human_tips(pose)
        wanted = self.axis.motors(pose)
        iterations, pinching = 0, np.zeros(len(self.fingers) - 1, bool)
        if self.optimiser is not None:
            if previous is None:
                found = self.optimiser.solve(tips, self.scale, wanted, restart=self._middle)
            else:
                before = previous.joints[self.kinematics.motor_rows]
                found = self.optimiser.solve(tips, self.scale, before, previous.pinching, restart=wanted)
            wanted, iterations, pinching = found.motors, found.iterations, found.pinching
        joints = self.kinematics.joints(np.clip(wanted, self.kinematics.lower, self.kinematics.upper))
        at_limit = self._saturated(wanted)
        errors = self._errors(joints, tips)
        return Retargeted(joints, tuple(n for n, full in zip(self.hand.joint_names, at_limit, strict=True) if full),
                          dict(zip(self.fingers, errors.tolist(), strict=True)), True, pinching, iterations)

    def sequence(self, mano_poses: Array, side: Side = "right") -> Iterator[Retargeted]:
        """`retarget` of poses (T, 45) in time, each begun at the one before.

        Raises:
            DeftError: as `retarget`, at the pose that is to blame; the sequence ends there. To go on after it, call `retarget`
                pose by pose with the last good one as `previous`.
        """
        previous = None
        for pose in checked_pose(mano_poses):
            previous = self.retarget(pose, previous, side)
            yield previous

    def batch(self, mano_poses: Array, side: Side = "right", workers: int = 1,
              progress: Callable[[int], None] = lambda done: None) -> RetargetedBatch:
        """Thousands of poses that have nothing to do with each other.

        Args:
            mano_poses: (N, 45) rad.
            workers: processes that share the optimiser's work. Starting them takes about two seconds; axis mapping needs none.
            progress: told the number of poses done, from time to time.

        Raises:
            DeftError: BAD_INPUT. Poses that do not converge do not raise: their rows are NaN and converged is false.
        """
        poses = checked_pose(mano_poses)
        if poses.ndim != 2:
            raise DeftError(codes.BAD_INPUT, f"a batch of MANO poses is (N, 45); got {poses.shape}")
        if checked_side(side) == "left":
            poses = mirrored(poses)
        chunks = [poses[i:i + CHUNK] for i in range(0, len(poses), CHUNK)]
        parts, done = [], 0
        for part in self._run(chunks, workers):
            parts.append(part)
            done += len(part.converged)
            progress(done)
        n, f = len(self.hand.joint_names), len(self.fingers)
        return RetargetedBatch(np.concatenate([np.zeros((0, n)), *(p.joints for p in parts)]),
                               np.concatenate([np.zeros((0, n), bool), *(p.saturated for p in parts)]),
                               np.concatenate([np.zeros((0, f)), *(p.fingertip_errors for p in parts)]),
                               np.concatenate([np.zeros(0, bool), *(p.converged for p in parts)]))

    def _run(self, chunks: list[Array], workers: int) -> Iterator[RetargetedBatch]:
        if self.optimiser is None or workers <= 1 or len(chunks) < 2:
            yield from map(self._chunk, chunks)
            return
        # Started anew, not forked: a process with threads (ROS, rendering) must not be forked.
        with ProcessPoolExecutor(workers, get_context("spawn"), _make_worker, (self.hand, self.method, self.skeleton)) as pool:
            try:
                yield from pool.map(_work, chunks)
            except BrokenProcessPool:
                raise RuntimeError("the worker processes of batch() ended: a script that calls it needs `if __name__ == "
                                   "'__main__':` around what it runs, or workers=1") from None

    def _chunk(self, poses: Array) -> RetargetedBatch:
        wanted, tips = self.axis.motors(poses), self.human_tips(poses)
        converged = np.ones(len(poses), bool)
        if self.optimiser is not None:
            for i in range(len(poses)):
                try:
                    wanted[i] = self.optimiser.solve(tips[i], self.scale, wanted[i], restart=self._middle).motors
                except DeftError:
                    converged[i] = False
        joints = self.kinematics.joints(np.clip(wanted, self.kinematics.lower, self.kinematics.upper))
        errors = np.array([self._errors(q, t) for q, t in zip(joints, tips, strict=True)]).reshape(len(poses), -1)
        joints[~converged], errors[~converged] = np.nan, np.nan
        return RetargetedBatch(joints, self._saturated(wanted) & converged[:, None], errors, converged)

    def human_tips(self, poses: Array) -> Array:
        """Human fingertips (..., f, 3), m, about the wrist, axes of base_link, thumb first."""
        points = self.skeleton.keypoints(poses)
        return np.asarray((points[..., self._rows, :] - points[..., WRIST:WRIST + 1, :]) @ self.mano_to_base)

    def _errors(self, joints: Array, tips: Array) -> Array:
        points = self.kinematics.points(joints)
        gap = points[1:1 + len(tips)] - points[0] - self.scale * tips
        return np.sqrt((gap * gap).sum(axis=1))

    def _saturated(self, wanted: Array) -> Array:
        """(..., n): joints whose motor is cut at its limit, or that the optimiser left there."""
        margin = -AT_LIMIT if self.optimiser is None else AT_LIMIT
        motors = (wanted < self.kinematics.lower + margin) | (wanted > self.kinematics.upper - margin)
        return np.asarray(motors[..., self.kinematics.source])


_worker: Retargeter  # of this process, where it is a worker of a batch


def _make_worker(hand: HandConfig, method: str, skeleton: HandSkeleton) -> None:
    global _worker
    _worker = Retargeter(hand, method, skeleton)


def _work(poses: Array) -> RetargetedBatch:
    return _worker._chunk(poses)
