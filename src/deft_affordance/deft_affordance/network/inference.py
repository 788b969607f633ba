"""One crop's answer: several looks at it, put together, with calibrated standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_affordance.network.net import AffordanceNet, Answer
from deft_affordance.network.picture import Square, whole
from deft_affordance.network.weights import Calibration
from deft_core.neural import import_torch
from deft_core.types import Array, Intrinsics

if TYPE_CHECKING:
    import torch
else:
    torch = import_torch()

# Zoom and roll (rad) of each look; the first is the plain one, whose heatmap is reported
LOOKS = ((1.0, 0.0), (1.2, 0.0), (1.1, 0.12), (1.1, -0.12))


@dataclass(frozen=True)
class Estimate:
    """What the network believes of one crop.

    Attributes:
        heat: (h, w) of the crop's pixels, sums to 1.
        contact: (2,) pixels of the crop.
        wrist: MANO's wrist frame in the camera's optical frame.
        hand: (45,) rad, relative to the flat hand.
        behind: pixels at the surface's depth, how far behind the seen surface the hand touches.
        contact_deviation: pixels, standard deviation of the contact along each axis.
        wrist_deviation: rad, standard deviation of the wrist's rotation about each axis.
    """

    heat: Array
    contact: Array
    wrist: Rotation
    hand: Array
    behind: float
    contact_deviation: float
    wrist_deviation: float


@dataclass(frozen=True)
class Looks:
    """The network's answers to all looks at one crop, before calibration.

    Attributes:
        contacts: (n, 2) pixels of the crop.
        wrists: n rotations, MANO's wrist frame in the camera's optical frame.
        hands: (n, 45) rad.
        behind: pixels at the surface's depth.
        deviations: (2,) of contact (half squares) and wrist (rad): what the network says and how far the looks differ.
    """

    squares: tuple[Square, ...]
    heat: Array
    contacts: Array
    wrists: Rotation
    hands: Array
    behind: float
    deviations: Array

    @property
    def contact(self) -> Array:
        """(2,) pixels of the crop."""
        return np.asarray(self.contacts.mean(axis=0))


def look(net: AffordanceNet, crop: NDArray[np.uint8], corner: Array, intrinsics: Intrinsics, text: Array,
         body: Array | None = None) -> Looks:
    """Asks the network about a crop.

    Args:
        crop: (h, w, 3) RGB.
        corner: (2,) pixels of the whole picture where the crop begins.
        intrinsics: of the whole picture.
        text: (t,) of the text encoder.
        body: (3,) unit vector in the optical frame, from the object to where the arm comes from; None: not known.
    """
    plain = whole(crop, net.settings.picture)
    squares = tuple(Square(plain.centre, plain.side * zoom, plain.size, roll) for zoom, roll in LOOKS)
    views = Rotation.concatenate([square.view(corner, intrinsics) for square in squares])
    bodies = np.zeros((len(squares), 3)) if body is None else views.inv().apply(body)
    answer = ask(net, np.stack([square.cut(crop) for square in squares]), text, bodies)
    wrists = views * Rotation.from_matrix(answer.turn.double().numpy())
    places = answer.contact.double().numpy()
    contacts = np.stack([square.to_crop(place) for square, place in zip(squares, places, strict=True)])
    between = np.array([contacts.std(axis=0).mean() / (plain.side / 2),
                        np.sqrt(((wrists.mean().inv() * wrists).magnitude() ** 2).mean() / 3)])
    said = np.exp(answer.spread.double().numpy()).mean(axis=0)
    behind = answer.behind.double().numpy() * [square.side / 2 for square in squares]
    return Looks(squares, answer.heat[0].double().exp().numpy(), contacts, wrists, answer.hand.double().numpy(),
                 float(behind.mean()), np.hypot(said, between))


def ask(net: AffordanceNet, pictures: NDArray[np.uint8], text: Array, bodies: Array) -> Answer:
    """The network's answers to pictures (b, s, s, 3) uint8 with one text (t,); bodies (b, 3) as in AffordanceNet.forward."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more gain little on a few small pictures, and lose much beside a simulator or a planner
    try:
        with torch.inference_mode():
            x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
            return net(x, torch.from_numpy(text).float().expand(len(x), -1), torch.from_numpy(bodies).float())
    finally:
        torch.set_num_threads(threads)


def estimate(net: AffordanceNet, calibration: Calibration, crop: NDArray[np.uint8], corner: Array, intrinsics: Intrinsics,
             text: Array, body: Array | None = None) -> Estimate:
    """See look(); put together and calibrated."""
    seen = look(net, crop, corner, intrinsics, text, body)
    contact, wrist = calibrated(seen.deviations, calibration)
    return Estimate(_over_crop(seen.heat, seen.squares[0], crop.shape[:2]), seen.contact, seen.wrists.mean(),
                    seen.hands.mean(axis=0), seen.behind, float(contact) * seen.squares[0].side / 2, float(wrist))


def calibrated(deviations: Array, calibration: Calibration) -> Array:
    """Standard deviations (..., 2) of half squares and rad, as they turned out on held-out objects."""
    (a, b), (c, d) = calibration.contact, calibration.wrist
    return np.asarray(np.exp(np.array([a, c]) + np.array([b, d]) * np.log(deviations)))


def _over_crop(heat: Array, square: Square, shape: tuple[int, int]) -> Array:
    """Probabilities (n, n) over a square as probabilities of the crop's pixels (h, w)."""
    n = heat.shape[0]
    # crop pixel -> square pixel -> cell of the heatmap, whose centres lie inside the square
    to_cell = np.vstack([square.matrix(), [0, 0, 1]])
    scale = n / square.size
    to_cell = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]]) @ to_cell
    spread = cv2.warpAffine(heat, to_cell[:2], shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                            borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(spread / max(float(spread.sum()), 1e-12))
