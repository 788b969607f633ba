"""One clip to one label: the steps in their order. Paper section 1.5 (data); every step can go by a file of results instead."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from deft_core.types import Array, Intrinsics
from deft_human_video.clip import Clip, Detections, HandBox, HandPose, ObjectBox, guessed_intrinsics
from deft_human_video.errors import Rejected
from deft_human_video.labels import contact_points, objects
from deft_human_video.labels.contact_frame import HAND_SCORE, HandMotion, changed, detected_contact
from deft_human_video.labels.fitting import FittedHand, HandFitter
from deft_human_video.labels.label import GraspLabel, hand_drawn, lens_of
from deft_human_video.labels.registration import Registered, Registration, cloud, foreground
from deft_human_video.labels.settings import ContactSource, HandSource, LabelSettings, ObjectSource
from deft_human_video.labels.surface import Sight, sight_of
from deft_human_video.labels.tracking import HandTracker, TrackedHand, mirrored_hand
from deft_human_video.mirror import OTHER, mirrored_clip, mirrored_frame, mirrored_hand_box, mirrored_object_box
from deft_human_video.video import grey_of
from deft_retarget.skeleton import OPENPOSE_21, HandSkeleton, Side

STEP_CLIP, STEP_HAND, STEP_FIRST = "clip", "hand", "first frame"
BEFORE, AFTER = 4, 3       # frames round the contact in which hands are looked for
FEW_POINTS = 30            # of depth on a hand, fewer are none
TIPS = (4, 8, 12, 16, 20)  # OPENPOSE_21 rows of the fingertips
ARM_SHARE = 0.62           # of the picture's width beyond which an arm that comes in there is the right one
ARM_VOTE = 2.0             # frames' worth of the landmarker's word
DOUBTED = 0.2              # weight of keypoints that the landmarker took for the other hand's
Tracked = Mapping[int, list[TrackedHand]]  # by frame
ROUND_HAND = 0.35          # of the hand's extent, how far round its keypoints it may reach


@dataclass(frozen=True)
class Contact:
    """The moment of contact, as far as a step found it."""

    frame: int
    registered: Registered
    source: str
    hand_box: HandBox | None = None
    object_box: ObjectBox | None = None


@dataclass(frozen=True)
class Grasp:
    """What the steps found of a clip's grasp, all of it as of a right hand.

    Attributes:
        clip, intrinsics: in the mirror where `mirrored`.
        thing: (h, w) the object in the first frame.
        pixels: (21, 2) of the hand's keypoints in the contact frame, or None.
        cost: of the hand's fit to depth, 0 without depth.
    """

    clip: Clip
    intrinsics: Intrinsics
    mirrored: bool
    first: int
    contact: Contact
    thing: objects.Mask
    fitted: FittedHand | None
    pixels: Array | None
    pose: HandPose | None
    cost: float


def sight(clip: Clip, frame: int, seen: NDArray[np.bool_], registered: Registered, hand: TrackedHand, thing: objects.Mask,
          intrinsics: Intrinsics) -> Sight:
    """What depth shows of a tracked hand.

    Args:
        seen: (h, w) what stands before the first frame's scene in this frame.

    Raises:
        Rejected: it shows nothing of the hand.
    """
    depth = clip.frames.depth(frame)
    assert depth is not None
    there = cv2.warpPerspective(thing.astype(np.uint8), registered.homography, seen.shape[::-1]) > 0
    found = sight_of(seen & _round(hand, seen.shape, ROUND_HAND), seen | objects.grown(there, 2), depth, intrinsics)
    if len(found.points) < FEW_POINTS:
        raise Rejected(STEP_HAND, "depth shows no hand where one is tracked")
    return found


def seen_in(clip: Clip, frame: int, first: int, registered: Registered, intrinsics: Intrinsics) -> NDArray[np.bool_] | None:
    """(h, w): what stands before the first frame's scene in a frame; None without depth."""
    depth, now = clip.frames.depth(first), clip.frames.depth(frame)
    if depth is None or now is None or registered.camera is None:
        return None
    return foreground(now, depth, registered, intrinsics)


class Extractor:
    """Makes labels. One to a process: MediaPipe and the skeleton are loaded once."""

    def __init__(self, settings: LabelSettings, skeleton: HandSkeleton, tracker: HandTracker | None = None) -> None:
        self._settings, self._skeleton = settings, skeleton
        self._tracker = tracker if tracker is not None or settings.hand is not HandSource.mediapipe else HandTracker()

    def label(self, clip: Clip) -> GraspLabel:
        """The clip's label.

        Raises:
            Rejected: a step finds nothing to go by; it says which and why.
            ClipError: a file of the clip is damaged.
        """
        grasp = self.grasp(clip)
        (contacts, (surface, behind)), fitted, pose = self._contacts(grasp), grasp.fitted, grasp.pose
        clip, first, contact = grasp.clip, grasp.first, grasp.contact
        frame = clip.frames.rgb(first)
        box = objects.crop_box(objects.box_of(grasp.thing), frame.shape[:2])
        corner = np.array(box[:2], float)
        return GraspLabel(
            clip.key, clip.dataset, clip.text, clip.thing, grasp.mirrored, first, contact.frame, box,
            np.ascontiguousarray(frame[box[1]:box[3], box[0]:box[2]]), lens_of(grasp.intrinsics),
            contacts.centre - corner, contacts.points - corner, contacts.weights, contacts.means - corner, contacts.deviations,
            surface, behind, None, None if pose is None else pose.wrist, None if pose is None else pose.position,
            None if pose is None else pose.mano_pose, None if fitted is None else fitted.size,
            None if fitted is None else fitted.error, self._sources(grasp),
            hand_drawn(clip.frames.rgb(contact.frame), grasp.pixels))

    def grasp(self, clip: Clip, object_needed: bool = True) -> Grasp:
        """The moment of contact, of a right hand. Raises as label().

        Args:
            object_needed: False leaves the object's mask empty where it cannot be found.
        """
        length = len(clip.frames)
        if not self._settings.shortest <= length <= self._settings.longest:
            raise Rejected(STEP_CLIP, f"shorter than {self._settings.shortest} or longer than {self._settings.longest} frames")
        intrinsics = clip.intrinsics or guessed_intrinsics(clip.frames.rgb(0))
        first = self._first_frame(clip)
        contact = self._contact(clip, first, intrinsics)
        side, tracked = self._hands(clip, contact, first, intrinsics)
        found = self._of_side(clip, first, contact, tracked, intrinsics, side, object_needed)
        if found.cost > self._settings.most_cost:  # the landmarker may have taken the hand for the other one
            with contextlib.suppress(Rejected):
                other = self._of_side(clip, first, contact, tracked, intrinsics, OTHER[side], object_needed)
                found = min(found, other, key=lambda grasp: grasp.cost)
        if found.cost > self._settings.most_cost:
            raise Rejected(STEP_HAND, "no hand fits well to what depth shows")
        return found

    def _of_side(self, clip: Clip, first: int, contact: Contact, tracked: Tracked, intrinsics: Intrinsics, side: Side,
                 object_needed: bool) -> Grasp:
        """The grasp if the hand is of this side."""
        if side == "left":
            clip, tracked = mirrored_clip(clip), {i: [mirrored_hand(h, intrinsics.width) for h in hands]
                                                  for i, hands in tracked.items()}
            intrinsics = clip.intrinsics or intrinsics
            contact = _mirrored_contact(contact, intrinsics)
        seen = seen_in(clip, contact.frame, first, contact.registered, intrinsics)
        hand = self._chosen(tracked, contact, seen)
        try:
            thing = self._object(clip, first, contact, hand, seen, intrinsics)
        except Rejected:
            if object_needed:
                raise
            thing = np.zeros(clip.frames.rgb(first).shape[:2], bool)
        fitted, pixels, pose = self._hand_pose(clip, contact, hand, seen, thing, intrinsics)
        return Grasp(clip, intrinsics, side == "left", first, contact, thing, fitted, pixels, pose,
                     fitted.cost if fitted is not None and seen is not None else 0.0)

    # The steps

    def _first_frame(self, clip: Clip) -> int:
        """The first frame in which no hand is seen."""
        for i in range(0, len(clip.frames) // 2, 2):
            if not self._hand_in(clip, i):
                return i
        raise Rejected(STEP_FIRST, "a hand is in every frame of the first half")

    def _hand_in(self, clip: Clip, i: int) -> bool:
        """A hand is in frame i, by a detector that looked at it, else by the tracker, else by the given poses."""
        found = clip.annotation.detections
        if i in found and _finds_hands(found):
            return any(hand.score >= HAND_SCORE for hand in found[i].hands)
        if self._tracker is None:
            return bool(clip.annotation.hands.get(i))
        with self._tracker.clip(clip.fps) as tracker:
            return bool(tracker.hands(clip.frames.rgb(i)))

    def _contact(self, clip: Clip, first: int, intrinsics: Intrinsics) -> Contact:
        """When the hand touches, and how the camera has moved until then."""
        annotation, source = clip.annotation, self._settings.contact_frame
        frame, hand, thing, by = None, None, None, ContactSource.motion
        if source is ContactSource.dataset or (source is ContactSource.auto and annotation.contact_frame is not None):
            if annotation.contact_frame is None:
                raise Rejected("contact frame", "the data set does not say when")
            frame, by = annotation.contact_frame, ContactSource.dataset
        elif source is ContactSource.detections or (source is ContactSource.auto and _finds_hands(annotation.detections)):
            by = ContactSource.detections
            frame, hand, thing = detected_contact(annotation.detections, len(clip.frames))
        if frame is not None and frame <= first:
            raise Rejected(STEP_FIRST, "no frame before the contact is free of hands")
        registration = Registration(clip.frames.rgb(first), clip.frames.depth(first), intrinsics)
        motion = HandMotion((intrinsics.height, intrinsics.width))
        grey = grey_of(clip.frames.rgb(first))
        history: list[Registered] = []
        for i in range(first + 1, len(clip.frames) if frame is None else frame + 1):
            history.append(registration.next(clip.frames.rgb(i)))
            if frame is None and motion.rests(_outline(clip, i, first, history[-1], grey, intrinsics), history[-1].homography):
                return Contact(i - 1, history[-2], by.value)
        if frame is None:
            raise Rejected("contact frame", "no hand comes to rest")
        return Contact(frame, history[-1], by.value, hand, thing)

    def _hands(self, clip: Clip, contact: Contact, first: int, intrinsics: Intrinsics) -> tuple[Side, Tracked]:
        """Which hand it is that touches, and the tracked hands round the contact, by frame."""
        if contact.hand_box is not None and self._tracker is None:
            return contact.hand_box.side, {}
        if self._tracker is None:
            poses = clip.annotation.hands.get(contact.frame, ())
            if not poses:
                raise Rejected(STEP_HAND, "no hand pose is given for the contact frame")
            return poses[0].side, {}
        tracked: dict[int, list[TrackedHand]] = {}
        with self._tracker.clip(clip.fps) as tracker:
            for i in range(max(contact.frame - BEFORE, 0), min(contact.frame + AFTER + 1, len(clip.frames))):
                tracked[i] = tracker.hands(clip.frames.rgb(i))
        hands = [hand for found in tracked.values() for hand in found]
        if not hands:
            raise Rejected(STEP_HAND, "no hand is tracked round the contact")
        if contact.hand_box is not None:
            return contact.hand_box.side, tracked
        vote = sum((1.0 if hand.side == "right" else -1.0) * (hand.score - 0.5) * 2 for hand in hands)
        return ("right" if vote + self._arm_vote(clip, contact, first, intrinsics) >= 0 else "left"), tracked

    def _arm_vote(self, clip: Clip, contact: Contact, first: int, intrinsics: Intrinsics) -> float:
        """Positive where the arm comes into the picture on the right: from the wearer's view that is the right one."""
        grey = grey_of(clip.frames.rgb(first))
        outline = _outline(clip, contact.frame, first, contact.registered, grey, intrinsics)
        low = outline.shape[0] // 3
        border = np.concatenate([np.flatnonzero(outline[-3]), np.full(int(outline[low:, -3].sum()), outline.shape[1] - 1),
                                 np.zeros(int(outline[low:, 2].sum()))])
        if len(border) < 10:
            return 0.0
        middle = border.mean() / outline.shape[1]
        return ARM_VOTE * float(np.clip((middle - 0.5) / (ARM_SHARE - 0.5), -1.0, 1.0))

    @staticmethod
    def _chosen(tracked: Tracked, contact: Contact, seen: NDArray[np.bool_] | None) -> TrackedHand | None:
        """The tracked hand that touches: of the frame nearest to the contact, the one that covers most of what is new."""
        for i in sorted(tracked, key=lambda i: abs(i - contact.frame)):
            if tracked[i]:
                return max(tracked[i], key=lambda hand: (hand.side == "right") + _covered(hand, seen))
        return None

    def _object(self, clip: Clip, first: int, contact: Contact, hand: TrackedHand | None, seen: NDArray[np.bool_] | None,
                intrinsics: Intrinsics) -> objects.Mask:
        source, depth = self._settings.object, clip.frames.depth(first)
        shape = clip.frames.rgb(first).shape[:2]
        detected = _objects_near(clip.annotation.detections, first, contact.frame)
        if source is ObjectSource.boxes or (source is ObjectSource.auto and detected):
            wanted = contact.registered.to_first(self._touching(clip, contact, hand))
            return objects.mask_of(objects.overlapped(detected, wanted, self._settings.object_score), shape)
        if depth is None or seen is None:
            raise Rejected(objects.STEP, "there is neither depth nor a detected box")
        assert contact.registered.camera is not None
        near = seen if hand is None else seen & _round(hand, seen.shape, ROUND_HAND)
        points = cloud(clip.frames.depth(contact.frame), near, intrinsics)  # type: ignore[arg-type]  # `seen` came of it
        if not len(points):
            raise Rejected(STEP_HAND, "depth shows no hand where one is tracked")
        things = objects.standing(clip.frames.rgb(first), depth, intrinsics)
        return objects.taken(things, depth, points, contact.registered.camera, intrinsics)

    @staticmethod
    def _touching(clip: Clip, contact: Contact, hand: TrackedHand | None) -> Array:
        """Pixels (n, 2) of the contact frame that lie on what is touched, or on the hand that touches it."""
        if contact.object_box is not None:
            return _centre(contact.object_box)
        if hand is not None:
            return hand.pixels
        for pose in clip.annotation.hands.get(contact.frame, ()):
            if pose.side == "right" and pose.pixels is not None:
                return pose.pixels
        raise Rejected(objects.STEP, "no hand is known that points to it")

    def _hand_pose(self, clip: Clip, contact: Contact, hand: TrackedHand | None, seen: NDArray[np.bool_] | None,
                   thing: objects.Mask, intrinsics: Intrinsics) -> tuple[FittedHand | None, Array | None, HandPose | None]:
        """The fitted hand, its keypoints' pixels (21, 2), and the pose."""
        if self._settings.hand is HandSource.dataset:
            pose = next((p for p in clip.annotation.hands.get(contact.frame, ()) if p.side == "right"), None)
            if pose is None:
                raise Rejected(STEP_HAND, "no hand pose is given for the contact frame")
            pixels = pose.pixels
            if pixels is None and pose.position is not None:
                points = self._skeleton.keypoints(pose.mano_pose, pose.wrist)[OPENPOSE_21] + pose.position
                pixels = intrinsics.project(points)
            return None, pixels, pose
        if hand is None:
            raise Rejected(STEP_HAND, "no hand is tracked round the contact")
        shown = None if seen is None else sight(clip, contact.frame, seen, contact.registered, hand, thing, intrinsics)
        fitted = HandFitter(self._skeleton, intrinsics).fit(hand, shown, trust=1.0 if hand.side == "right" else DOUBTED)
        if fitted.error > self._settings.most_fit_error and hand.side == "right":
            raise Rejected(STEP_HAND, "the fitted hand is far from the tracked one")
        pixels = intrinsics.project(fitted.keypoints)
        return fitted, pixels, HandPose("right", fitted.mano_pose, fitted.wrist.rotation.as_rotvec(), fitted.wrist.position,
                                        pixels)

    def _contacts(self, grasp: Grasp) -> tuple[contact_points.Contacts, tuple[float | None, float | None]]:
        """Contact points in the first frame, their mixture, and where depth shows the surface there and the hand behind it."""
        contact, to_first = grasp.contact, grasp.contact.registered.to_first
        if grasp.fitted is not None:
            fingers = [self._in_first(pad, grasp) for pad in grasp.fitted.pads]
        elif grasp.pixels is not None:
            fingers = [to_first(_segment(grasp.pixels[tip - 1], grasp.pixels[tip])) for tip in TIPS]
        elif contact.hand_box is not None and contact.object_box is not None:
            there = contact_points.skin_in_overlap(grasp.clip.frames.rgb(contact.frame), contact.hand_box.box,
                                                   contact.object_box.box)
            return contact_points.mixture(to_first(there), self._settings.components), (None, None)
        else:
            raise Rejected(contact_points.STEP, "neither the hand's keypoints nor boxes are known")
        points = contact_points.on_object(fingers, objects.grown(grasp.thing, contact_points.SLACK))
        depth = grasp.clip.frames.depth(grasp.first)
        known = depth is not None and points.shape[1] == 3
        behind = contact_points.behind_surface(points, depth, grasp.thing) if known else None  # type: ignore[arg-type]
        return contact_points.mixture(points[:, :2], self._settings.components), behind or (None, None)

    @staticmethod
    def _in_first(pad: Array, grasp: Grasp) -> Array:
        """Skin (n, 3), m, of the contact frame as pixels of the first frame and, with depth, m along its camera's axis."""
        pixels, camera = grasp.contact.registered.to_first(grasp.intrinsics.project(pad)), grasp.contact.registered.camera
        return pixels if camera is None else np.column_stack([pixels, camera.inverse().apply(pad)[:, 2]])

    def _sources(self, grasp: Grasp) -> dict[str, str]:
        """What the steps went by."""
        clip, boxes = grasp.clip, self._settings.object is not ObjectSource.depth and bool(
            _objects_near(grasp.clip.annotation.detections, grasp.first, grasp.contact.frame))
        return {"contact_frame": grasp.contact.source, "hand": self._settings.hand.value,
                "object": "boxes" if boxes else "depth",
                "depth": "no" if clip.frames.depth(grasp.first) is None else "yes",
                "intrinsics": "measured" if clip.intrinsics is not None else "guessed", "skeleton": self._skeleton.source}


def _outline(clip: Clip, i: int, first: int, registered: Registered, grey: NDArray[np.uint8],
             intrinsics: Intrinsics) -> NDArray[np.bool_]:
    """(h, w): what is new in frame i against the first one, by depth where there is any."""
    seen = seen_in(clip, i, first, registered, intrinsics)
    return changed(grey_of(clip.frames.rgb(i)), grey, registered.homography) if seen is None else seen


def _round(hand: TrackedHand, shape: tuple[int, ...], share: float) -> NDArray[np.bool_]:
    """(h, w): within a share of the hand's extent of its keypoints' hull."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(hand.pixels).astype(np.int32)), 1)
    return objects.grown(mask > 0, max(int(share * np.linalg.norm(np.ptp(hand.pixels, axis=0)) / 2), 1))


def _covered(hand: TrackedHand, seen: NDArray[np.bool_] | None) -> float:
    """The share of the keypoints that lie on what is new; 0 where that is not known."""
    if seen is None:
        return 0.0
    column, row = np.round(hand.pixels).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < seen.shape[1]) & (row < seen.shape[0])
    return float(seen[row[inside], column[inside]].sum() / 21)


def _finds_hands(detections: Mapping[int, Detections]) -> bool:
    """These come from a detector of hands, not of objects alone."""
    return any(found.hands for found in detections.values())


def _objects_near(detections: Mapping[int, Detections], first: int, contact: int) -> tuple[ObjectBox, ...]:
    """The objects of the frame before the contact that is nearest to the first one and has any."""
    frames = [i for i, found in detections.items() if found.objects and i < contact]
    return detections[min(frames, key=lambda i: abs(i - first))].objects if frames else ()


def _centre(found: ObjectBox) -> Array:
    return np.array([[(found.box[0] + found.box[2]) / 2, (found.box[1] + found.box[3]) / 2]])


def _segment(a: Array, b: Array) -> Array:
    """(6, 2): points from a to b."""
    share = np.linspace(0.3, 1.0, 6)[:, None]
    return np.asarray((1 - share) * a + share * b)


def _mirrored_contact(contact: Contact, intrinsics: Intrinsics) -> Contact:
    width, registered = intrinsics.width, contact.registered
    flip = np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    camera = None if registered.camera is None else mirrored_frame(registered.camera)
    return replace(contact, registered=Registered(flip @ registered.homography @ flip, camera),
                   hand_box=None if contact.hand_box is None else mirrored_hand_box(contact.hand_box, width),
                   object_box=None if contact.object_box is None else mirrored_object_box(contact.object_box, width))
