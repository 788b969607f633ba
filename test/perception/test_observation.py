"""Table, things, prompts, parts: on synthetic depth images with noise, holes and clutter."""

from __future__ import annotations

import numpy as np
import pytest

from deft_core.config import parse
from deft_core.errors import ConfigError, DeftError
from deft_core.projection import CameraView, metres
from deft_core.types import Intrinsics
from deft_perception import codes
from deft_perception.look import LookConfig
from deft_perception.observation import LOW_DEPTH, MASK_AT_BORDER, SEVERAL_OBJECTS, Frame, Observer
from deft_perception.scene import Prompt
from deft_perception.table import TableConfig, fit_table
from deft_perception.tabletop import TabletopConfig, TabletopSegmenter, _filled

K = Intrinsics(320, 240, 230.0, 230.0, 159.5, 119.5)
BLACK = np.zeros((K.height, K.width, 3), np.uint8)


def ray_cast(robot, boxes, table=0.0, noise=0.0, seed=0):
    """Depth image (mm) of a table plane and axis-aligned boxes (centre xy, half size, height), by ray casting."""
    camera = robot.camera.optical_in_base.pose()
    v, u = np.indices((K.height, K.width))
    rays = camera.apply(K.deproject(np.stack([u, v], -1), np.ones((K.height, K.width)))) - camera.position
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (table - camera.position[2]) / rays[..., 2]
        t = np.where(t > 0, t, np.inf)
        for x, y, half, height in boxes:
            low, high = np.array([x - half, y - half, table]), np.array([x + half, y + half, table + height])
            a, b = (low - camera.position) / rays, (high - camera.position) / rays
            near, far = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
            t = np.where((near < far) & (near > 0), np.minimum(t, near), t)
    metres = np.where(t < 3.0, t, 0.0)
    metres = metres + (metres > 0) * noise * np.random.default_rng(seed).standard_normal(metres.shape)
    return np.round(metres * 1000).astype(np.uint16), camera


def observe(robot, depth, prompt=Prompt(), config=LookConfig(), rgb=BLACK, k=K):  # noqa: B008  (frozen values)
    frame = Frame(rgb, metres(depth), k)
    return Observer(robot, TabletopSegmenter(TabletopConfig())).observe(frame, prompt, config)


def look(robot, boxes, prompt=Prompt(), config=LookConfig(), **kwargs):  # noqa: B008
    return observe(robot, ray_cast(robot, boxes, **kwargs)[0], prompt, config)


@pytest.mark.parametrize("noise", [0.0, 0.002])
@pytest.mark.parametrize("table", [-0.02, 0.0, 0.03])
def test_a_box_is_found_and_measured(robot, noise, table):
    seen = look(robot, [(0.5, 0.0, 0.04, 0.12)], noise=noise, table=table)
    assert abs(seen.table_height - table) < 0.002
    assert np.allclose(seen.box_centre[:2], [0.5, 0.0], atol=0.01)
    assert abs(seen.extent[2] - 0.12) < 0.02
    assert seen.quality == 0 and seen.mask_score == 1.0


def test_all_that_stands_on_the_table_is_told_to_whoever_plans_the_arm(robot):
    """The thing that is meant and the one beside it; of either the seen sides, to 2 cm; neither table nor noise."""
    seen = look(robot, [(0.5, 0.0, 0.04, 0.12), (0.45, -0.2, 0.03, 0.06)], noise=0.002)
    points = seen.surroundings
    near = [(np.abs(points[:, :2] - xy) < half + 0.02).all(axis=1) for xy, half in (((0.5, 0.0), 0.04), ((0.45, -0.2), 0.03))]
    assert (near[0] | near[1]).all() and near[0].sum() > 20 and near[1].sum() > 8
    for mine, height in zip(near, (0.12, 0.06), strict=True):
        assert points[mine, 2].max() == pytest.approx(height, abs=0.02)
    assert len(look(robot, [(0.5, 0.0, 0.04, 0.12)]).surroundings) < len(points)


def test_plane_survives_clutter_and_holes(robot):
    boxes = [(x, y, 0.03, 0.1) for x in (0.4, 0.55, 0.7) for y in (-0.25, 0.0, 0.25)]
    depth, camera = ray_cast(robot, boxes, noise=0.002)
    depth[np.random.default_rng(1).random(depth.shape) < 0.4] = 0
    points = CameraView(K, camera).cloud(metres(depth)).reshape(3, -1)
    plane = fit_table(points[:, np.abs(points[0] - 0.55) < 0.25], 0.0, TableConfig())
    assert abs(plane.height_at(0.5, 0.0)) < 0.003 and plane.normal[2] > 0.999


def test_prompts_choose(robot):
    boxes = [(0.45, -0.2, 0.03, 0.1), (0.5, 0.15, 0.05, 0.15)]
    _, camera = ray_cast(robot, boxes)
    small = K.project(camera.inverse().apply(np.array([0.45, -0.2, 0.1])))
    assert look(robot, boxes).quality & SEVERAL_OBJECTS
    by_point = look(robot, boxes, Prompt(point=tuple(small)))
    assert np.allclose(by_point.box_centre[:2], [0.45, -0.2], atol=0.02) and not by_point.quality & SEVERAL_OBJECTS
    box = (small[0] - 30, small[1] - 30, small[0] + 30, small[1] + 30)
    assert np.allclose(look(robot, boxes, Prompt(box=box)).box_centre[:2], [0.45, -0.2], atol=0.02)


def code_of(call) -> int:
    with pytest.raises(DeftError) as caught:
        call()
    assert len(caught.value.message) > 20
    return caught.value.code


def test_typed_refusals(robot):
    box = [(0.5, 0.0, 0.04, 0.1)]
    assert code_of(lambda: look(robot, [])) == codes.NO_OBJECT
    assert code_of(lambda: look(robot, box, Prompt(point=(5.0, 230.0)))) == codes.NO_OBJECT
    assert code_of(lambda: look(robot, box, Prompt(point=(999.0, 10.0)))) == codes.BAD_INPUT
    assert code_of(lambda: look(robot, box, Prompt(box=(0.0, 200.0, 20.0, 230.0)))) == codes.NO_OBJECT
    nothing = np.zeros((240, 320), np.uint16)
    assert code_of(lambda: observe(robot, nothing)) == codes.NO_TABLE
    assert code_of(lambda: observe(robot, nothing, rgb=np.zeros((120, 160, 3), np.uint8))) == codes.BAD_INPUT
    assert code_of(lambda: look(robot, box, table=0.12)) == codes.NO_TABLE, "far from where the robot's YAML has it"


def test_the_top_of_a_large_box_is_not_the_table(robot):
    seen = look(robot, [(0.52, 0.0, 0.17, 0.15)])
    assert abs(seen.table_height) < 0.003 and abs(seen.extent[2] - 0.15) < 0.02


def test_two_alike_things_are_too_close_to_call_until_somebody_points(robot):
    boxes = [(0.5, -0.1, 0.04, 0.1), (0.65, 0.05, 0.04, 0.1)]
    assert code_of(lambda: look(robot, boxes)) == codes.AMBIGUOUS
    camera = robot.camera.optical_in_base.pose()
    seen = look(robot, boxes, Prompt(point=tuple(K.project(camera.inverse().apply(np.array([0.5, -0.1, 0.1]))))))
    assert np.allclose(seen.box_centre[:2], [0.5, -0.1], atol=0.02)


def test_depth_that_is_missing_is_flagged_then_refused(robot):
    """Holes in the middle of the object, as on glass; the border shows where it is."""
    boxes = [(0.5, 0.0, 0.06, 0.14)]
    depth, _ = ray_cast(robot, boxes)
    whole = observe(robot, depth)
    rows, columns = np.nonzero(whole.mask)
    rng = np.random.default_rng(0)
    for lost, expected in ((0.65, LOW_DEPTH), (0.97, None)):
        holes = depth.copy()
        gone = rng.random(len(rows)) < lost
        holes[rows[gone], columns[gone]] = 0
        colours = np.full((240, 320, 3), 30, np.uint8)
        colours[rows, columns] = (200, 60, 60)
        if expected is None:
            refusal = code_of(lambda holes=holes, colours=colours: observe(robot, holes, rgb=colours))
            assert refusal in (codes.NO_DEPTH, codes.NO_OBJECT)
        else:
            seen = observe(robot, holes, rgb=colours)
            assert seen.quality & expected and any("depth" in w for w in seen.warnings)


def test_a_ring_surrounds_its_middle_though_it_has_a_gap_and_a_cell_or_a_plate_nothing_else():
    v, u = np.indices((40, 40))
    away, around = np.hypot(v - 20, u - 20), np.arctan2(v - 20, u - 20)
    ring = (away > 9) & (away < 12) & (np.abs(around) > 0.5)
    assert not ring[20, 20] and _filled(ring)[20, 20] and _filled(ring)[away < 8].all() and not _filled(ring)[away > 16].any()
    for alone in (away < 1, away < 8, ring & (np.abs(around) > 2.0)):
        assert np.array_equal(_filled(alone), alone)


def test_the_cloud_lies_on_the_object(robot):
    seen = look(robot, [(0.5, 0.0, 0.05, 0.12)], noise=0.001)
    assert seen.cloud.dtype == np.float32 and 100 < len(seen.cloud) <= 4096 and np.isfinite(seen.cloud).all()
    assert np.abs(seen.cloud[:, :2] - [0.5, 0.0]).max() < 0.06 and seen.cloud[:, 2].max() < 0.13


def test_an_object_cut_by_the_border_is_flagged(robot):
    depth, _ = ray_cast(robot, [(0.5, 0.0, 0.04, 0.12)])
    narrow = Intrinsics(160, 240, K.fx, K.fy, K.cx, K.cy)
    seen = observe(robot, np.ascontiguousarray(depth[:, :160]), rgb=BLACK[:, :160], k=narrow)
    assert seen.quality & MASK_AT_BORDER and "right" in seen.warnings[0]


def test_a_wall_is_not_a_table():
    rng = np.random.default_rng(0)
    wall = np.column_stack([np.full(5000, 0.5), rng.uniform(-0.3, 0.3, 5000), rng.uniform(0, 0.4, 5000)])
    with pytest.raises(DeftError) as caught:
        fit_table((wall + 0.0005 * rng.standard_normal(wall.shape)).T.astype(np.float32), 0.0, TableConfig())
    assert caught.value.code == codes.NO_TABLE


def test_a_task_may_ask_for_what_stands_between_two_heights(robot):
    low_and_large, tall = (0.50, 0.15, 0.08, 0.05), (0.45, -0.15, 0.03, 0.14)
    assert np.allclose(look(robot, [low_and_large, tall]).box_centre[:2], [0.50, 0.15], atol=0.03), "the largest"
    seen = look(robot, [low_and_large, tall], config=LookConfig(heights=(0.07, 0.4)))
    assert np.allclose(seen.box_centre[:2], [0.45, -0.15], atol=0.02) and seen.box_centre[2] > 0.07


def test_a_task_may_ask_for_the_part_nearest_to_the_robot(robot):
    cabinet = (0.60, 0.0, 0.10, 0.18)
    whole, front = look(robot, [cabinet]), look(robot, [cabinet], config=LookConfig(nearest=0.04))
    assert front.box_centre[0] < whole.box_centre[0] - 0.03 and front.extent[0] < 0.06
    assert front.mask.sum() < whole.mask.sum() and (whole.mask | front.mask).sum() == whole.mask.sum()


def test_nothing_at_the_asked_height_is_an_error_that_names_both_files(robot):
    with pytest.raises(DeftError, match=r"between 200 and 400 mm above the table.* look\.heights") as caught:
        look(robot, [(0.5, 0.0, 0.04, 0.12)], config=LookConfig(heights=(0.2, 0.4)))
    assert caught.value.code == codes.NO_OBJECT


def test_heights_must_be_ordered():
    with pytest.raises(ConfigError, match="from low to high"):
        parse(LookConfig, {"heights": [0.3, 0.1]}, "task 'x', look")
