"""One human demonstration on video to the task's post-grasp motion: wrist poses relative to the grasp, with times.

The hand is found and fitted at contact as for labels, then followed from frame to frame. What is recorded is how a point of the
hand, where it holds the object, moves, and how the hand turns about it: paper section 1.7 leaves the representation open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp

from deft_core.types import Array, Pose
from deft_human_video.clip import Clip
from deft_human_video.errors import Rejected
from deft_human_video.labels import objects
from deft_human_video.labels.extractor import Extractor, Grasp, seen_in, sight
from deft_human_video.labels.fitting import FittedHand, HandFitter
from deft_human_video.labels.registration import Registered, Registration
from deft_human_video.labels.tracking import HandTracker
from deft_human_video.mirror import FLIP
from deft_retarget.skeleton import HandSkeleton

STEP = "motion after the grasp"
RATE = 10.0          # Hz of the waypoints
SMOOTH_SECONDS = 0.12
GRASP_POINT = np.array([-0.62, -0.18, 0.05])  # in the wrist's frame, of the hand's length: between palm and bent fingers
LEAST_SECONDS = 0.5
MOST_LOST = 0.4      # share of the frames in which the hand may be lost
LOOKING_DOWN = np.radians(50.0)  # below level: how people look at what their hands do on a table
JUMP = 0.12          # m between frames; a hand does not do that


@dataclass(frozen=True)
class Demonstration:
    """A demonstrated motion.

    Attributes:
        times: (k,) s since the contact.
        positions: (k, 3) m from the grasp, along the base frame's axes (z up).
        turns: (k, 3) rotation vectors, rad, about the grasp, in the base frame's axes.
        contact_frame: of the video.
        followed: share of the frames after the contact in which the hand was found.
        goal: (h, w, 3) uint8 RGB, the last frame.
    """

    times: Array
    positions: Array
    turns: Array
    contact_frame: int
    followed: float
    goal: np.ndarray


def demonstrated(clip: Clip, extractor: Extractor, tracker: HandTracker, skeleton: HandSkeleton, yaw: float = 0.0,
                 progress: Callable[[int, int], None] = lambda done, of: None) -> Demonstration:
    """The motion after the grasp.

    Args:
        yaw: rad, from the direction in which the camera looks along the table to the base frame's x axis, counter-clockwise
            seen from above. 0: the robot stands where the camera is.
        progress: is told the frames done, and of how many.

    Raises:
        Rejected, ClipError: see Extractor.label; also where the hand cannot be followed.
    """
    grasp = extractor.grasp(clip, object_needed=False)
    if grasp.fitted is None:
        raise Rejected(STEP, "the hand has to be fitted to be followed: use the source mediapipe")
    cameras = _cameras(grasp)
    wrists = _followed(grasp, cameras, tracker, skeleton, progress)
    frames = sorted(wrists)
    length = len(grasp.clip.frames) - grasp.contact.frame
    share = len(frames) / length
    if share < 1.0 - MOST_LOST or (frames[-1] - frames[0]) / clip.fps < LEAST_SECONDS:
        raise Rejected(STEP, "the hand is lost in too many frames after the contact")
    base = _base(grasp, yaw)
    poses = [base @ (cameras[i].camera or Pose.identity()).inverse() @ wrists[i] for i in frames]
    if grasp.mirrored:
        poses = [_unmirrored(pose) for pose in poses]
    times, positions, turns = _smooth((np.array(frames) - frames[0]) / clip.fps, poses, clip.fps,
                                      GRASP_POINT * (FLIP if grasp.mirrored else 1.0) * skeleton.length)
    return Demonstration(times, positions, turns, grasp.contact.frame, share, clip.frames.rgb(len(clip.frames) - 1))


def _cameras(grasp: Grasp) -> dict[int, Registered]:
    """Every later frame against the first; without depth, and where nothing is left to go by, the camera is taken to stand."""
    frames = grasp.clip.frames
    registration = Registration(frames.rgb(grasp.first), frames.depth(grasp.first), grasp.intrinsics)
    out, last = {}, Registered(np.eye(3), Pose.identity())
    for i in range(grasp.first + 1, len(frames)):
        try:
            last = registration.next(frames.rgb(i))
        except Rejected:
            pass  # hand and object can cover most of a picture
        out[i] = last
    return out


def _followed(grasp: Grasp, cameras: dict[int, Registered], tracker: HandTracker, skeleton: HandSkeleton,
              progress: Callable[[int, int], None]) -> dict[int, Pose]:
    """The wrist in the optical frame by frame, from the contact on; frames in which the hand is lost are left out."""
    assert grasp.fitted is not None
    fitter, frames = HandFitter(skeleton, grasp.intrinsics), grasp.clip.frames
    before: FittedHand = grasp.fitted
    out = {grasp.contact.frame: before.wrist}
    with tracker.clip(grasp.clip.fps) as clip:
        for i in range(grasp.contact.frame + 1, len(frames)):
            progress(i - grasp.contact.frame, len(frames) - grasp.contact.frame)
            hands = clip.hands(frames.rgb(i))
            expected = grasp.intrinsics.project(before.keypoints)
            near = [hand for hand in hands if _apart(hand.pixels, expected) < np.linalg.norm(np.ptp(expected, axis=0))]
            if not near:
                continue
            hand = min(near, key=lambda hand: _apart(hand.pixels, expected))
            seen = seen_in(grasp.clip, i, grasp.first, cameras[i], grasp.intrinsics)
            try:
                shown = None if seen is None else sight(grasp.clip, i, seen, cameras[i], hand, grasp.thing, grasp.intrinsics)
            except Rejected:
                continue
            found = fitter.fit(hand, shown, before)
            if np.linalg.norm(found.wrist.position - before.wrist.position) < JUMP:
                before, out[i] = found, found.wrist
    return out


def _apart(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a.mean(axis=0) - b.mean(axis=0)))


def _base(grasp: Grasp, yaw: float) -> Pose:
    """The first frame's optical frame in a frame with z up and x as asked for."""
    depth = grasp.clip.frames.depth(grasp.first)
    if depth is not None:
        table = objects.table_pose(depth, grasp.intrinsics)
    else:  # without depth the camera is taken to look down at LOOKING_DOWN
        table = Pose(np.zeros(3), Rotation.from_matrix(_looking_down()))
    return Pose(np.zeros(3), Rotation.from_euler("z", -yaw if not grasp.mirrored else yaw)) @ table


def _looking_down() -> Array:
    """Rows: ahead along the table, left, up, in the optical frame."""
    s, c = np.sin(LOOKING_DOWN), np.cos(LOOKING_DOWN)
    return np.array([[0.0, -s, c], [-1.0, 0.0, 0.0], [0.0, -c, -s]])


def _unmirrored(pose: Pose) -> Pose:
    """Of the left hand: the base frame's y axis is the one that the mirror turned round."""
    flip = FLIP[[1, 0, 2]]
    turn = pose.rotation.as_matrix()
    return Pose(pose.position * flip, Rotation.from_matrix(np.diag(flip) @ turn @ np.diag(FLIP)))


def _smooth(seconds: Array, poses: list[Pose], fps: float, point: Array) -> tuple[Array, Array, Array]:
    """Waypoints at RATE: times, shift of the hand's point and turn, both from the first pose on."""
    start = poses[0]
    positions = np.array([pose.apply(point) - start.apply(point) for pose in poses])
    turns = Rotation.concatenate([pose.rotation * start.rotation.inv() for pose in poses])
    even = np.arange(0.0, seconds[-1] + 0.5 / fps, 1.0 / fps)
    even = even[even <= seconds[-1]]
    position = np.stack([np.interp(even, seconds, positions[:, k]) for k in range(3)], axis=1)
    turn = Slerp(seconds, turns)(even).as_rotvec()
    sigma = SMOOTH_SECONDS * fps
    position, turn = (gaussian_filter1d(values, sigma, axis=0, mode="nearest") for values in (position, unwrapped(turn)))
    times = np.linspace(0.0, even[-1], max(int(np.ceil(even[-1] * RATE)) + 1, 2))
    position, turn = (np.stack([np.interp(times, even, values[:, k]) for k in range(3)], axis=1) for values in (position, turn))
    return times, position - position[0], (Rotation.from_rotvec(turn) * Rotation.from_rotvec(turn[0]).inv()).as_rotvec()


def unwrapped(turns: Array) -> Array:
    """The same rotations (k, 3), rad, each by the rotation vector nearest to the one before."""
    out = turns.copy()
    for i in range(1, len(out)):
        angle = float(np.linalg.norm(out[i]))
        if angle > 1e-9:
            axis = out[i] / angle
            out[i] = axis * (angle + 2 * np.pi * np.round((out[i - 1] @ axis - angle) / (2 * np.pi)))
    return out


def save(demonstration: Demonstration, path: Path, source: str) -> None:
    """The YAML that a task names under `demonstration`, and its goal image beside it."""
    image = path.with_suffix(".jpg")
    cv2.imwrite(str(image), demonstration.goal[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    lines = ["# One demonstration by a person, from video (deft extract-demo). Wrist poses relative to the grasp: t s since",
             "# the hand closed, xyz m along the base frame's axes, rotvec rad about the grasp in base-frame axes.",
             yaml.safe_dump({"source": source, "final_image": image.name}, sort_keys=False).rstrip(), "trajectory:"]
    for t, p, r in zip(demonstration.times, demonstration.positions, demonstration.turns, strict=True):
        xyz, rotvec = ([round(float(v), 4) + 0.0 for v in values] for values in (p, r))
        lines.append(f"  - {{t: {round(float(t), 3)}, xyz: {xyz}, rotvec: {rotvec}}}")
    path.write_text("\n".join(lines) + "\n")
