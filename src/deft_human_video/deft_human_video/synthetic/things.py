"""Things to grasp, drawn at random: cups, mugs, bowls, fruit, drawers, spoons, ladles, spatulas.

Frame of a thing: origin on the table under it, z up. `heading` turns it about z so that a right-handed person who sits at -y
and looks along +y finds it as people put things down for themselves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from deft_core.types import Array
from deft_human_video.synthetic.solids import Box, Capsule, Ellipsoid, Point, Solid, Turned
from deft_human_video.synthetic.split import Split, cells

ALIKE = 0.04  # two things whose dimensions all differ by less than this share are the same one
CELL = 0.10   # share by which the dimensions of things in neighbouring cells of a split differ
TRIES = 1000
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Bar:
    """A handle: its axis from `near` (where the thing hangs on it) to `end`, m, thing's frame."""

    near: Point
    end: Point
    radius: float

    def at(self, share: float) -> Array:
        return (1 - share) * np.array(self.near) + share * np.array(self.end)

    @property
    def along(self) -> Array:
        """Unit vector from near to end."""
        line = np.array(self.end) - self.near
        return np.asarray(line / np.linalg.norm(line))


@dataclass(frozen=True)
class Thing:
    """One object.

    Attributes:
        dimensions: m, by name, what makes it the object that it is.
        moving, fixed: its solids with colours; what is fixed stays when the hand moves the rest.
        heading: rad, the range that people would turn it to.
        bar: its handle.
        radius, height: m, of what a hand closes round that has no handle; of a bowl, its rim.
    """

    family: str
    dimensions: dict[str, float]
    moving: tuple[tuple[Solid, Rgb], ...]
    fixed: tuple[tuple[Solid, Rgb], ...] = ()
    heading: tuple[float, float] = (-np.pi, np.pi)
    bar: Bar | None = None
    radius: float = 0.0
    height: float = 0.0

    @property
    def solids(self) -> tuple[Solid, ...]:
        return tuple(solid for solid, _ in (*self.moving, *self.fixed))

    def corners(self) -> Array:
        """(n, 3) m, thing's frame: of the boxes round its solids."""
        boxes = [solid.bounds() for solid in self.solids]
        return np.array([[box[i, 0], box[j, 1], box[k, 2]] for box in boxes for i in (0, 1) for j in (0, 1) for k in (0, 1)])


@dataclass(frozen=True)
class HeldOut:
    """A thing that must not be shown: no drawn one of its family may have all these dimensions (m) within ALIKE."""

    family: str
    dimensions: dict[str, float] = field(default_factory=dict)

    def is_like(self, thing: Thing) -> bool:
        return thing.family == self.family and all(
            abs(thing.dimensions[name] - value) <= ALIKE * value for name, value in self.dimensions.items())


def _colour(rng: np.random.Generator) -> Rgb:
    """Anything from muted to strong, from dark to light."""
    hue = rng.uniform(0, 2 * np.pi) + np.array([0.0, 2.1, 4.2])
    r, g, b = np.clip(rng.uniform(0.15, 0.85) + rng.uniform(0.0, 0.35) * np.cos(hue), 0.03, 0.97)
    return float(r), float(g), float(b)


def _wood_or_metal(rng: np.random.Generator) -> Rgb:
    base = np.array([(0.72, 0.52, 0.32), (0.62, 0.63, 0.66), (0.12, 0.12, 0.13), (0.45, 0.30, 0.18)][int(rng.integers(4))])
    r, g, b = np.clip(base * rng.uniform(0.85, 1.2), 0.03, 0.97)
    return float(r), float(g), float(b)


def _cup_wall(height: float, bottom: float, top: float, wall: float) -> Turned:
    return Turned(((0.0, wall / 2), (bottom - wall / 2, wall / 2), (top - wall / 2, height)), wall)


def cup(rng: np.random.Generator) -> Thing:
    height, top = rng.uniform(0.08, 0.15), rng.uniform(0.029, 0.046)
    bottom = top * rng.uniform(0.70, 1.0)
    return Thing("cup", {"height": height, "top_radius": top, "bottom_radius": bottom},
                 ((_cup_wall(height, bottom, top, 0.004), _colour(rng)),), radius=(top + bottom) / 2, height=height)


def mug(rng: np.random.Generator) -> Thing:
    height, radius, out = rng.uniform(0.08, 0.11), rng.uniform(0.036, 0.046), rng.uniform(0.032, 0.042)
    thick, colour = rng.uniform(0.005, 0.007), _colour(rng)
    top, bottom, reach = rng.uniform(0.80, 0.9) * height, rng.uniform(0.14, 0.22) * height, radius + out
    corners = [(radius - 0.002, 0.0, top), (reach, 0.0, top - 0.008), (reach, 0.0, bottom + 0.008), (radius - 0.002, 0.0,
                                                                                                     bottom)]
    handle = tuple((Capsule(a, b, thick), colour) for a, b in itertools.pairwise(corners))
    return Thing("mug", {"height": height, "top_radius": radius, "bottom_radius": radius, "handle": out},
                 ((_cup_wall(height, radius, radius, 0.005), colour), *handle), heading=(-0.7, 0.5),
                 bar=Bar(corners[2], corners[1], thick), radius=radius, height=height)


def bowl(rng: np.random.Generator) -> Thing:
    height, rim, wall = rng.uniform(0.045, 0.075), rng.uniform(0.055, 0.085), 0.005
    foot = rim * rng.uniform(0.45, 0.65)
    bend = (foot + 0.72 * (rim - foot), 0.42 * height)
    return Thing("bowl", {"height": height, "rim_radius": rim, "foot_radius": foot},
                 ((Turned(((0.0, wall / 2), (foot, wall / 2), bend, (rim - wall / 2, height)), wall), _colour(rng)),),
                 radius=rim - wall / 2, height=height)


def fruit(rng: np.random.Generator) -> Thing:
    half, colour = [((0.036, 0.036, 0.034), (0.95, 0.55, 0.10)), ((0.037, 0.037, 0.033), (0.75, 0.12, 0.10)),
                    ((0.037, 0.037, 0.034), (0.45, 0.65, 0.15)), ((0.037, 0.027, 0.027), (0.93, 0.85, 0.20)),
                    ((0.030, 0.024, 0.024), (0.35, 0.62, 0.18))][int(rng.integers(5))]
    x, y, z = np.array(half) * rng.uniform(0.85, 1.12) * rng.uniform(0.95, 1.05, 3)
    r, g, b = np.clip(np.array(colour) + rng.uniform(-0.06, 0.06, 3), 0.03, 0.97)
    return Thing("fruit", {"long_radius": x, "short_radius": z},
                 ((Ellipsoid((0, 0, float(z)), (float(x), float(y), float(z))), (float(r), float(g), float(b))),),
                 radius=float((y + z) / 2), height=2 * float(z))


def drawer(rng: np.random.Generator) -> Thing:
    """A small cabinet whose front looks to -y, with a bar for a handle."""
    wide, high, deep = rng.uniform(0.09, 0.14), rng.uniform(0.06, 0.10), rng.uniform(0.10, 0.14)  # halves of w and d
    out, half, thick = rng.uniform(0.034, 0.045), rng.uniform(0.05, 0.07), rng.uniform(0.005, 0.008)
    z, body, front = rng.uniform(0.5, 0.62) * 2 * high, _colour(rng), _colour(rng)
    metal, base, t = _wood_or_metal(rng), rng.uniform(0.0, 0.06), 0.006
    z += base
    low, top = base, base + 2 * high
    shell = [Box((0, deep, top + t), (wide + 2 * t, deep, t)), Box((0, deep, base / 2 + t / 2), (wide + 2 * t, deep,
                                                                                                 base / 2 + t / 2)),
             Box((-wide - t, deep, (low + top) / 2), (t, deep, high)), Box((wide + t, deep, (low + top) / 2), (t, deep, high)),
             Box((0, 2 * deep, (low + top) / 2), (wide, t, high))]
    tray = [(Box((0, 0, (low + top) / 2 + t), (wide - 0.002, t, high - t)), front),
            (Box((0, deep * 0.9, low + 3 * t), (wide - 0.004, deep * 0.9, t)), front),
            *((Box((s * (wide - 0.008), deep * 0.9, (low + top) / 2), (0.003, deep * 0.9, high * 0.6)), front) for s in (-1,
                                                                                                                         1))]
    handle = [(Capsule((-half, -out, z), (half, -out, z), thick), metal),
              *((Capsule((s * half, 0, z), (s * half, -out, z), thick), metal) for s in (-1, 1))]
    return Thing("drawer", {"width": 2 * wide, "height": 2 * high, "handle_length": 2 * half, "handle_radius": thick},
                 (*tray, *handle), tuple((solid, body) for solid in shell), (-0.35, 0.35),
                 Bar((-half, -out, z), (half, -out, z), thick))


def _utensil(family: str, dimensions: dict[str, float], head: Sequence[tuple[Solid, Rgb]], bar: Bar, colour: Rgb,
             rest: Solid | None, rng: np.random.Generator) -> Thing:
    fixed = ((rest, _colour(rng)),) if rest is not None else ()
    return Thing(family, dimensions, (*head, (Capsule(bar.near, bar.end, bar.radius), colour)), fixed, (-0.75, 0.55), bar)


def _rest_under(bar: Bar) -> Solid:
    """What holds a handle up: a low block near the head, as spoon rests are."""
    x, _, z = bar.at(0.12)
    return Box((float(x), 0.0, float(z - bar.radius) / 2), (0.012, 0.03, float(z - bar.radius) / 2))


def spoon(rng: np.random.Generator) -> Thing:
    reach, thick, head = rng.uniform(0.17, 0.24), rng.uniform(0.006, 0.010), rng.uniform(0.020, 0.034)
    deep, colour, rise = rng.uniform(0.008, 0.014), _wood_or_metal(rng), rng.uniform(0.012, 0.030)
    bar = Bar((head - 0.006, 0.0, rise + deep), (reach, 0.0, rise + deep + rng.uniform(0.0, 0.02)), thick)
    scoop = Turned(((0.0, 0.002), (0.6 * head, 0.003), (head, deep)), 0.003, (0.0, 0.0, rise))
    return _utensil("spoon", {"reach": reach, "handle_radius": thick, "head_radius": head}, [(scoop, colour)], bar, colour,
                    _rest_under(bar), rng)


def ladle(rng: np.random.Generator) -> Thing:
    reach, thick, head = rng.uniform(0.20, 0.27), rng.uniform(0.006, 0.010), rng.uniform(0.034, 0.044)
    deep, colour = rng.uniform(0.026, 0.036), _wood_or_metal(rng)
    bar = Bar((head - 0.004, 0.0, deep), (reach, 0.0, deep + rng.uniform(0.03, 0.06)), thick)
    scoop = Turned(((0.0, 0.002), (0.6 * head, 0.25 * deep), (0.92 * head, 0.6 * deep), (head, deep)), 0.003)
    return _utensil("ladle", {"reach": reach, "handle_radius": thick, "head_radius": head}, [(scoop, colour)], bar, colour,
                    None,
                    rng)


def spatula(rng: np.random.Generator) -> Thing:
    reach, thick, long = rng.uniform(0.20, 0.27), rng.uniform(0.007, 0.011), rng.uniform(0.035, 0.05)
    wide, colour = rng.uniform(0.028, 0.042), _wood_or_metal(rng)
    bar = Bar((long - 0.005, 0.0, 0.014), (reach, 0.0, rng.uniform(0.04, 0.065)), thick)
    blade = Box((0.0, 0.0, 0.010), (long, wide, 0.002))
    rest = Box((0.9 * long, 0.0, 0.004), (0.012, 0.03, 0.004))
    return _utensil("spatula", {"reach": reach, "handle_radius": thick, "blade_length": 2 * long}, [(blade,
                                                                                                     _wood_or_metal(rng))],
                    bar, colour, rest, rng)


def potted_spoon(rng: np.random.Generator) -> Thing:
    """A spoon that leans out of a pot."""
    radius, height, wall = rng.uniform(0.055, 0.08), rng.uniform(0.06, 0.09), 0.004
    thick, lean, reach = rng.uniform(0.006, 0.010), rng.uniform(0.75, 1.05), rng.uniform(0.20, 0.25)  # lean: rad above level
    start = np.array([-0.3 * radius, 0.0, 0.015])
    end = start + reach * np.array([np.cos(lean), 0.0, np.sin(lean)])
    bar = Bar((float(start[0]), 0.0, float(start[2])), (float(end[0]), 0.0, float(end[2])), thick)
    colour, pot = _wood_or_metal(rng), _cup_wall(height, radius, radius, wall)
    head = Ellipsoid(bar.near, (0.024, 0.018, 0.010))
    return Thing("spoon", {"reach": reach, "handle_radius": thick, "head_radius": 0.024, "pot_radius": radius},
                 ((head, colour), (Capsule(bar.near, bar.end, thick), colour)), ((pot, _colour(rng)),), (-0.75, 0.55), bar)


DRAW: dict[str, Callable[[np.random.Generator], Thing]] = {
    "cup": cup, "mug": mug, "bowl": bowl, "fruit": fruit, "drawer": drawer, "spoon": spoon, "ladle": ladle, "spatula": spatula,
    "potted spoon": potted_spoon,
}


def draw_thing(name: str, held_out: Sequence[HeldOut], rng: np.random.Generator, split: Split = Split.all) -> Thing:
    """A new thing of DRAW that belongs to the split and is none of those held out."""
    for _ in range(TRIES):
        thing = DRAW[name](rng)
        wanted = split.has(thing.family, cells(thing.dimensions.values(), CELL))
        if wanted and not any(other.is_like(thing) for other in held_out):
            return thing
    raise ValueError(f"every {name} drawn is like one that is held out: hold out fewer, or give more of their dimensions")
