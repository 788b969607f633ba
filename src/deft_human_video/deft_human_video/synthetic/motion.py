"""What hand, thing and head do in one clip: reach, close, hold, and then what the purpose asks for. World frame, seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp

from deft_core.types import Array, Pose
from deft_human_video.hand_mesh import HandMesh
from deft_human_video.synthetic.grips import Grip, Purpose, forearm
from deft_retarget.motions import poses_of

AWAY_AT = np.array([0.34, -0.34, 0.16])  # m, world: out of the picture, where the right hand comes from
HEAD_SWAY, HEAD_TURN = 0.008, 0.012      # m and rad, standard deviation of an idle head
SWAY_SECONDS = 0.8


@dataclass(frozen=True)
class Shot:
    """What one frame is rendered from, world frame: the camera's optical frame, the wrist, the joints, the direction (3,) from
    the wrist to the elbow, the thing."""

    camera: Pose
    wrist: Pose | None  # None: the hand is not there yet
    mano_pose: Array
    elbow: Array
    thing: Pose


@dataclass(frozen=True)
class Times:
    """s from the clip's start: the hand sets out, arrives open, has closed, and begins to move the thing; the clip's end."""

    start: float
    arrive: float
    closed: float
    act: float
    end: float


def draw_times(rng: np.random.Generator) -> Times:
    start = rng.uniform(0.15, 0.35)
    arrive = start + rng.uniform(0.6, 1.0)
    closed = arrive + rng.uniform(0.25, 0.4)
    act = closed + rng.uniform(0.15, 0.35)
    return Times(start, arrive, closed, act, act + rng.uniform(0.8, 1.1))


def _ease(share: float) -> float:
    """Minimum jerk from 0 to 1."""
    s = min(max(share, 0.0), 1.0)
    return s**3 * (10 - 15 * s + 6 * s * s)


def _act(motion: str, share: float, inwards: Array, size: float) -> tuple[Array, Array]:
    """How far the thing has come: shift (3,) m and rotation vector (3,) rad about its grip, world axes."""
    lift = np.array([0.0, 0.0, 0.12 * size])
    if motion == "lift":
        return _ease(share) * lift, np.zeros(3)
    if motion == "pour":
        up, turn = _ease(share / 0.5), _ease((share - 0.4) / 0.6)
        return up * lift + turn * np.array([-0.06, 0.0, 0.0]), turn * np.array([0.0, -1.7 * size, 0.0])
    if motion == "pull":
        return -_ease(share) * 0.13 * size * inwards, np.zeros(3)
    if motion == "stir":
        angle, grown = 2 * np.pi * 1.4 * share, _ease(share / 0.2)
        return 0.03 * size * grown * np.array([np.cos(angle), np.sin(angle), 0.1]), np.zeros(3)
    if motion == "scoop":
        dip, up = np.sin(np.pi * min(share / 0.5, 1.0)), _ease((share - 0.45) / 0.55)
        return np.array([-0.05 * _ease(share / 0.6), 0.03, 0.0]) * dip + up * lift, np.array([0.5 * dip * size, 0.0, 0.0])
    if motion == "flip":
        up, turn = _ease(share / 0.5), _ease((share - 0.45) / 0.55)
        return up * 0.8 * lift, turn * np.array([-2.2 * size, 0.0, 0.0])
    if motion == "squeeze":
        return 0.25 * _ease(share / 0.4) * lift, np.array([0.25 * np.sin(6 * share), 0.0, 0.0])
    raise ValueError(f"unknown motion '{motion}'")


class Performance:
    """One clip's course. `shot(t)` is the state at time t."""

    def __init__(self, purpose: Purpose, grip: Grip, hand: HandMesh, place: Pose, rng: np.random.Generator) -> None:
        self.times = draw_times(rng)
        self._purpose, self._grip, self._hand, self._place = purpose, grip, hand, place
        self._size = float(rng.uniform(0.85, 1.15))
        self._before = Pose(grip.wrist.position - rng.uniform(0.06, 0.10) * grip.approach, grip.wrist.rotation)
        relaxed = Rotation.from_rotvec(rng.normal(0, 0.25, 3))
        start = Pose(AWAY_AT + rng.uniform(-0.04, 0.04, 3), self._before.rotation * relaxed)
        self._start = start
        self._turn = Slerp([0.0, 1.0], Rotation.concatenate([start.rotation, grip.wrist.rotation]))
        self._bow = rng.uniform(0.02, 0.07)
        self._camera = _head(place.position, self.times.end, rng)
        # each finger lands within 40 ms of the moment the hand is closed
        self._landing = self.times.closed - rng.uniform(0.0, 0.04, 5)

    def shot(self, t: float) -> Shot:
        wrist, thing = self._wrist(t), self._place
        if t > self.times.act:
            share = (t - self.times.act) / (self.times.end - self.times.act)
            inwards = self._place.rotation.apply([0.0, 1.0, 0.0])
            shift, turn = _act(self._purpose.motion, share, inwards, self._size)
            moved = Pose(self._grip.wrist.position + shift, Rotation.from_rotvec(turn))
            about = Pose(self._grip.wrist.position, Rotation.identity())
            wrist, thing = (moved @ about.inverse() @ pose for pose in (self._grip.wrist, self._place))
        pose = poses_of(self._hand.skeleton, self._grip.angles(self._shares(t)))
        return Shot(self._camera(t), wrist, pose, forearm(wrist.position if wrist is not None else AWAY_AT), thing)

    def _wrist(self, t: float) -> Pose | None:
        times = self.times
        if t < times.start:
            return None
        reach, final = _ease((t - times.start) / (times.arrive - times.start)), _ease((t - times.arrive) / (
            times.closed - 0.06 - times.arrive) * 0.5 + 0.5) * 2 - 1
        if t <= times.arrive:
            bow = np.array([0.0, 0.0, self._bow * np.sin(np.pi * reach)])
            at = self._start.position + reach * (self._before.position - self._start.position) + bow
            return Pose(at, self._turn(0.8 * reach))
        at = self._before.position + final * (self._grip.wrist.position - self._before.position)
        return Pose(at, self._turn(0.8 + 0.2 * final))

    def _shares(self, t: float) -> Array:
        """How far each finger is bent: it closes while the hand arrives, and lands with some speed."""
        begun = self.times.arrive - 0.05
        progress = np.clip((t - begun) / (self._landing - begun), 0.0, 1.0)
        return self._grip.share * (0.35 * progress + 0.65 * progress**2)


def _head(at: Array, end: float, rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """The optical frame over time, world: a head that looks at the thing and sways a little."""
    eye = np.array([rng.uniform(-0.10, 0.10), rng.uniform(-0.42, -0.28), rng.uniform(0.36, 0.52)])
    target = at + np.array([0.0, 0.0, 0.03]) + rng.normal(0.0, 0.025, 3)
    look = looking_at(eye, target, rng.normal(0.0, 0.06)).rotation
    knots = np.arange(0.0, end + 2 * SWAY_SECONDS, SWAY_SECONDS)
    sway = CubicSpline(knots, rng.normal(0.0, 1.0, (len(knots), 6)) * np.repeat([HEAD_SWAY, HEAD_TURN], 3))
    return lambda t: Pose(eye + sway(t)[:3], look * Rotation.from_rotvec(sway(t)[3:]))


def looking_at(eye: Array, target: Array, roll: float) -> Pose:
    """The optical frame, world, of a camera at `eye` (3,) m that looks at `target` (3,) m, level but for `roll` rad."""
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    look = Rotation.from_matrix(np.column_stack([right, np.cross(ahead, right), ahead]))
    return Pose(eye, look * Rotation.from_euler("z", roll))
