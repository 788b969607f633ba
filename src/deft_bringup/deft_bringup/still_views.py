"""Synthetic scenes as the robot's perception would hand them to a prior: for benchmarks, pictures and tests."""

from __future__ import annotations

from deft_affordance.learned import SHOULDER
from deft_affordance.predictor import ObjectView
from deft_core.types import Pose
from deft_human_video.synthetic import grips
from deft_human_video.synthetic.stills import Still


def view_of(view: Still, text: str) -> ObjectView:
    """A scene's thing with its exact mask; the robot's base stands where its arm comes from as the person's does."""
    left, top, right, bottom = view.box
    base = grips.SHOULDER - SHOULDER
    camera = Pose(view.scene.camera.position - base, view.scene.camera.rotation)
    return ObjectView(view.rgb[top:bottom, left:right], (left, top, right - left, bottom - top), view.mask,
                      view.scene.intrinsics, camera, text)
