"""The simulated cell: objects, seeds, camera, controller, operator."""

from __future__ import annotations

import numpy as np
import pytest

from deft_core.config import parse
from deft_core.errors import ConfigError
from deft_sim.camera import MAX_RANGE, SimCamera
from deft_sim.config import SceneConfig
from deft_sim.controller import JointTrajectory, TrajectoryController
from deft_sim.objects import CUPS
from deft_sim.operator import OperatorConfig, judge
from deft_sim.scenes import scene_module
from deft_sim.world import SimWorld


@pytest.fixture(scope="module")
def world(robot, hand, task) -> SimWorld:
    return SimWorld(robot, hand, task, seed=0)


def test_object_sets_differ_in_size_shape_and_colour():
    train, test = CUPS["train"], CUPS["test"]
    assert len(train) >= 4 and len(test) >= 4
    everything = [*train, *test]
    for key in ("name", "rgb"):
        assert len({getattr(c, key) for c in everything}) == len(everything)
    shapes = {(c.height, c.bottom_radius, c.top_radius, bool(c.handle)) for c in everything}
    assert len(shapes) == len(everything)
    for cup in everything:
        assert 0.05 < 2 * cup.top_radius < 0.10 and 0.08 <= cup.height <= 0.15 and 0.03 <= cup.mass <= 0.35


@pytest.mark.parametrize("object_set", ["train", "test"])
def test_every_object_stands_still(world, robot, hand, task, object_set):
    seen = set()
    for episode in range(12):
        world.reset(object_set, episode)
        start = world.history.moments[0]
        assert abs(start.bottom) < 1e-3 and start.object_matrix[2, 2] > 0.9999
        seen.add(round(float(world.model.body("object").mass[0]), 5))
    assert len(seen) >= 3, "objects vary between episodes"


def test_poses_follow_the_seed(robot, hand, task):
    def poses(seed):
        world = SimWorld(robot, hand, task, seed)
        found = []
        for episode in (0, 1):
            world.reset("train", episode)
            found.append(world.history.moments[0].object_position.tobytes())
        return found

    assert poses(1) == poses(1) and poses(1) != poses(2) and len(set(poses(1))) == 2


def test_camera_is_a_d435_from_outside(world, robot):
    camera = SimCamera(world.model, robot.camera)
    rgb, depth = camera.render(world.data, 0)
    assert rgb.shape == (480, 640, 3) and rgb.dtype == np.uint8 and depth.shape == (480, 640) and depth.dtype == np.uint16
    pose, k = robot.camera.optical_in_base.pose(), robot.camera.intrinsics()
    uv = np.round(k.project(pose.inverse().apply(np.array([0.5, -0.3, 0.0])))).astype(int)
    point = pose.apply(k.deproject(uv.astype(float), np.array(depth[uv[1], uv[0]] / 1000.0)))
    assert np.allclose(point, [0.5, -0.3, 0.0], atol=0.01), "the camera stands where its calibration says"
    assert (depth == 0).mean() > 0.001 and depth.max() <= MAX_RANGE * 1000 + 50
    perfect = np.full((480, 640), 1.0, np.float32)
    perfect[:, 300:340] = np.linspace(1.0, 2.0, 40)  # a surface seen at a grazing angle
    perfect[:, 600:] = 5.0
    holes = camera.sensor(perfect, 0)
    assert (holes[:, 305:335] == 0).all() and (holes[:, 600:] == 0).all() and (holes[:, :290] > 0).all()
    assert np.array_equal(camera.render(world.data, 0)[1], depth), "the same world gives the same frame"
    camera.close()


def trajectory(start=0.0, names=("a", "b"), goal=1.0, final=0.0):
    times = np.array([0.0, 0.5, 1.0])
    positions = np.outer(times, [goal, -goal])
    velocities = np.array([[0, 0], [goal, -goal], [final, final]], float)
    return JointTrajectory(names, times, positions, velocities, start)


def test_controller_follows_waits_and_holds():
    controller = TrajectoryController(("a", "b"), np.zeros(2))
    controller.accept(trajectory(start=2.0))
    before, _ = controller.sample(np.array([1.0, 1.9]))
    assert np.array_equal(before, np.zeros((2, 2)))
    inside, _ = controller.sample(np.array([2.5]))
    assert np.allclose(inside, [[0.5, -0.5]])
    after, velocity = controller.sample(np.array([3.5, 4.0]))
    assert np.allclose(after, [[1, -1], [1, -1]]) and np.array_equal(velocity, np.zeros((2, 2)))
    assert np.allclose(controller.target, [1, -1]) and controller.start == np.inf


def test_controller_maps_joints_by_name():
    controller = TrajectoryController(("b", "a"), np.zeros(2))
    controller.accept(trajectory())
    assert np.allclose(controller.sample(np.array([5.0]))[0], [[-1, 1]])


@pytest.mark.parametrize("bad", [trajectory(names=("a", "c")), trajectory(final=0.5), trajectory(goal=np.nan)])
def test_controller_rejects_what_ros2_controllers_would(bad):
    controller = TrajectoryController(("a", "b"), np.zeros(2))
    with pytest.raises(ValueError, match=r"joints|velocity|finite"):
        controller.accept(bad)
    assert np.array_equal(controller.target, np.zeros(2))


def test_a_sleeping_world_does_not_change(world):
    q, _ = world.joint_state()
    version, clock = world.version, world.clock
    for _ in range(50):
        world.tick()
    assert world.version == version and world.clock > clock and np.array_equal(world.joint_state()[0], q)


def test_operator_judges_only_what_it_saw(world, hand):
    config = OperatorConfig()
    assert judge(world, hand, {}, config, 0, 0) is None
    assert judge(world, hand, {"close": (1e3, 1e3 + 1)}, config, 0, 0) is None
    seen = world.history.moments[0].time
    world.tick()
    later = judge(world, hand, {"approach": (seen, seen + 0.01)}, config, 0, 0)
    assert later is None, "the clock went on, but nobody watched a grasp"
    verdict = judge(world, hand, {"approach": (seen, seen)}, config, 0, 0)
    assert verdict is not None and verdict.score == pytest.approx(round(verdict.score / 0.05) * 0.05) and not verdict.success
    noisy = [judge(world, hand, {"approach": (seen, seen)}, OperatorConfig(noise=0.3, resolution=0.0), 0, k).score
             for k in range(8)]
    assert len(set(noisy)) > 1 and all(0 <= s <= 1 for s in noisy)


def test_wrong_names_are_refused(world, task):
    with pytest.raises(ValueError, match="valid: train, test"):
        world.reset("trian", 0)
    with pytest.raises(ConfigError, match="did you mean 'pick_cup'"):
        scene_module("pick_cups")
    with pytest.raises(ConfigError, match="position_lower"):
        parse(SceneConfig, {**task.sim, "position_lowr": [0, 0]}, "task")
