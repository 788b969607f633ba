"""How a person's right hand takes a thing for a task: where it goes, how it opens, and how its fingers close on it.

World frame: z up, the table at 0, the person at -y looking along +y. A grip is meant (which way palm and fingers point, what
lies where in the hand, with a person's variety) and then settled on the real shapes: backed off until nothing of the open hand
is inside anything, and each finger bent until it touches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.types import Array, Pose
from deft_human_video.hand_mesh import HandMesh
from deft_human_video.synthetic.solids import Box, Shape, Solid, distance
from deft_human_video.synthetic.things import Thing
from deft_retarget.motions import poses_of, wrist_facing
from deft_retarget.skeleton import FINGERS, TIP

CLEAR = 0.0005        # m, the open hand stays this far off everything
TOUCH = 0.0025        # m, skin this near to a surface touches it
BACK_OFF = np.arange(0.0, 0.05, 0.0015)
CLOSING = np.linspace(0.0, 1.0, 26)
WRIST_BEND = 1.2      # rad, between hand and forearm, more is no human wrist
SHOULDER = np.array([0.22, -0.50, 0.42])  # m, world; the table is where a seated person has it
TABLE: Shape = Box((0.0, 0.0, -0.5), (5.0, 5.0, 0.5))
LEFT, FORWARD, DOWN = np.array([-1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True)
class Grip:
    """A hand that holds a thing, and how it got there.

    Attributes:
        wrist: the hand's wrist frame in the world.
        approach: (3,) unit vector, world, along which the open hand comes.
        open, closed: (15, 3) anatomical angles (twist, spread, bend), rad.
        share: (5,) in the order of FINGERS, how far from open to closed each finger bends until it touches.
    """

    wrist: Pose
    approach: Array
    open: Array
    closed: Array
    share: Array

    def angles(self, share: Array) -> Array:
        """(..., 15, 3) anatomical angles with each finger (..., 5) this far from open to closed."""
        weight = np.repeat(share, 3, axis=-1)[..., None]
        return (1 - weight) * self.open + weight * self.closed


class NoGripError(ValueError):
    """This hand cannot take this thing this way; another draw may."""


def _preshape(bends: tuple[float, float, float], thumb: tuple[float, float, float, float], spread: float = 0.0) -> Array:
    """(15, 3) angles: bends of mcp, pip, dip of all fingers, and of the thumb its spread and bends of cmc, mcp, ip."""
    angles = np.zeros((15, 3))
    for f, fan in enumerate((1.0, 0.15, -1.2, -0.6)):
        angles[3 * f:3 * f + 3, 2] = bends
        angles[3 * f, 1] = fan * spread
    angles[12, 1], angles[12:, 2] = thumb[0], thumb[1:]
    return angles


@dataclass(frozen=True)
class _Shape:
    """A hand's preshape and where it closes to; `needs` fingers beside the thumb must touch."""

    open: Array
    closed: Array
    needs: int
    thumb: bool = True


WRAP = _Shape(_preshape((0.25, 0.25, 0.15), (1.0, 0.0, 0.05, 0.05), 0.05),
              _preshape((1.25, 1.5, 0.9), (1.25, 0.75, 0.6, 0.8)), needs=2)
CLAW = _Shape(_preshape((0.45, 0.40, 0.25), (1.0, 0.05, 0.05, 0.05), 0.16),
              _preshape((1.15, 1.2, 0.8), (1.2, 0.7, 0.6, 0.8), 0.05), needs=2)
FIST = _Shape(_preshape((0.30, 0.45, 0.3), (1.0, 0.0, 0.05, 0.05), 0.03),
              _preshape((1.55, 1.80, 1.25), (1.1, 0.6, 0.5, 0.6)), needs=3, thumb=False)  # a thumb lies on the fingers
THROUGH = _Shape(_preshape((0.15, 1.15, 0.35), (0.8, 0.0, 0.1, 0.1)), _preshape((0.6, 1.75, 1.1), (0.9, 0.5, 0.4, 0.5)),
                 needs=2,
                 thumb=False)
PINCH = _Shape(_preshape((0.50, 0.30, 0.15), (0.45, 0.05, 0.05, 0.0)), _preshape((1.0, 0.95, 0.6), (0.42, 0.65, 0.45, 0.4)),
               needs=1)
RIM = _Shape(_preshape((0.35, 0.20, 0.10), (0.70, -0.05, 0.0, 0.0)), _preshape((1.25, 1.05, 0.7), (0.55, 0.80, 0.6, 0.5)),
             needs=2,
             thumb=False)


def _tilted(rotation: Rotation, spread: float, rng: np.random.Generator) -> Rotation:
    return rotation * Rotation.from_rotvec(rng.normal(0.0, spread, 3).clip(-2 * spread, 2 * spread))


def _turned(vector: Array, yaw: float) -> Array:
    return np.asarray(Rotation.from_euler("z", yaw).apply(vector))


def _palm(hand: HandMesh, along: float, off: float, across: float = 0.0) -> Array:
    """A point in front of the palm, wrist frame, m: `along` is a share of the hand's length, off and across are m."""
    return np.array([-along * hand.skeleton.length, -off, across])


def _between(hand: HandMesh, shape: _Shape, share: float, thumb: float = 0.5) -> Array:
    """A point between thumb tip (`thumb` = 1) and index tip (0) when the hand is this far closed, wrist frame, m."""
    points = hand.skeleton.keypoints(poses_of(hand.skeleton, share * shape.closed + (1 - share) * shape.open))
    return np.asarray(thumb * points[TIP["thumb"]] + (1 - thumb) * points[TIP["index"]])


def _first_touch(nearest: Array) -> float:
    """How far a finger bends until the distances (len(CLOSING),), m, fall to CLEAR."""
    after = max(int(np.argmax(nearest < CLEAR)), 1)
    gap, beyond = nearest[after - 1], nearest[after]
    return float(np.interp(CLEAR, [beyond, gap], [CLOSING[after], CLOSING[after - 1]]))


def _settled(hand: HandMesh, shape: _Shape, wrist: Rotation, anchor: Array, in_hand: Array, approach: Array,
             solids: tuple[Shape, ...]) -> Grip:
    """The grip with `in_hand` (wrist frame, m) on `anchor` (world, m), as near to it as the shapes allow."""
    open_pose = poses_of(hand.skeleton, shape.open)
    skin = hand.posed(open_pose) @ wrist.as_matrix().T + (anchor - wrist.apply(in_hand))
    gap = np.array([distance(solids, skin - back * approach).min() for back in BACK_OFF])
    free = np.flatnonzero(gap > CLEAR)
    if not len(free):
        raise NoGripError("the open hand does not fit")
    pose = Pose(anchor - wrist.apply(in_hand) - BACK_OFF[free[0]] * approach, wrist)
    draft = Grip(pose, approach, shape.open, shape.closed, np.zeros(5))
    share, touching = np.zeros(5), np.zeros(5, bool)
    moved = pose.apply(hand.posed(poses_of(hand.skeleton, draft.angles(np.repeat(CLOSING[:, None], 5, axis=1)))))
    for f, finger in enumerate(FINGERS):
        nearest = distance(solids, moved[:, hand.of_finger(finger)]).min(axis=1)
        touching[f] = nearest.min() < CLEAR
        share[f] = _first_touch(nearest) if touching[f] else CLOSING[-1]
    if touching[:4].any():  # a finger that finds nothing bends as its neighbours do
        share[:4][~touching[:4]] = np.minimum(share[:4][~touching[:4]], share[:4][touching[:4]].mean() + 0.1)
    if touching[:4].sum() < shape.needs or (shape.thumb and not touching[4]):
        raise NoGripError("too few fingers touch")
    return replace(draft, share=share)


def _natural(wrist: Pose) -> bool:
    """A forearm from the shoulder's side reaches this wrist without breaking it, and above the table."""
    return float(np.arccos(np.clip(wrist.rotation.apply([1.0, 0, 0]) @ forearm(wrist.position), -1, 1))) < WRIST_BEND


def forearm(wrist: Array) -> Array:
    """Unit vector (3,), world, from a wrist (3,), m, to its elbow: towards the shoulder, hanging somewhat."""
    to_shoulder = SHOULDER - wrist
    along = to_shoulder / np.linalg.norm(to_shoulder) + np.array([0.15, 0.0, -0.25])
    return np.asarray(along / np.linalg.norm(along))


Meant = tuple[_Shape, Rotation, Array, Array, Array]  # shape, wrist, anchor (world, m), its place in the hand (m), approach


def _wrap_side(thing: Thing, place: Pose, hand: HandMesh, rng: np.random.Generator) -> Meant:
    """Round a standing thing, as one holds a cup to drink or to pour."""
    palm = _turned(LEFT, rng.uniform(-0.9, 0.35)) + np.array([0, 0, rng.normal(0, 0.08)])
    wrist = _tilted(wrist_facing(_turned(palm, -np.pi / 2), palm), 0.10, rng)
    half_hand = 0.27 * hand.skeleton.length  # from the middle of the palm to the little finger's edge
    height = max(thing.height * rng.uniform(0.48, 0.66), half_hand + rng.uniform(0.004, 0.02))
    anchor = place.apply(np.array([0.0, 0.0, height]))
    return WRAP, wrist, anchor, _palm(hand, rng.uniform(0.47, 0.56), thing.radius + 0.016), wrist.apply([0, -1.0, 0])


def _power_ball(thing: Thing, place: Pose, hand: HandMesh, rng: np.random.Generator) -> Meant:
    """The whole hand round a small thing, from above and the right, to press it."""
    palm = DOWN + rng.uniform(0.2, 0.8) * LEFT
    wrist = _tilted(wrist_facing(_turned(FORWARD, rng.uniform(-0.2, 0.8)), palm), 0.10, rng)
    anchor = place.apply(np.array([0.0, 0.0, thing.height * rng.uniform(0.5, 0.7)]))
    return WRAP, wrist, anchor, _palm(hand, rng.uniform(0.52, 0.60), thing.radius + 0.014), wrist.apply([0, -1.0, 0])


def _claw_top(thing: Thing, place: Pose, hand: HandMesh, rng: np.random.Generator) -> Meant:
    """From above, the fingers down its far side and the thumb down its near side."""
    fingers = _turned(FORWARD, rng.uniform(-0.25, 0.9))
    wrist = _tilted(wrist_facing(fingers, DOWN + 0.25 * rng.uniform(-0.3, 1.0) * fingers), 0.10, rng)
    anchor = place.apply(np.array([0.0, 0.0, thing.height]))
    off = 0.012 + rng.uniform(0.0, 0.012)
    return CLAW, wrist, anchor, _palm(hand, rng.uniform(0.56, 0.64), off), DOWN


def _pinch_handle(thing: Thing, place: Pose, hand: HandMesh, rng: np.random.Generator) -> Meant:
    """A mug's handle, which stands out to the person's right or towards them, between thumb and fingers."""
    assert thing.bar is not None
    fingers = -_turned(place.rotation.apply([1.0, 0.0, 0.0]), rng.uniform(-0.3, 0.3))
    palm = _turned(fingers, np.pi / 2) + rng.uniform(0.3, 0.8) * DOWN
    wrist = _tilted(wrist_facing(fingers + np.array([0, 0, rng.uniform(-0.5, -0.1)]), palm), 0.10, rng)
    anchor = place.apply(thing.bar.at(rng.uniform(0.6, 0.85)))
    return PINCH, wrist, anchor, _between(hand, PINCH, 0.72), fingers


def _drawer_bar(thing: Thing, place: Pose, hand: HandMesh, rng: np.random.Generator) -> Meant:
    """The fingers over the bar and down behind it, to pull."""
    assert thing.bar is not None
    inwards = _turned(place.rotation.apply([0.0, 1.0, 0.0]), rng.uniform(-0.2, 0.2))
    rise = rng.uniform(-0.25, 0.45)  # rad above level that the knuckles' row points
    fingers = np.cos(rise) * inwards - np.sin(rise) * DOWN
    wrist = _tilted(wrist_facing(fingers, DOWN + 1e-3 * inwards), 0.06, rng)
    anchor = place.apply(thing.bar.at(rng.uniform(0.38, 0.62)))
    return THROUGH, wrist, anchor, _palm(hand, rng.uniform(0.60, 0.65), 0.012 + thing.bar.radius, 0.01), DOWN


def _power_bar(low: float, high: float) -> Callable[[Thing, Pose, HandMesh, np.random.Generator], Meant]:
    """The fist round a handle, between these shares of its length."""
    def meant(thing: Thing, place: Pose, hand: HandMesh, rng: np.random.Generator) -> Meant:
        assert thing.bar is not None
        along = place.rotation.apply(thing.bar.along)
        palm = DOWN + rng.uniform(0.1, 0.9) * LEFT + rng.uniform(-0.1, 0.4) * FORWARD
        palm = palm - (palm @ along) * along
        fingers = _reaching(np.cross(palm, -along), place.apply(thing.bar.at(low)))
        wrist = _tilted(wrist_facing(fingers, palm), 0.10, rng)
        anchor = place.apply(thing.bar.at(rng.uniform(low, high)))
        return FIST, wrist, anchor, _palm(hand, rng.uniform(0.50, 0.57), 0.013 + thing.bar.radius), wrist.apply([0, -1.0, 0])
    return meant


def _reaching(across: Array, at: Array) -> Array:
    """The way across a handle at `at` (3,) m that fingers point when the forearm comes from the shoulder."""
    return -across if across @ forearm(at) > 0 else across


def _pinch_bar(thing: Thing, place: Pose, hand: HandMesh, rng: np.random.Generator) -> Meant:
    """Thumb and fingertips at the middle of a handle."""
    assert thing.bar is not None
    along = place.rotation.apply(thing.bar.along)
    level = _reaching(np.cross([0.0, 0.0, 1.0], along), place.apply(thing.bar.at(0.5)))
    dive = rng.uniform(0.5, 0.95)
    fingers = np.cos(dive) * level / np.linalg.norm(level) + np.sin(dive) * DOWN
    palm = np.cos(dive) * DOWN - np.sin(dive) * level / np.linalg.norm(level)
    wrist = _tilted(wrist_facing(fingers, palm), 0.10, rng)
    anchor = place.apply(thing.bar.at(rng.uniform(0.40, 0.58)))
    return PINCH, wrist, anchor, _between(hand, PINCH, 0.72), DOWN


def _pinch_rim(thing: Thing, place: Pose, hand: HandMesh, rng: np.random.Generator) -> Meant:
    """The fingers inside and the thumb outside the rim of a bowl, on the person's side."""
    azimuth = rng.uniform(-2.0, -0.5)
    out = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    dive = rng.uniform(0.55, 1.0)
    fingers, palm = -np.cos(dive) * out + np.sin(dive) * DOWN, np.cos(dive) * DOWN + np.sin(dive) * out
    wrist = _tilted(wrist_facing(fingers, palm), 0.10, rng)
    anchor = place.position + (thing.radius + 0.002) * out + np.array([0.0, 0.0, thing.height - 0.006])
    return RIM, wrist, anchor, _between(hand, RIM, 0.5, thumb=0.8), DOWN


@dataclass(frozen=True)
class Purpose:
    """Something one does with a thing: how people call it, how they take the thing, and how it then moves (see motion)."""

    thing: str
    phrasings: tuple[str, ...]
    meant: Callable[[Thing, Pose, HandMesh, np.random.Generator], Meant]
    motion: str
    heading: tuple[float, float] | None = None  # rad, of the thing, where the purpose asks for another than the thing's own


PURPOSES: dict[str, Purpose] = {
    "pour_cup": Purpose("cup", ("pour from the cup", "pour the water out of the cup", "empty the cup"), _wrap_side, "pour"),
    "pick_cup": Purpose("cup", ("pick up the cup", "lift the cup", "take the cup"), _claw_top, "lift"),
    "pour_mug": Purpose("mug", ("pour from the mug", "pour the tea out of the mug"), _wrap_side, "pour", (1.6, 4.0)),
    "drink_mug": Purpose("mug", ("drink from the mug", "pick up the mug by its handle"), _pinch_handle, "lift", (-1.3, -0.1)),
    "pick_bowl": Purpose("bowl", ("pick up the bowl", "lift the bowl", "carry the bowl"), _pinch_rim, "lift"),
    "pick_fruit": Purpose("fruit", ("pick up the fruit", "take the fruit", "grab the piece of fruit"), _claw_top, "lift"),
    "squeeze_fruit": Purpose("fruit", ("squeeze the fruit", "squeeze the lemon"), _power_ball, "squeeze"),
    "open_drawer": Purpose("drawer", ("open the drawer", "pull the drawer open", "slide the drawer out"), _drawer_bar, "pull"),
    "pick_spoon": Purpose("spoon", ("pick up the spoon", "take the spoon", "lift the spoon"), _pinch_bar, "lift"),
    "stir_spoon": Purpose("potted spoon", ("stir the pot", "stir with the spoon", "stir the soup with the spoon"),
                          _power_bar(0.72, 0.9), "stir"),
    "scoop_ladle": Purpose("ladle", ("scoop with the ladle", "ladle the soup", "scoop the soup with the ladle"),
                           _power_bar(0.6, 0.85), "scoop"),
    "flip_spatula": Purpose("spatula", ("flip with the spatula", "turn the pancake over with the spatula"),
                            _power_bar(0.6, 0.85), "flip"),
    "stir_loose_spoon": Purpose("spoon", ("stir with the spoon", "mix with the spoon"), _power_bar(0.68, 0.9), "stir"),
}


def take(purpose: Purpose, thing: Thing, place: Pose, hand: HandMesh, rng: np.random.Generator) -> Grip:
    """One natural grip. `place` is the thing's frame in the world. Raises NoGripError."""
    shape, wrist, anchor, in_hand, approach = purpose.meant(thing, place, hand, rng)
    in_place = tuple(_InWorld(solid, place) for solid in thing.solids)
    grip = _settled(hand, shape, wrist, anchor, in_hand, approach / np.linalg.norm(approach), (*in_place, TABLE))
    if not _natural(grip.wrist):
        raise NoGripError("no human wrist bends that far")
    return grip


@dataclass(frozen=True)
class _InWorld:
    """A solid of a thing, asked in the world's frame."""

    solid: Solid
    place: Pose

    def distance(self, points: Array) -> Array:
        return self.solid.distance((points - self.place.position) @ self.place.rotation.as_matrix())


def touched(hand: HandMesh, grip_pose: Array, wrist: Pose, thing: Thing, place: Pose) -> tuple[Array, Array]:
    """Where the skin touches the thing.

    Returns:
        points (n, 3), m, world, and for each the finger (n,) it belongs to, in the order of FINGERS; 5 is the palm.
    """
    skin = wrist.apply(hand.posed(grip_pose))
    near = distance(thing.solids, place.inverse().apply(skin)) < TOUCH
    owner = np.full(len(skin), 5)
    for f, finger in enumerate(FINGERS):
        owner[hand.of_finger(finger)] = f
    return skin[near], owner[near]
