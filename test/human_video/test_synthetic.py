"""Synthetic videos: their truth agrees with their geometry, and what is held out is not shown."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from human_video.conftest import NUMBERS, truth
from scipy.spatial.transform import Rotation

from deft_bringup.held_out import held_out
from deft_core.types import Pose
from deft_human_video.hand_mesh import draw_hand, mean_hand
from deft_human_video.labels.engine import Engine
from deft_human_video.readers.hoi4d import Hoi4dReader
from deft_human_video.synthetic.generator import film_clip
from deft_human_video.synthetic.grips import PURPOSES, NoGripError, take, touched
from deft_human_video.synthetic.series import Series, make
from deft_human_video.synthetic.solids import Box, Capsule, Ellipsoid, Turned, distance
from deft_human_video.synthetic.things import DRAW, HeldOut, draw_thing
from deft_retarget.motions import natural_poses, poses_of
from deft_retarget.skeleton import shipped_skeleton


def test_the_mesh_follows_its_joints() -> None:
    """A fingertip's skin moves with the skeleton's fingertip, whatever the build."""
    hand = draw_hand(np.random.default_rng(5))
    assert np.allclose(hand.posed(np.zeros(45)), hand.vertices)
    for pose in natural_poses(hand.skeleton, 1, 5, 2)[0]:
        skin, tips = hand.posed(pose), hand.skeleton.keypoints(pose)[16:]
        assert np.linalg.norm(skin[:, None] - tips, axis=2).min(axis=0).max() < 0.006
    mean, long = mean_hand(shipped_skeleton()), hand.skeleton.length / shipped_skeleton().length
    assert np.ptp(mean.vertices, axis=0) * long == pytest.approx(np.ptp(hand.vertices, axis=0), rel=0.12)


@pytest.mark.parametrize("solid", [Capsule((0, 0, 0), (0.1, 0, 0.02), 0.01), Box((0.1, 0, 0), (0.02, 0.03, 0.04), 0.5, 0.2),
                                   Ellipsoid((0, 0.1, 0), (0.03, 0.02, 0.04)), Turned(((0.0, 0.0), (0.04, 0.0), (0.05, 0.1)),
                                                                                      0.004)])
def test_distance_is_that_of_the_surface(solid) -> None:  # type: ignore[no-untyped-def]
    """Moving by the distance along its gradient leads to the surface."""
    points = np.random.default_rng(0).uniform(-0.15, 0.2, (3000, 3))
    step = 1e-6
    ahead, behind = (np.stack([solid.distance(points + sign * step * e) for e in np.eye(3)], -1) for sign in (1, -1))
    gradient = (ahead - behind) / (2 * step)
    near = 0.015 if isinstance(solid, Ellipsoid) else 1.0  # the ellipsoid's distance is of first order
    usable = (np.abs(np.linalg.norm(gradient,
                                    axis=1) - 1) < 0.2) & (solid.distance(points) > 0) & (solid.distance(points) < near)
    assert usable.sum() > 5
    landed = points - (solid.distance(points)[:, None] * gradient)
    share = 0.3 if isinstance(solid, Ellipsoid) else 0.02
    assert (np.abs(solid.distance(landed))[usable] <= share * solid.distance(points)[usable] + 1e-6).all()
    low, high = solid.bounds()
    inside = points[solid.distance(points) < 0]
    assert ((inside >= low - 1e-9) & (inside <= high + 1e-9)).all()


@pytest.mark.parametrize("name", PURPOSES)
def test_grips_touch_and_do_not_pierce(name: str) -> None:
    rng = np.random.default_rng(3)
    purpose, found = PURPOSES[name], 0
    for _ in range(200):
        thing = draw_thing(purpose.thing, (), rng)
        place = Pose(np.zeros(3), Rotation.from_euler("z", rng.uniform(*(purpose.heading or thing.heading))))
        hand = draw_hand(rng)
        try:
            grip = take(purpose, thing, place, hand, rng)
        except NoGripError:
            continue
        pose = poses_of(hand.skeleton, grip.angles(grip.share))
        skin = grip.wrist.apply(hand.posed(pose))
        assert skin[:, 2].min() > -0.004, "through the table"
        assert distance(thing.solids, place.inverse().apply(skin)).min() > -0.006, "through the thing"
        _, owner = touched(hand, pose, grip.wrist, thing, place)
        assert len(set(owner[owner < 5])) >= 2, "two fingers at least"
        found += 1
        if found == 3:
            return
    raise AssertionError("hardly any grip is found")


def test_test_objects_are_held_out() -> None:
    """None of thousands of things is like a test object of the simulator; some would be, were they not held out."""
    others, rng = held_out(), np.random.default_rng(0)
    assert {thing.family for thing in others} == {"cup", "mug", "bowl", "spoon", "ladle", "spatula", "drawer", "fruit"}
    alike = 0
    for name in DRAW:
        for _ in range(120):
            alike += any(other.is_like(DRAW[name](rng)) for other in others)
            assert not any(other.is_like(draw_thing(name, others, rng)) for other in others)
    assert alike > 3
    with pytest.raises(ValueError, match="held out"):
        draw_thing("cup", [HeldOut("cup")], rng)


def test_the_same_number_gives_the_same_clip() -> None:
    clip, again = film_clip(NUMBERS[0], 0), film_clip(NUMBERS[0], 0)
    assert all((a == b).all() for a, b in zip(clip.rgb, again.rgb, strict=True))
    assert all((a == b).all() for a, b in zip(clip.depth, again.depth, strict=True))
    assert clip.truth.contact_frame == again.truth.contact_frame


def test_the_truth_agrees_with_the_annotation(clips: Path, reader: Hoi4dReader) -> None:
    """What the reader finds in HOI4D's layout is what the film knows; the contact lies in the object's box."""
    for key in reader.keys()[0]:
        known, clip = truth(clips, key), reader.open(key)
        frame = known["contact_frame"]
        pose, = clip.annotation.hands[frame]
        assert (clip.text, pose.side) == (known["text"], known["side"])
        assert np.allclose(pose.wrist, known["wrists"][frame]["rotvec"], atol=1e-4)
        assert abs(clip.annotation.contact_frame - frame) <= 1
        left, top, right, bottom = known["box"]
        assert all(left - 6 <= u <= right + 6 and top - 6 <= v <= bottom + 6 for u, v in known["contacts"])
        assert clip.intrinsics is not None and pose.position is not None
        on_screen = clip.intrinsics.project(np.array(known["tips"]))
        assert np.allclose(on_screen, np.array(known["keypoints"][frame])[[8, 12, 20, 16, 4]], atol=0.5)


def test_a_series_goes_on(tmp_path: Path) -> None:
    series = Series(tmp_path / "s", 2, 4)
    assert sum(piece.made for piece in make(series, Engine.local, 1)) == 2
    stamps = {p: hashlib.md5(p.read_bytes()).hexdigest() for p in (tmp_path / "s").rglob("*.mp4")}
    assert len(stamps) == 2 and sum(piece.made for piece in make(series, Engine.local, 1)) == 0
    assert {p: hashlib.md5(p.read_bytes()).hexdigest() for p in (tmp_path / "s").rglob("*.mp4")} == stamps
