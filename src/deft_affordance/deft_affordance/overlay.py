"""A prediction drawn over the picture, for a person: where it would touch, and how it would hold the hand."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deft_affordance.predictor import Contact, ObjectView, Prediction
from deft_core.types import Array

SIDE = 320            # pixels, the longer side of the picture
AXIS = 0.05           # m, length of the wrist's axes
HEAT_SHARE = 0.55     # of the heatmap's colour where it is hottest
# fingers' direction, back of the hand, thumb's side (MANO's -x, y, z), rgb
AXES = ((np.array([-1.0, 0.0, 0.0]), (255, 80, 80)), (np.array([0.0, 1.0, 0.0]), (80, 220, 80)),
        (np.array([0.0, 0.0, 1.0]), (90, 130, 255)))


def overlay(view: ObjectView, prediction: Prediction, contact: Contact) -> NDArray[np.uint8]:
    """(h, w, 3) rgb: the enlarged crop with heatmap, contact pixels (yellow) and the wrist's axes from the mean contact on:
    red to the fingertips, green out of the back of the hand, blue to the thumb."""
    scale = SIDE / max(view.crop.shape[:2])
    size = (max(round(view.crop.shape[1] * scale), 1), max(round(view.crop.shape[0] * scale), 1))
    picture = np.asarray(cv2.resize(view.crop, size, interpolation=cv2.INTER_LINEAR))
    if prediction.heatmap is not None:
        hot = cv2.resize(prediction.heatmap / max(prediction.heatmap.max(), 1e-12), size, interpolation=cv2.INTER_LINEAR)
        colour = cv2.applyColorMap((255 * hot).astype(np.uint8), cv2.COLORMAP_HOT)[:, :, ::-1]
        share = (HEAT_SHARE * np.sqrt(hot))[..., None]
        picture = ((1 - share) * picture + share * colour).astype(np.uint8)

    def at(pixel: Array) -> tuple[int, int]:
        x, y = (np.asarray(pixel) - view.corner + 0.5) * scale
        return round(float(np.clip(x, -SIDE, 2 * SIDE))), round(float(np.clip(y, -SIDE, 2 * SIDE)))

    for pixel in prediction.pixels:
        cv2.circle(picture, at(pixel), 3, (255, 230, 0), -1, cv2.LINE_AA)
    to_camera = view.camera.inverse()
    start = at(view.intrinsics.project(to_camera.apply(contact.mean)))
    for axis, colour_of_axis in AXES:
        end = contact.mean + AXIS * prediction.wrist_in_base.apply(axis)
        cv2.arrowedLine(picture, start, at(view.intrinsics.project(to_camera.apply(end))), colour_of_axis, 2, cv2.LINE_AA,
                        tipLength=0.2)
    return np.asarray(picture, np.uint8)
