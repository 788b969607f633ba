"""Tracked keypoints to a MANO pose: 45 angles, wrist rotation and position in the camera frame, by least squares.

Unknowns are what a hand can do: spread and bend of each finger joint within its range, the thumb's five angles, the wrist's
pose and the hand's size. They are fitted to the keypoints' pixels through the camera, to what depth shows of the skin (or,
without depth, to the landmarker's 3-D shape, turned into the direction it is seen in), and to how hands usually are where
nothing is seen. The paper leaves this step to FrankMocap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares
from scipy.spatial.transform import Rotation

from deft_core.projection import turn_to
from deft_core.types import Array, Intrinsics, Pose
from deft_human_video.hand_mesh import mean_hand, pads
from deft_human_video.labels.surface import Match, Sight, Skin
from deft_human_video.labels.tracking import TrackedHand
from deft_retarget.motions import poses_of
from deft_retarget.skeleton import FINGERS, OPENPOSE_21, HandSkeleton, rotation_matrices

# One row an angle: joint (0..14 in MANO's order), axis (1 spread, 2 bend), least, usual, most, and how much hands differ: rad
_FINGER = ((0, 1, -0.40, 0.0, 0.40, 0.15), (0, 2, -0.45, 0.55, 1.60, 0.55), (1, 2, -0.10, 0.65, 1.90, 0.55),
           (2, 2, -0.10, 0.40, 1.30, 0.40))
_THUMB = ((12, 0, -0.60, 0.0, 0.60, 0.12), (12, 1, -0.20, 1.00, 1.40, 0.30), (12, 2, -0.40, 0.30, 1.00, 0.30),
          (13, 2, -0.30, 0.25, 1.00, 0.35), (14, 2, -0.30, 0.30, 1.30, 0.40))
ANGLES = np.array([(3 * f + joint, *rest) for f in range(4) for joint, *rest in _FINGER] + [*_THUMB])
JOINT, AXIS = ANGLES[:, 0].astype(int), ANGLES[:, 1].astype(int)
LEAST, USUAL, MOST, RANGE = ANGLES[:, 2:].T
N = len(ANGLES)
FINGER_BENDS = np.array([[4 * f + k for k in (1, 2, 3)] for f in range(4)])
TOGETHER = 0.20  # rad, by which a finger's bends differ from the four fingers' mean
ROTATION, POSITION, SIZE = slice(N, N + 3), slice(N + 3, N + 6), N + 6

PIXEL_ERROR = 0.04      # of the hand's extent in the picture, standard deviation of a keypoint
SHAPE_ERROR = 0.015     # m, of the landmarker's 3-D keypoints
WRIST_ERROR = 3.0       # times that of the others: the landmarker puts the wrist somewhere in the heel of the hand
SIZE_ERROR = 0.05       # of the logarithm of a hand's size
DEPTH_ERROR = 0.004     # m, of a point on the skin
HIDDEN_ERROR = 0.006    # m, by which a keypoint may stand before what the camera sees there
OUTSIDE_ERROR = 3.0     # pixels, by which a keypoint may lie outside the hand
FARTHEST = 25.0         # pixels, beyond which being further outside counts no more
BESIDE = 0.25           # weight of a point's offset along the skin beside that across it
CHECKED_WEIGHT = 0.5    # of one of the vertices that are checked
SEEN_WEIGHT = 0.45      # of one of the many points on the skin, which are not independent
KNUCKLES = (5, 9, 13, 17)  # OPENPOSE_21 rows that are seldom hidden
PALM = (0, *KNUCKLES)
ROLLS = np.radians([0.0, 60.0, -60.0, 120.0, -120.0, 180.0])  # about the fingers' direction: what a flat picture leaves open
COARSE, FINE = 3, 6      # rounds of matching the skin, from every start and then from the best ones
EVALUATIONS = 3         # of the residuals in a round
SETTLED = 2e-3          # change of every unknown that ends the rounds
KEPT = 2
LATE_TRUST = 0.05       # weight of keypoints once the skin guides: what is hidden the landmarker only guesses
STEP = 1e-5
OUTLIER = 2.5           # standard deviations from which on a residual counts less


@dataclass(frozen=True)
class FittedHand:
    """A right hand (or a left one's mirror image) in one frame.

    Attributes:
        mano_pose: (45,) rad, relative to the flat hand.
        wrist: MANO's wrist frame in the optical frame.
        size: times the skeleton's.
        error: root mean square distance of the keypoints from where they were tracked, as a share of the hand's extent.
        cost: of the fit, to compare fits to the same sight by.
        keypoints: (21, 3) m, optical frame, in the order of OPENPOSE_21.
        pads: of each finger, in the order of FINGERS, the skin (n, 3) that touches things: of its outer half, palm side; m,
            optical frame.
        unknowns: what the search found, to begin the next frame's with.
    """

    mano_pose: Array
    wrist: Pose
    size: float
    error: float
    cost: float
    keypoints: Array
    pads: list[Array]
    unknowns: Array


class HandFitter:
    """Fits one skeleton to tracked right hands."""

    def __init__(self, skeleton: HandSkeleton, intrinsics: Intrinsics) -> None:
        self.skeleton, self.intrinsics = skeleton, intrinsics
        self.mesh = mean_hand(skeleton)
        self.skin = Skin(self.mesh)
        self._pads = [pads(self.mesh, finger) for finger in FINGERS]
        self._rest = skeleton.keypoints(np.zeros(45))[OPENPOSE_21]

    def fit(self, hand: TrackedHand, sight: Sight | None = None, before: FittedHand | None = None,
            trust: float = 1.0) -> FittedHand:
        """The hand that fits best.

        Without depth the landmarker's idea of how the hand is turned is taken for true. With depth it is one of several
        starts: a hand seen edge-on or from behind is often taken for its mirror image.

        Args:
            sight: what depth shows of the hand.
            before: of the frame before; the search begins there, and the person's size is kept.
            trust: weight of the keypoints' pixels, less than 1 where the landmarker took the hand for the other one.
        """
        if before is not None:
            problem = _Problem(self, hand, sight, float(np.log(before.size)), trust)
            return self._answer(_solved(problem, before.unknowns, FINE), hand)
        problem = _Problem(self, hand, sight, None, trust)
        starts = [self._start(hand, sight, roll) for roll in (ROLLS if sight is not None else ROLLS[:1])]
        coarse = sorted((_solved(problem, start, COARSE) for start in starts), key=lambda found: float(found.cost))
        if sight is not None:
            problem = _Problem(self, hand, sight, None, trust * LATE_TRUST)
        fine = min((_solved(problem, found.x, FINE) for found in coarse[:KEPT]), key=lambda found: float(found.cost))
        return self._answer(fine, hand)

    def keypoints(self, unknowns: Array) -> Array:
        """(..., 21, 3) m, optical frame, in the order of OPENPOSE_21."""
        return placed(self.skeleton.keypoints(self.poses(unknowns))[..., OPENPOSE_21, :], unknowns)

    def poses(self, unknowns: Array) -> Array:
        """MANO poses (..., 45), rad."""
        angles = np.zeros((*unknowns.shape[:-1], 15, 3))
        angles[..., JOINT, AXIS] = unknowns[..., :N]
        return poses_of(self.skeleton, angles)

    def bones(self, unknowns: Array) -> Array:
        """(..., 16, 3, 4) from the flat hand to the optical frame, m."""
        turn = np.exp(unknowns[..., SIZE, None, None]) * rotation_matrices(unknowns[..., ROTATION])
        out = turn[..., None, :, :] @ self.mesh.bone_transforms(self.poses(unknowns))
        out[..., 3] += unknowns[..., None, POSITION]
        return np.asarray(out)

    def _start(self, hand: TrackedHand, sight: Sight | None, roll: float) -> Array:
        """From the landmarker's palm: its rotation by aligning the palm's joints, its distance by depth or by its extent."""
        seen = _towards(hand, self.intrinsics)
        turn = Rotation.align_vectors(seen[list(KNUCKLES)] - seen[0], self._rest[list(KNUCKLES)] - self._rest[0])[0]
        turn = turn * Rotation.from_rotvec([roll, 0.0, 0.0])
        if sight is not None:
            distance = float(np.median(sight.points[:, 2])) + 0.01
        else:
            flat = seen - seen.mean(axis=0)
            extent = np.linalg.norm(hand.pixels - hand.pixels.mean(axis=0), axis=1).mean()
            distance = self.intrinsics.fx * float(np.linalg.norm(flat[:, :2], axis=1).mean() / max(float(extent), 1.0))
        middle = self.intrinsics.deproject(hand.pixels[list(PALM)].mean(axis=0), np.asarray(distance))
        palm = turn.apply(self._rest[list(PALM)]).mean(axis=0)
        return np.concatenate([USUAL, turn.as_rotvec(), middle - palm, [0.0]])

    def _answer(self, found: OptimizeResult, hand: TrackedHand) -> FittedHand:
        unknowns = found.x
        keypoints, bones = self.keypoints(unknowns), self.bones(unknowns)
        pixels = self.intrinsics.project(keypoints)
        miss = float(np.sqrt(np.nanmean(np.sum((pixels - hand.pixels) ** 2, axis=-1)))) / _extent(hand)
        wrist = Pose(unknowns[POSITION].copy(), Rotation.from_rotvec(unknowns[ROTATION]))
        return FittedHand(self.poses(unknowns), wrist, float(np.exp(unknowns[SIZE])), miss, float(found.cost), keypoints,
                          [self.skin.at(bones, rows) for rows in self._pads], unknowns)


def placed(points: Array, unknowns: Array) -> Array:
    """Points (..., n, 3) of the wrist frame in the optical frame, m, for a hand of the size and place of the unknowns."""
    turned = points @ np.swapaxes(rotation_matrices(unknowns[..., ROTATION]), -1, -2)
    return np.asarray(np.exp(unknowns[..., SIZE, None, None]) * turned + unknowns[..., None, POSITION])


class _Problem:
    """Residuals in standard deviations. With a sight, call rematch() first: the skin's matches stay until the next call."""

    def __init__(self, fitter: HandFitter, hand: TrackedHand, sight: Sight | None, log_size: float | None,
                 trust: float) -> None:
        self._fitter, self._intrinsics, self._sight = fitter, fitter.intrinsics, sight
        self._pixels, self._extent = hand.pixels, _extent(hand)
        self._seen = _towards(hand, self._intrinsics)
        self._log_size = log_size
        self._weight = np.full((21, 1), trust)
        self._weight[0] /= WRIST_ERROR
        self._match: Match | None = None

    @property
    def has_skin(self) -> bool:
        """Whether depth shows the skin, which has to be matched anew as the hand moves."""
        return self._sight is not None

    def residuals(self, unknowns: Array) -> Array:
        """(n,) of unknowns (N + 7,)."""
        return self._values(unknowns[None])[0]

    def jacobian(self, unknowns: Array) -> Array:
        """(n, N + 7) by forward differences, all columns at once."""
        values = self._values(unknowns + np.concatenate([np.zeros((1, len(unknowns))), STEP * np.eye(len(unknowns))]))
        return np.asarray((values[1:] - values[0]).T / STEP)

    def rematch(self, unknowns: Array) -> None:
        """Find the skin's matches anew."""
        if self._sight is not None:
            self._match = self._fitter.skin.matched(self._fitter.bones(unknowns), self._sight)

    def _values(self, unknowns: Array) -> Array:
        """(c, n) of unknowns (c, N + 7)."""
        many = len(unknowns)
        points = self._fitter.keypoints(unknowns)
        in_picture = self._weight * (self._projected(points) - self._pixels) / (PIXEL_ERROR * self._extent)
        usual = (unknowns[:, :N] - USUAL) / RANGE
        known, error = (0.0, SIZE_ERROR) if self._log_size is None else (self._log_size, 0.005)
        bends = unknowns[:, FINGER_BENDS]  # (c, 4, 3)
        together = (bends - bends.mean(axis=1, keepdims=True)) / TOGETHER
        parts = [in_picture.reshape(many, -1), usual, together.reshape(many, -1), (unknowns[:, SIZE, None] - known) / error]
        if self._sight is None:
            shape = points - points[:, list(PALM)].mean(axis=1, keepdims=True)
            seen = self._seen - self._seen[list(PALM)].mean(axis=0)
            in_space = self._weight * (shape / np.exp(unknowns[:, SIZE, None, None]) - seen) / SHAPE_ERROR
            parts.append(in_space.reshape(many, -1))
        else:
            parts += self._of_skin(self._fitter.bones(unknowns), self._sight)
        return np.concatenate(parts, axis=1)

    def _of_skin(self, bones: Array, sight: Sight) -> list[Array]:
        assert self._match is not None
        offset = self._fitter.skin.at(bones, self._match.vertices) - self._match.points
        across = (offset * self._match.normals).sum(axis=-1)
        checked = self._fitter.skin.at(bones, self._fitter.skin.checked)
        pixels = self._projected(checked)
        outside = np.minimum(_sampled(sight.outside, pixels), FARTHEST)
        before = np.clip(_sampled(sight.depth, np.round(pixels)) - checked[..., 2], 0.0, 0.05)
        return [SEEN_WEIGHT * across / DEPTH_ERROR, (BESIDE * SEEN_WEIGHT / DEPTH_ERROR * offset).reshape(len(bones), -1),
                CHECKED_WEIGHT * outside / OUTSIDE_ERROR, CHECKED_WEIGHT * before / HIDDEN_ERROR]

    def _projected(self, points: Array) -> Array:
        focal = [self._intrinsics.fx, self._intrinsics.fy]
        centre = [self._intrinsics.cx, self._intrinsics.cy]
        return np.asarray(points[..., :2] / np.maximum(points[..., 2:], 0.05) * focal + centre)


def _sampled(image: NDArray[np.float32], pixels: Array) -> Array:
    """Values (...) of an image (h, w) at pixels (..., 2), bilinear; the border's beyond it."""
    height, width = image.shape
    u, v = np.clip(pixels[..., 0], 0, width - 1.001), np.clip(pixels[..., 1], 0, height - 1.001)
    column, row = u.astype(int), v.astype(int)
    a, b = u - column, v - row
    return np.asarray((1 - b) * ((1 - a) * image[row, column] + a * image[row, column + 1])
                      + b * ((1 - a) * image[row + 1, column] + a * image[row + 1, column + 1]))


def _solved(problem: _Problem, start: Array, rounds: int) -> OptimizeResult:
    """Least squares within a hand's range, the skin matched anew in every round."""
    low = np.concatenate([LEAST, np.full(7, -np.inf)])
    high = np.concatenate([MOST, np.full(7, np.inf)])
    found = None
    for _ in range(rounds):
        start = np.clip(start if found is None else found.x, low + 1e-6, high - 1e-6)
        problem.rematch(start)
        found = least_squares(problem.residuals, start, jac=problem.jacobian, bounds=(low, high), loss="soft_l1",
                              f_scale=OUTLIER, max_nfev=EVALUATIONS if problem.has_skin else rounds * EVALUATIONS, xtol=1e-4,
                              ftol=1e-4)
        if not problem.has_skin or np.abs(found.x - start).max() < SETTLED:
            break
    return found


def _extent(hand: TrackedHand) -> float:
    """Diagonal of the hand in the picture, pixels."""
    return max(float(np.linalg.norm(np.ptp(hand.pixels, axis=0))), 1.0)


def _towards(hand: TrackedHand, intrinsics: Intrinsics) -> Array:
    """The landmarker's shape (21, 3), m, in the axes of the optical frame: it is given as if the hand were straight ahead."""
    return np.asarray(turn_to(hand.pixels.mean(axis=0), intrinsics).apply(hand.shape))
