"""Grasp labels straight from synthetic scenes: one picture of a thing, and how people would take it for each purpose.

A label of a filmed clip costs seconds and carries the extraction's errors; these cost a tenth and are exact. They teach and
test a model where there is no video of people, and their cameras stand in more places than a head does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_core.types import Array, Intrinsics, Pose
from deft_human_video import __version__
from deft_human_video.errors import Rejected
from deft_human_video.hand_mesh import HandMesh, draw_hand
from deft_human_video.labels import contact_points, objects, shards
from deft_human_video.labels.engine import Engine, run
from deft_human_video.labels.label import GraspLabel, hand_drawn, lens_of
from deft_human_video.synthetic.grips import PURPOSES, SHOULDER, Grip, NoGripError, take, touched
from deft_human_video.synthetic.motion import Shot, looking_at
from deft_human_video.synthetic.off_screen import off_screen
from deft_human_video.synthetic.phrases import phrase
from deft_human_video.synthetic.split import Split
from deft_human_video.synthetic.things import HeldOut, Thing, draw_thing
from deft_retarget.motions import poses_of
from deft_retarget.skeleton import OPENPOSE_21

DATASET = "stills"
WIDTH, HEIGHT = 480, 360
PIECE = 40            # scenes a shard
TRIES = 400           # scenes
GRIP_TRIES = 12       # of one purpose in one scene
MARGIN = 4            # pixels between the thing and the picture's border
COMPONENTS = 3        # of the mixture of contact points
FOCAL = (0.68, 1.15)  # of the picture's width
DISTANCE = (0.45, 0.95)             # m, of the camera
ELEVATION = np.radians((32.0, 62.0))
AZIMUTH = np.radians((-60.0, 60.0))  # about the person's own line of sight
HANDLES = ("spoon", "potted spoon", "ladle", "spatula")  # lie any way round; films show them as people put them down
# Purposes that things drawn for other ones serve as well
ALSO = {"mug": ("pick_cup",)}


@dataclass(frozen=True)
class Scene:
    """A thing on a table before a camera, and hands that take it. World frame as in grips.

    Attributes:
        camera: the optical frame.
        grips: by purpose.
    """

    thing: Thing
    place: Pose
    hand: HandMesh
    camera: Pose
    intrinsics: Intrinsics
    grips: dict[str, list[Grip]]


@dataclass(frozen=True)
class Still:
    """A scene's picture: rgb (HEIGHT, WIDTH, 3) uint8, depth in mm, and where the thing is seen in it."""

    scene: Scene
    rgb: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    mask: NDArray[np.bool_]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Of the thing's crop: left, top, right, bottom, pixels."""
        return objects.crop_box(objects.box_of(self.mask), self.mask.shape)


def still(number: int, seed: int, held_out: Sequence[HeldOut] = (), split: Split = Split.all, grips: int = 1) -> Still:
    """Picture `number` of a series, with this many grips a purpose. Raises RuntimeError: nothing can be grasped, a defect."""
    rng = np.random.default_rng([seed, number, 1])
    for _ in range(TRIES):
        scene = _scene(list(PURPOSES)[number % len(PURPOSES)], held_out, split, grips, rng)
        if scene is not None:
            return _photographed(scene, split, rng)
    raise RuntimeError(f"still {number} of seed {seed}: no grip in {TRIES} tries")


def _scene(purpose: str, held_out: Sequence[HeldOut], split: Split, grips: int, rng: np.random.Generator) -> Scene | None:
    """A scene for this purpose and all others that its thing serves; None where nobody could grasp or see it."""
    wanted = PURPOSES[purpose]
    thing = draw_thing(wanted.thing, held_out, rng, split)
    heading = (-np.pi, np.pi) if wanted.thing in HANDLES else wanted.heading or thing.heading
    turn = Rotation.from_euler("z", rng.uniform(*heading))
    place = Pose(np.array([rng.uniform(-0.10, 0.10), rng.uniform(-0.05, 0.08), 0.0]), turn)
    focal = rng.uniform(*FOCAL) * WIDTH
    intrinsics = Intrinsics(WIDTH, HEIGHT, focal, focal, (WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    camera = _camera(place.position, rng)
    pixels = intrinsics.project(camera.inverse().apply(place.apply(thing.corners())))
    if (pixels < MARGIN).any() or (pixels > [WIDTH - MARGIN, HEIGHT - MARGIN]).any():
        return None
    hand = draw_hand(rng)
    others = [name for name, other in PURPOSES.items() if other.thing == wanted.thing and name != purpose]
    found: dict[str, list[Grip]] = {}
    for name in (purpose, *others, *ALSO.get(wanted.thing, ())):
        taken = _grips(name, thing, place, hand, grips, rng)
        if len(taken) == grips:
            found[name] = taken
        elif name == purpose:
            return None
    return Scene(thing, place, hand, camera, intrinsics, found)


def _grips(purpose: str, thing: Thing, place: Pose, hand: HandMesh, count: int, rng: np.random.Generator) -> list[Grip]:
    """Up to `count` grips for a purpose."""
    taken: list[Grip] = []
    for _ in range(GRIP_TRIES * count):
        try:
            taken.append(take(PURPOSES[purpose], thing, place, hand, rng))
        except NoGripError:
            continue
        if len(taken) == count:
            break
    return taken


def _camera(at: Array, rng: np.random.Generator) -> Pose:
    """A head's, or one on a stand: behind the person's side of the thing, above it."""
    azimuth, elevation = rng.uniform(*AZIMUTH), rng.uniform(*ELEVATION)
    back = np.array([np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)])
    target = at + np.array([0.0, 0.0, 0.04]) + rng.normal(0.0, 0.05, 3)
    return looking_at(target + rng.uniform(*DISTANCE) * back, target, rng.normal(0.0, 0.05))


def _photographed(scene: Scene, split: Split, rng: np.random.Generator) -> Still:
    from deft_human_video.synthetic.film import Film  # MuJoCo must not be imported before off_screen()

    film = Film(scene.thing, scene.hand, scene.intrinsics, rng, split)
    try:
        film.place(Shot(scene.camera, None, np.zeros(45), np.array([0.0, 0.0, 1.0]), scene.place), scene.place)
        return Still(scene, film.rgb(), film.depth(), film.segments() == 1)
    finally:
        film.close()


def contact_of(scene: Scene, grip: Grip) -> list[Array]:
    """(n, 3) m, world: where each finger that touches the thing does so."""
    closed = poses_of(scene.hand.skeleton, grip.angles(grip.share))
    points, owner = touched(scene.hand, closed, grip.wrist, scene.thing, scene.place)
    return [points[owner == finger] for finger in range(5) if (owner == finger).any()]


def _body(scene: Scene) -> Array:
    """(3,) unit vector, optical frame, from the thing to the person's right shoulder."""
    away = scene.camera.rotation.inv().apply(SHOULDER - scene.place.position)
    return np.asarray(away / np.linalg.norm(away))


def label_of(view: Still, purpose: str, grip: Grip, text: str, key: str) -> GraspLabel:
    """One grip as a label, made as the extraction makes it. Raises Rejected: no contact lies on what is seen."""
    scene, to_camera = view.scene, view.scene.camera.inverse()
    seen = [to_camera.apply(points) for points in contact_of(scene, grip)]
    fingers = [np.column_stack([scene.intrinsics.project(points), points[:, 2]]) for points in seen]
    points = contact_points.on_object(fingers, objects.grown(view.mask, contact_points.SLACK))
    contacts = contact_points.mixture(points[:, :2], COMPONENTS)
    surface, behind = contact_points.behind_surface(points, view.depth, view.mask) or (None, None)
    box = view.box
    corner, wrist = np.array(box[:2], float), to_camera @ grip.wrist
    pose = poses_of(scene.hand.skeleton, grip.angles(grip.share))
    hand = scene.intrinsics.project(wrist.apply(scene.hand.skeleton.keypoints(pose)))[OPENPOSE_21]
    crop = np.ascontiguousarray(view.rgb[box[1]:box[3], box[0]:box[2]])
    return GraspLabel(key, DATASET, text, key.split("-")[0], False, 0, 0, box, crop, lens_of(scene.intrinsics),
                      contacts.centre - corner, contacts.points - corner, contacts.weights, contacts.means - corner,
                      contacts.deviations, surface, behind, _body(scene), wrist.rotation.as_rotvec(), wrist.position,
                      pose.ravel(), None, None, {"scene": "synthetic", "purpose": purpose, "family": scene.thing.family},
                      hand_drawn(crop, hand - corner))


@dataclass(frozen=True)
class StillSeries:
    """What to make. Picture number k of a seed is the same in every series of the same split that holds out the same things."""

    out: Path
    pictures: int
    seed: int
    held_out: tuple[HeldOut, ...] = ()
    split: Split = Split.all


def begin(series: StillSeries) -> tuple[list[int], list[shards.ShardResult]]:
    """The shards to make and those that are there; a shard of a shorter series that lacks pictures is made again.

    Raises:
        ConfigError: the folder holds another series.
    """
    shards.open_folder(series.out, {
        "dataset": DATASET, "version": __version__, "seed": series.seed, "split": series.split.value,
        "held_out": [[thing.family, thing.dimensions] for thing in series.held_out]})
    missing, there = shards.left_to_do(series.out, (series.pictures + PIECE - 1) // PIECE)
    whole = [result for result in there if len(_pictures(series, result.number)) == len(
        {key.split("-")[0] for key in (*result.labelled, *result.rejected)})]
    short = {result.number for result in there} - {result.number for result in whole}
    return sorted({*missing, *short}), whole


def _pictures(series: StillSeries, number: int) -> range:
    """Those of a shard."""
    return range(number * PIECE, min((number + 1) * PIECE, series.pictures))


def make(series: StillSeries, numbers: list[int], engine: Engine, workers: int,
         address: str = "") -> Iterator[shards.ShardResult]:
    """Makes these shards. Raises WorkerLost or ConfigError, see engine.run."""
    yield from run(engine, _Work(series), numbers, workers, address)


@dataclass(frozen=True)
class _Work:
    """One shard after the other, in a worker."""

    series: StillSeries

    def __call__(self, number: int) -> shards.ShardResult:
        off_screen()
        began, series = time.perf_counter(), self.series
        labels, rejected = [], {}
        for k in _pictures(series, number):
            view = still(k, series.seed, series.held_out, series.split)
            rng = np.random.default_rng([series.seed, k, 2])
            for purpose, grips in view.scene.grips.items():
                key = f"{k:06d}-{purpose}"
                try:
                    labels.append(label_of(view, purpose, grips[0], phrase(purpose, series.split, rng), key))
                except Rejected as error:
                    rejected[key] = f"{error.step}: {error.reason}"
        result = shards.ShardResult(number, [label.key for label in labels], rejected, {}, time.perf_counter() - began)
        shards.write_shard(series.out, result, labels)
        return result
