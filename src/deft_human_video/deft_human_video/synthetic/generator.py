"""Clip by clip: a purpose, a thing, a hand, a grip, filmed. The same seed and number give the same clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_core.types import Array, Intrinsics, Pose
from deft_human_video.hand_mesh import HandMesh, draw_hand
from deft_human_video.mirror import FLIP, mirrored_box, mirrored_frame, mirrored_pixels
from deft_human_video.synthetic.film import Film
from deft_human_video.synthetic.grips import PURPOSES, Grip, NoGripError, take, touched
from deft_human_video.synthetic.motion import Performance, Shot
from deft_human_video.synthetic.solids import distance
from deft_human_video.synthetic.split import Split
from deft_human_video.synthetic.things import HeldOut, Thing, draw_thing
from deft_retarget.motions import poses_of
from deft_retarget.skeleton import OPENPOSE_21, TIP, Side, mirrored

WIDTH, HEIGHT, FPS = 480, 360, 15
CAMERAS = 6
LEFT_HANDS = 0.15     # share of the clips that are shown in a mirror
TRIES = 400
MARGIN = 4             # pixels between the thing and the picture's border
FIRST_TOUCH = 0.0015  # m, skin this near to the thing has touched it


@dataclass(frozen=True)
class Truth:
    """What nobody who sees only the pictures knows. Pixels and camera frames are of the clip as shown (mirrored or not).

    Attributes:
        purpose: key of PURPOSES.
        contact_frame: the first in which the hand touches the thing.
        contacts: (k, 2) pixels of the first frame, one a touching finger.
        box: of the thing in the first frame: left, top, right, bottom, pixels.
        wrists: by frame, (3,) rotation vector and (3,) m of MANO's wrist (of this side) in the optical frame; None: no hand.
        mano_poses: (frames, 45) rad, relative to the flat hand, of this side's model.
        tips: (5, 3) m, fingertips in the optical frame at the contact frame, in the order of FINGERS.
        keypoints: by frame, (21, 2) pixels in the order of OPENPOSE_21; None: no hand.
        length: m, of the hand from wrist to middle fingertip.
        world_in_camera: (3,) rotation vector of the world (z up) in the optical frame of the first frame, not mirrored.
    """

    purpose: str
    side: Side
    contact_frame: int
    contacts: Array
    box: Array
    wrists: tuple[tuple[Array, Array] | None, ...]
    mano_poses: Array
    keypoints: tuple[Array | None, ...]
    tips: Array
    length: float
    world_in_camera: Array


@dataclass(frozen=True)
class Filmed:
    """One synthetic clip."""

    number: int
    text: str
    camera: int
    intrinsics: Intrinsics
    rgb: list[NDArray[np.uint8]]
    depth: list[NDArray[np.uint16]]
    masks: dict[int, NDArray[np.uint8]]  # by frame: 1 thing, 2 hand
    events: tuple[tuple[str, float, float], ...]
    truth: Truth


def camera_intrinsics(camera: int) -> Intrinsics:
    """Each of CAMERAS cameras has its own lens; their centre is the picture's."""
    focal = float(np.random.default_rng([7, camera]).uniform(0.92, 1.15)) * WIDTH
    return Intrinsics(WIDTH, HEIGHT, focal, focal, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)


def film_clip(number: int, seed: int, held_out: Sequence[HeldOut] = (), split: Split = Split.all) -> Filmed:
    """Clip `number` of a series. Raises RuntimeError if nothing could be grasped in TRIES tries, which is a defect."""
    rng = np.random.default_rng([seed, number])
    name = list(PURPOSES)[number % len(PURPOSES)]
    purpose = PURPOSES[name]
    text = str(rng.choice(list(purpose.phrasings)))
    camera = int(rng.integers(CAMERAS))
    intrinsics = camera_intrinsics(camera)
    for _ in range(TRIES):
        thing = draw_thing(purpose.thing, held_out, rng, split)
        turn = Rotation.from_euler("z", rng.uniform(*(purpose.heading or thing.heading)))
        place = Pose(np.array([rng.uniform(-0.10, 0.10), rng.uniform(-0.05, 0.08), 0.0]), turn)
        hand = draw_hand(rng)
        try:
            grip = take(purpose, thing, place, hand, rng)
        except NoGripError:
            continue
        course = Performance(purpose, grip, hand, place, rng)
        if _in_view(thing, place, course.shot(0.0).camera, intrinsics) and not _bumps(course, hand, thing):
            mirror = bool(rng.random() < LEFT_HANDS)
            return _filmed(number, name, text, camera, intrinsics, thing, place, hand, grip, course, mirror, rng, split)
    raise RuntimeError(f"clip {number} of seed {seed}: no {name} in {TRIES} tries")


def _filmed(number: int, name: str, text: str, camera: int, intrinsics: Intrinsics, thing: Thing, place: Pose, hand: HandMesh,
            grip: Grip, course: Performance, mirror: bool, rng: np.random.Generator, split: Split) -> Filmed:
    times = course.times
    shots = [course.shot(i / FPS) for i in range(int(times.end * FPS))]
    contact = _contact_frame(shots, hand, thing, int((times.arrive - 0.2) * FPS))
    film = Film(thing, hand, intrinsics, rng, split)
    try:
        film.place(shots[0], place)
        first = film.segments()
        rgb, depth, masks = [], [], {0: first}
        for i, shot in enumerate(shots):
            film.place(shot, place)
            rgb.append(film.rgb())
            depth.append(film.depth())
            if i == contact:
                masks[i] = film.segments()
    finally:
        film.close()
    truth = _truth(name, shots, contact, hand, grip, thing, place, intrinsics, first == 1, mirror)
    if mirror:
        rgb = [np.ascontiguousarray(image[:, ::-1]) for image in rgb]
        depth = [np.ascontiguousarray(image[:, ::-1]) for image in depth]
        masks = {i: np.ascontiguousarray(image[:, ::-1]) for i, image in masks.items()}
    events = (("Reachout", times.start, contact / FPS), ("Grasp", contact / FPS, times.act),
              (PURPOSES[name].motion, times.act, len(shots) / FPS))
    return Filmed(number, text, camera, intrinsics, rgb, depth, masks, events, truth)


def _in_view(thing: Thing, place: Pose, camera: Pose, intrinsics: Intrinsics) -> bool:
    """The whole thing is in the picture."""
    pixels = intrinsics.project(camera.inverse().apply(place.apply(thing.corners())))
    return bool((pixels >= MARGIN).all() and (pixels <= [intrinsics.width - MARGIN, intrinsics.height - MARGIN]).all())


def _bumps(course: Performance, hand: HandMesh, thing: Thing) -> bool:
    """The reaching hand runs into the thing or the table on its way."""
    for t in np.arange(course.times.start, course.times.arrive - 0.1, 0.5 / FPS):
        shot = course.shot(float(t))
        if shot.wrist is not None:
            skin = shot.wrist.apply(hand.posed(shot.mano_pose))
            if skin[:, 2].min() < 0.0 or distance(thing.solids, shot.thing.inverse().apply(skin)).min() < FIRST_TOUCH:
                return True
    return False


def _contact_frame(shots: list[Shot], hand: HandMesh, thing: Thing, begin: int) -> int:
    for i in range(max(begin, 0), len(shots)):
        shot = shots[i]
        if shot.wrist is not None:
            skin = shot.thing.inverse().apply(shot.wrist.apply(hand.posed(shot.mano_pose)))
            if distance(thing.solids, skin).min() < FIRST_TOUCH:
                return i
    raise RuntimeError("a settled grip touches nothing")


def _truth(name: str, shots: list[Shot], contact: int, hand: HandMesh, grip: Grip, thing: Thing, place: Pose,
           intrinsics: Intrinsics, seen: NDArray[np.bool_], mirror: bool) -> Truth:
    closed = poses_of(hand.skeleton, grip.angles(grip.share))
    points, owner = touched(hand, closed, grip.wrist, thing, place)
    fingers = [points[owner == f].mean(axis=0) for f in range(5) if (owner == f).any()]
    to_camera = shots[0].camera.inverse()
    contacts = intrinsics.project(to_camera.apply(np.array(fingers)))
    v, u = np.nonzero(seen)
    box = np.array([u.min(), v.min(), u.max() + 1, v.max() + 1], float)
    wrists: list[tuple[Array, Array] | None] = []
    poses: list[Array] = []
    keypoints: list[Array | None] = []
    for shot in shots:
        poses.append(mirrored(shot.mano_pose) if mirror else shot.mano_pose)
        if shot.wrist is None:
            wrists.append(None)
            keypoints.append(None)
            continue
        in_camera = shot.camera.inverse() @ shot.wrist
        pixels = intrinsics.project(in_camera.apply(hand.skeleton.keypoints(shot.mano_pose)))[OPENPOSE_21]
        if mirror:
            in_camera, pixels = mirrored_frame(in_camera), mirrored_pixels(pixels, WIDTH)
        wrists.append((in_camera.rotation.as_rotvec(), in_camera.position))
        keypoints.append(pixels)
    shot = shots[contact]
    assert shot.wrist is not None
    rows = [TIP[f] for f in TIP]
    tips = (shot.camera.inverse() @ shot.wrist).apply(hand.skeleton.keypoints(shot.mano_pose)[rows])
    if mirror:
        box, contacts, tips = np.array(mirrored_box(tuple(box), WIDTH)), mirrored_pixels(contacts, WIDTH), tips * FLIP
    return Truth(name, "left" if mirror else "right", contact, contacts, box, tuple(wrists), np.array(poses),
                 tuple(keypoints), tips, hand.skeleton.length, shots[0].camera.inverse().rotation.as_rotvec())
