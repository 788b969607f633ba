"""The steps of the label chain, one by one, on inputs whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from deft_core.types import Intrinsics, Pose
from deft_human_video.clip import Annotation, Clip, Detections, HandBox, HandPose, ObjectBox, scaled
from deft_human_video.errors import Rejected
from deft_human_video.labels.contact_frame import HandMotion, detected_contact, matched_object
from deft_human_video.labels.contact_points import farthest, mixture, on_object, skin_in_overlap
from deft_human_video.labels.fitting import HandFitter
from deft_human_video.labels.objects import box_of, crop_box, overlapped, table_pose
from deft_human_video.labels.registration import Registration
from deft_human_video.labels.tracking import TrackedHand, mirrored_hand
from deft_human_video.mirror import mirrored_clip
from deft_retarget.motions import gesture
from deft_retarget.skeleton import OPENPOSE_21, shipped_skeleton

LENS = Intrinsics(320, 240, 300.0, 300.0, 159.5, 119.5)
CUP, PLATE = ObjectBox((50.0, 40.0, 70.0, 60.0), 0.9), ObjectBox((90.0, 40.0, 110.0, 60.0), 0.9)


def touching(side: str = "right", at: tuple[float, float] | None = (62.0, 51.0), score: float = 0.9) -> Detections:
    state = 3 if at else 0
    return Detections((HandBox((20.0, 40.0, 52.0, 70.0), score, side, state, at),), (CUP, PLATE))  # type: ignore[arg-type]


def test_the_nearest_object_is_touched() -> None:
    assert matched_object(touching().hands[0], (CUP, PLATE)) == CUP
    assert matched_object(touching(at=(95.0, 50.0)).hands[0], (CUP, PLATE)) == PLATE
    assert matched_object(touching(at=None).hands[0], (CUP,)) is None
    assert matched_object(touching().hands[0], ()) is None


def test_contact_must_last() -> None:
    """A flicker at frame 3 is no contact; the first of the lasting ones is."""
    found = {i: touching(at=(62.0, 51.0) if i == 3 or i >= 8 else None) for i in range(20)}
    assert detected_contact(found, 20)[0] == 8
    with pytest.raises(Rejected, match="keeps touching"):
        detected_contact({i: touching(at=(62.0, 51.0) if i == 3 else None) for i in range(20)}, 20)
    with pytest.raises(Rejected, match="no hand"):
        detected_contact({i: touching(score=0.2) for i in range(20)}, 20)
    with pytest.raises(Rejected, match="no hand"):
        detected_contact({}, 20)


def test_a_hand_comes_to_rest() -> None:
    """An outline that moves and stops rests, in the pixels of the first frame, whatever the camera does."""
    motion, answers = HandMotion((120, 160)), []
    for i in range(14):
        outline = np.zeros((120, 160), bool)
        hand, camera = min(i, 8), 2 * i
        outline[40:80, 10 + 8 * hand + camera:50 + 8 * hand + camera] = True
        answers.append(motion.rests(outline, np.array([[1.0, 0, camera], [0, 1, 0], [0, 0, 1]])))
    assert [i for i, rests in enumerate(answers) if rests] == [10]  # still from frame 9 on


def test_the_camera_is_followed_in_spite_of_a_hand() -> None:
    rng = np.random.default_rng(0)
    world = cv2.GaussianBlur(rng.integers(0, 255, (400, 500, 3)).astype(np.uint8), (0, 0), 2)
    registration, last = Registration(world[50:290, 50:370], None, LENS), None
    for i in range(1, 9):
        view = world[50 + i:290 + i, 50 + 2 * i:370 + 2 * i].copy()
        view[150:, 20 * i:20 * i + 90] = (200, 150, 120)
        last = registration.next(view)
    assert last is not None and last.camera is None
    assert last.to_first(np.array([[100.0, 60.0]])) == pytest.approx(np.array([[116.0, 68.0]]), abs=0.5)
    with pytest.raises(Rejected, match="corners"):
        Registration(np.full((240, 320, 3), 90, np.uint8), None, LENS).next(np.full((240, 320, 3), 90, np.uint8))


def test_the_table_is_found_by_depth() -> None:
    """A camera 0.5 m above a table, looking 50 degrees down: the frame on the table has z up and x ahead."""
    down = np.radians(50.0)
    axes = np.array([[0, -np.sin(down), np.cos(down)], [-1, 0, 0], [0, -np.cos(down), -np.sin(down)]])
    camera = Pose(np.array([0.0, 0.0, 0.5]), Rotation.from_matrix(axes))
    v, u = np.mgrid[:240, :320]
    rays = camera.rotation.apply(np.concatenate([LENS.normalized(np.stack([u, v], -1).reshape(-1, 2)), np.ones((240 * 320,
                                                                                                                1))], 1))
    depth = np.where(rays[:, 2] < -0.1, -0.5 / np.minimum(rays[:, 2], -0.1), 0.0).reshape(240, 320)
    depth[60:90, 100:140] -= 0.06  # something on it
    found = table_pose(np.round(1000 * depth).astype(np.uint16), LENS)
    assert found.position[2] == pytest.approx(0.5, abs=0.003)
    assert (found.rotation * camera.rotation.inv()).magnitude() < 0.01
    with pytest.raises(Rejected, match="too little depth"):
        table_pose(np.zeros((240, 320), np.uint16), LENS)


@given(st.integers(1, 60), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_farthest_points_are_points(count: int, wanted: int) -> None:
    points = np.random.default_rng(count).normal(0, 9, (count, 2))
    chosen = farthest(points, wanted)
    assert len(chosen) == min(count, wanted) and all((points == p).all(axis=1).any() for p in chosen)


def test_contacts() -> None:
    on = np.zeros((100, 100), bool)
    on[20:80, 20:80] = True
    finger = np.stack([np.linspace(10, 60, 51), np.full(51, 50.0)], axis=1)
    thumb = np.stack([np.full(30, 30.0), np.linspace(25, 75, 30)], axis=1)
    points = on_object([finger, thumb, finger + 200], on)
    assert len(points) == 20 and on[points[:, 1].astype(int), points[:, 0].astype(int)].all()
    contacts = mixture(points, 3)
    assert contacts.weights.sum() == pytest.approx(1.0) and contacts.means.shape == (3, 2)
    assert contacts.centre == pytest.approx(points.mean(axis=0), abs=1e-6)
    assert len(mixture(np.array([[1.0, 2.0], [1.0, 2.0]]), 3).weights) == 1
    with pytest.raises(Rejected, match="no finger"):
        on_object([finger + 200], on)


def test_skin_in_the_overlap_of_two_boxes() -> None:
    """As hoi-forecast has it: the skin's outline where hand and object overlap; the overlap itself where no skin is seen."""
    image = np.full((100, 100, 3), (40, 60, 160), np.uint8)
    cv2.circle(image, (40, 50), 14, (224, 172, 140), -1)
    points = skin_in_overlap(image, (20.0, 30.0, 60.0, 70.0), (48.0, 40.0, 90.0, 70.0))
    assert np.allclose(np.linalg.norm(points - [40, 50], axis=1), 14, atol=1.5) and (points[:, 0] >= 45).all()
    assert len(skin_in_overlap(np.zeros_like(image), (20.0, 30.0, 60.0, 70.0), (48.0, 40.0, 90.0, 70.0))) == 20
    with pytest.raises(Rejected, match="do not overlap"):
        skin_in_overlap(image, (0.0, 0.0, 20.0, 20.0), (60.0, 60.0, 90.0, 90.0))


def test_boxes() -> None:
    mask = np.zeros((50, 60), bool)
    mask[10:20, 5:25] = True
    assert box_of(mask) == (5.0, 10.0, 25.0, 20.0)
    assert crop_box((5.0, 10.0, 25.0, 20.0), (50, 60)) == (2, 8, 28, 22)
    with pytest.raises(Rejected, match="empty"):
        box_of(np.zeros((5, 5), bool))
    assert overlapped((CUP, PLATE), np.array([[95.0, 50.0]]), 0.3) == PLATE.box
    with pytest.raises(Rejected, match="no detected object"):
        overlapped((CUP,), np.array([[5.0, 5.0]]), 0.3)
    with pytest.raises(Rejected, match="is detected"):
        overlapped((CUP,), np.array([[60.0, 50.0]]), 0.95)


def test_fitting_finds_a_hand_from_perfect_keypoints() -> None:
    """Keypoints of a hand off the picture's middle, as the landmarker would give them, lead back to the hand."""
    skeleton = shipped_skeleton()
    pose, wrist = gesture(skeleton, "half_closed"), Rotation.from_euler("xyz", [0.4, 2.6, 0.3])
    points = skeleton.keypoints(pose, wrist.as_rotvec())[OPENPOSE_21] + [0.16, 0.02, 0.55]
    middle = points.mean(axis=0)
    ray = middle / np.linalg.norm(middle)
    # the landmarker sees the hand as if it were straight ahead
    to_ray = Rotation.from_rotvec(np.cross([0, 0, 1.0], ray) * np.arccos(ray[2]) / np.linalg.norm(np.cross([0, 0, 1.0], ray)))
    hand = TrackedHand("right", 1.0, LENS.project(points), to_ray.inv().apply(points - middle))
    fitter = HandFitter(skeleton, LENS)
    fitted = fitter.fit(hand)
    assert fitted.error < 0.05
    assert (fitted.wrist.rotation.inv() * wrist).magnitude() < np.radians(8)
    assert np.linalg.norm(fitter.keypoints(fitted.unknowns) - points, axis=1).mean() < 0.012
    again = fitter.fit(hand, before=fitted)
    assert np.linalg.norm(again.wrist.position - fitted.wrist.position) < 0.01


def test_mirrors_undo_themselves() -> None:
    class Still:
        def __len__(self) -> int:
            return 1

        def rgb(self, i: int) -> np.ndarray:
            return np.arange(60, dtype=np.uint8).reshape(4, 5, 3)

        def depth(self, i: int) -> None:
            return None

    pose = HandPose("left", np.arange(45.0) / 50, np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.0, 0.5]), np.ones((21, 2)))
    clip = Clip("k", "d", "t", Still(), 15.0, Intrinsics(5, 4, 9.0, 9.0, 1.5, 2.0), Annotation(2, {0: touching()}, {0: (pose,
                                                                                                                        )}))
    once, twice = mirrored_clip(clip), mirrored_clip(mirrored_clip(clip))
    assert once.annotation.hands[0][0].side == "right" and once.annotation.detections[0].hands[0].side == "left"
    assert once.intrinsics is not None and once.intrinsics.cx == 2.5
    assert (once.frames.rgb(0) == clip.frames.rgb(0)[:, ::-1]).all() and (twice.frames.rgb(0) == clip.frames.rgb(0)).all()
    assert np.allclose(twice.annotation.hands[0][0].wrist,
                       pose.wrist) and twice.annotation.detections == clip.annotation.detections
    hand = TrackedHand("left", 0.9, np.random.default_rng(0).uniform(0, 99, (21, 2)), np.ones((21, 3)))
    assert np.allclose(mirrored_hand(mirrored_hand(hand, 100), 100).pixels, hand.pixels)


def test_scaled_intrinsics_see_the_same() -> None:
    half = scaled(LENS, 160, 120)
    point = np.array([0.1, -0.05, 0.7])
    assert (LENS.project(point) + 0.5) / 2 - 0.5 == pytest.approx(half.project(point))
