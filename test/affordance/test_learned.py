"""The shipped weights, as the robot uses them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from deft_affordance import codes
from deft_affordance.learned import SHOULDER, LearnedPredictor, drawn, to_arm
from deft_affordance.network.weights import SHIPPED, load
from deft_affordance.overlay import SIDE, overlay
from deft_affordance.predictor import ObjectView, Prediction, contact_in_space
from deft_affordance.priors import make_predictor
from deft_bringup.held_out import held_out
from deft_bringup.still_views import view_of
from deft_core.errors import ConfigError, DeftError
from deft_core.types import Intrinsics, Pose
from deft_human_video.synthetic.split import Split
from deft_human_video.synthetic.stills import Still, label_of, still

SEED = 77  # of things and backgrounds that no training saw
TEXTS = {"pour_cup": "pour out the cup", "pick_cup": "pick up the cup", "open_drawer": "open the drawer",
         "stir_spoon": "stir the pot with the spoon", "pick_fruit": "pick up the lemon"}


@pytest.fixture(scope="module")
def predictor() -> LearnedPredictor:
    return LearnedPredictor()


@pytest.fixture(scope="module")
def stills() -> list[Still]:
    """Test things of the first thirteen purposes."""
    return [still(number, SEED, held_out(), Split.test) for number in range(13)]


def test_weights_are_small_and_say_what_they_are():
    _, about = load()
    assert SHIPPED.stat().st_size <= 15e6
    assert {"labels", "rows", "validation", "config"} <= about.trained.keys()
    assert (Path(SHIPPED).parent / "MODEL_CARD.md").is_file()


def test_unseen_things_are_grasped_as_people_would(predictor, stills):
    """A low bar that dead or swapped weights do not pass; the figures are in docs/affordance.md."""
    angles, off = [], []
    for scene in stills:
        for purpose, taken in scene.scene.grips.items():
            label = label_of(scene, purpose, taken[0], "", "")
            view = view_of(scene, TEXTS.get(purpose, purpose.replace("_", " ")))
            found = predictor.predict(view, "", np.random.default_rng(0))
            wrist = scene.scene.camera.rotation * Rotation.from_rotvec(label.wrist)
            angles.append(np.degrees((wrist.inv() * found.wrist_in_base).magnitude()))
            off.append(np.linalg.norm(found.pixels.mean(axis=0) - label.box[:2] - label.contact) / max(label.crop.shape))
    assert np.median(angles) < 30 and np.median(off) < 0.15


def test_a_prediction_is_whole(predictor, stills):
    view = view_of(stills[0], "pour out the cup")
    found = predictor.predict(view, "", np.random.default_rng(0))
    assert found.pixels.shape == (16, 2) and found.mano_pose.shape == (45,)
    assert found.heatmap is not None and found.heatmap.shape == view.crop.shape[:2] and np.isclose(found.heatmap.sum(), 1.0)
    assert 0.0 <= found.confidence <= 1.0 and 0 < found.contact_deviation < 100 and 0 < found.wrist_deviation < 2
    again = predictor.predict(view, "side", np.random.default_rng(5))
    assert np.array_equal(found.pixels, again.pixels)
    assert np.allclose(found.wrist_in_base.as_quat(), again.wrist_in_base.as_quat())


def test_the_wrist_turns_with_the_camera(predictor, stills):
    """Walked round the shoulder with the thing before it, the camera sees and the network answers the same."""
    view = view_of(stills[0], "pour out the cup")
    turn = Rotation.from_euler("z", 1.0)
    eye = SHOULDER + turn.apply(view.camera.position - SHOULDER)
    moved = replace(view, camera=Pose(eye, turn * view.camera.rotation))
    here, there = (predictor.predict(v, "", np.random.default_rng(0)).wrist_in_base for v in (view, moved))
    assert np.allclose((turn * here).as_matrix(), there.as_matrix(), atol=1e-9)


def test_noise_in_place_of_a_thing_is_less_certain(predictor, stills):
    view = view_of(stills[0], "pour out the cup")
    noise = np.random.default_rng(0).integers(0, 255, view.crop.shape).astype(np.uint8)
    odd = predictor.predict(replace(view_of(stills[0], "pour out the cup"), crop=noise), "", np.random.default_rng(0))
    assert odd.confidence < predictor.predict(view, "", np.random.default_rng(0)).confidence


def test_refusals(predictor, stills):
    with pytest.raises(DeftError, match="task in words") as caught:
        predictor.predict(view_of(stills[0], "  "), "", np.random.default_rng(0))
    assert caught.value.code == codes.BAD_OBSERVATION
    with pytest.raises(DeftError, match="no object region"):
        replace(view_of(stills[0], "x"), mask=np.zeros_like(stills[0].mask))
    with pytest.raises(DeftError, match="its roi"):
        replace(view_of(stills[0], "x"), roi=(0, 0, 5, 5))
    with pytest.raises(ConfigError, match="no affordance weights"):
        make_predictor("learned", "/nowhere/weights.safetensors")
    with pytest.raises(ConfigError, match="did you mean 'learned'"):
        make_predictor("lerned")


def test_the_arm_comes_from_a_shoulder_at_the_robots_base():
    eye = np.array([0.05, 0.40, 0.55])
    camera = Pose.from_xyz_rpy(tuple(eye), (-2.2584, 0.0, -2.3097))
    lens, thing = Intrinsics(640, 480, 465.0, 465.0, 319.5, 239.5), np.array([0.50, -0.05, 0.0])
    u, v = lens.project(camera.inverse().apply(thing)).round().astype(int)
    mask = np.zeros((480, 640), bool)
    mask[v - 5:v + 5, u - 5:u + 5] = True
    view = ObjectView(np.zeros((10, 10, 3), np.uint8), (u - 5, v - 5, 10, 10), mask, lens, camera, "x")
    wanted = SHOULDER - thing
    assert np.allclose(camera.rotation.apply(to_arm(view)), wanted / np.linalg.norm(wanted), atol=0.02)


def test_drawn_pixels_stand_for_equal_shares():
    heat = np.zeros((10, 20))
    heat[2, 3], heat[7, 15] = 0.75, 0.25
    pixels = drawn(heat, 16)
    assert (pixels == [3, 2]).all(axis=1).sum() == 12 and (pixels == [15, 7]).all(axis=1).sum() == 4


def test_contact_in_space_is_on_the_surface_with_its_deviation_in_metres(stills):
    view = view_of(stills[0], "pour out the cup")
    depth = np.full(view.mask.shape, 0.5, np.float32)
    v, u = np.argwhere(view.mask)[40]
    prediction = Prediction(np.array([[u, v]], float), Rotation.identity(), np.zeros(45), 0.5, 10.0, None, 4.0, 0.1)
    found = contact_in_space(prediction, view, depth)
    assert np.isclose(found.deviation, 4.0 * 0.5 / view.intrinsics.fx)
    surface, behind = (view.camera.inverse().apply(p) for p in (found.points[0], found.mean))
    assert np.allclose(surface[2], 0.5) and np.isclose(behind[2] - surface[2], 10.0 * 0.5 / view.intrinsics.fx)
    assert np.allclose(view.intrinsics.project(behind), [u, v])
    with pytest.raises(DeftError) as caught:
        contact_in_space(prediction, view, np.full(view.mask.shape, np.nan, np.float32))
    assert caught.value.code == codes.NO_CONTACT_DEPTH


def test_the_overlay_shows_heat_contacts_and_wrist(predictor, stills):
    view = view_of(stills[0], "pour out the cup")
    found = predictor.predict(view, "", np.random.default_rng(0))
    depth = np.full(view.mask.shape, 0.6, np.float32)
    picture = overlay(view, found, contact_in_space(found, view, depth))
    assert max(picture.shape[:2]) == SIDE and picture.dtype == np.uint8
    for colour in ((255, 230, 0), (255, 80, 80), (80, 220, 80), (90, 130, 255)):
        assert (np.abs(picture.astype(int) - colour).max(axis=2) < 12).any()


def test_the_heuristic_does_not_know_how_sure_it_is(stills):
    found = make_predictor("heuristic").predict(view_of(stills[0], "x"), "side", np.random.default_rng(0))
    assert found.heatmap is None and math.isnan(found.contact_deviation) and math.isnan(found.wrist_deviation)
