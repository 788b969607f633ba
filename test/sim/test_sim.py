"""The simulated cell: objects, seeds, camera, controller, operator."""

from __future__ import annotations

import numpy as np
import pytest

from deft_core.config import parse
from deft_core.errors import ConfigError
from deft_sim.camera import MAX_RANGE, SimCamera
from deft_sim.config import RealismConfig, SceneConfig
from deft_sim.controller import JointTrajectory, TrajectoryController
from deft_sim.operator import OperatorConfig, judge
from deft_sim.realism import draw_cell
from deft_sim.scenes import scene_module
from deft_sim.world import SimWorld


@pytest.fixture(scope="module")
def world(robot, hand, task) -> SimWorld:
    return SimWorld(robot, hand, task, seed=0)


def test_poses_follow_the_seed(robot, hand, task):
    def poses(seed):
        world = SimWorld(robot, hand, task, seed)
        found = []
        for episode in (0, 1):
            world.reset("train", episode)
            found.append(world.history.moments[0].position().tobytes())
        return found

    assert poses(1) == poses(1) and poses(1) != poses(2) and len(set(poses(1))) == 2


def test_calibration_and_joint_errors_are_those_of_the_yaml(robot, hand):
    settings = RealismConfig()
    nominal = robot.camera.optical_in_base.pose()
    cells = [draw_cell(robot, hand, RealismConfig(cell=cell)) for cell in range(30)]
    for cell in cells:
        assert np.linalg.norm(cell.camera.position - nominal.position) == pytest.approx(settings.calibration_error)
        assert (cell.camera.rotation * nominal.rotation.inv()).magnitude() == pytest.approx(settings.calibration_turn)
    errors = np.array([cell.joint_error for cell in cells])
    assert errors[:, :7].std() == pytest.approx(settings.arm_joint_error, rel=0.4)
    assert errors[:, 7:].std() == pytest.approx(settings.hand_joint_error, rel=0.2)
    again = draw_cell(robot, hand, RealismConfig(cell=3))
    assert np.array_equal(again.joint_error, cells[3].joint_error) and not np.array_equal(errors[3], errors[4])


def test_reported_joints_hide_their_error(world):
    q, _ = world.joint_state()
    assert np.allclose(q[:7], world.robot.park, atol=5e-4), "the robot believes that it is where it was sent"
    true = world.data.qpos[world.model.joint("joint1").qposadr[0]]
    assert true != pytest.approx(q[0], abs=1e-6)


def test_camera_is_a_d435_from_outside(world, robot):
    camera = SimCamera(world.model, robot.camera, world.realism)
    rgb, depth = camera.render(world.data, 0)
    assert rgb.shape == (480, 640, 3) and rgb.dtype == np.uint8 and depth.shape == (480, 640) and depth.dtype == np.uint16
    pose, k = robot.camera.optical_in_base.pose(), robot.camera.intrinsics()
    uv = np.round(k.project(pose.inverse().apply(np.array([0.5, -0.3, 0.0])))).astype(int)
    point = pose.apply(k.deproject(uv.astype(float), np.array(depth[uv[1], uv[0]] / 1000.0)))
    assert np.allclose(point, [0.5, -0.3, 0.0], atol=0.03), "the camera stands about where its calibration says"
    assert (depth == 0).mean() > 0.001 and depth.max() <= MAX_RANGE * 1000 + 50
    perfect = np.full((480, 640), 1.0, np.float32)
    perfect[:, 300:340] = np.linspace(1.0, 2.0, 40)  # a surface seen at a grazing angle
    perfect[:, 600:] = 5.0
    holes = camera.sensor(perfect, 0)
    assert (holes[:, 305:335] == 0).all() and (holes[:, 600:] == 0).all() and (holes[:, :290] > 0).all()
    assert np.array_equal(camera.render(world.data, 0)[1], depth), "the same world gives the same frame"
    camera.close()


def test_near_things_hide_what_is_left_of_them_from_the_second_imager(world, robot):
    camera = SimCamera(world.model, robot.camera, world.realism)
    scene = np.full((480, 640), 0.8, np.float32)
    scene[200:280, 300:360] = 0.6
    depth = camera.sensor(scene, 0)
    camera.close()
    shadow = round(robot.camera.fx * 0.05 * (1 / 0.6 - 1 / 0.8))
    assert shadow >= 8
    assert (depth[220:260, 300 - shadow + 2:299] == 0).all() and (depth[220:260, 290 - shadow:297 - shadow] > 0).all()
    assert (depth[220:260, 365:400] > 0).all(), "to its right all is seen"


def test_lights_change_between_episodes(robot, hand, task):
    world = SimWorld(robot, hand, task, 0)
    lamps = []
    for episode in range(3):
        world.reset("train", episode)
        lamps.append(tuple(world.model.light_diffuse[0]))
    assert len(set(lamps)) == 3


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


def test_commands_take_effect_after_the_latency(robot, hand, task):
    slow = robot.model_copy(update={"sim": robot.sim | {"realism": {"command_latency": 0.1}}})
    world = SimWorld(slow, hand, task, 0)
    q = np.array(robot.park)
    start = round(world.clock + 0.1, 6)
    points = np.vstack([q, q + np.array([0.1, 0, 0, 0, 0, 0, 0])])
    world.command_arm(JointTrajectory(robot.joint_names, np.array([0.0, 0.5]), points, np.zeros((2, 7)), start))
    while world.clock < start + 0.09:
        world.tick()
    assert np.allclose(world.joint_state()[0][:7], q, atol=1e-3), "not yet"
    while world.clock < start + 0.9:
        world.tick()
    assert world.joint_state()[0][0] == pytest.approx(q[0] + 0.1, abs=5e-3)


def test_a_sleeping_world_does_not_change(world):
    q, _ = world.joint_state()
    version, clock = world.version, world.clock
    for _ in range(50):
        world.tick()
    assert world.version == version and world.clock > clock and np.array_equal(world.joint_state()[0], q)


def test_operator_judges_only_what_it_saw(world):
    config = OperatorConfig()
    assert judge(world, {}, config, 0, 0) is None
    assert judge(world, {"close": (1e3, 1e3 + 1)}, config, 0, 0) is None
    seen = world.history.moments[0].time
    world.tick()
    later = judge(world, {"approach": (seen, seen + 0.01)}, config, 0, 0)
    assert later is None, "the clock went on, but nobody watched a grasp"
    verdict = judge(world, {"approach": (seen, seen)}, config, 0, 0)
    assert verdict is not None and verdict.score == pytest.approx(round(verdict.score / 0.05) * 0.05) and not verdict.success


def scores(world, **config) -> list[float]:
    seen = world.history.moments[0].time
    return [judge(world, {"approach": (seen, seen)}, OperatorConfig(**config), 0, k).score for k in range(200)]


def test_operator_noise_levels_and_lapses(world):
    true = scores(world, resolution=0.0)[0]
    assert len(set(scores(world, resolution=0.0))) == 1
    noisy = scores(world, noise=0.1, resolution=0.1)
    assert 3 <= len(set(noisy)) <= 11 and all(s == pytest.approx(round(s, 1)) and 0 <= s <= 1 for s in noisy)
    lapses = np.array(scores(world, lapse=0.3, resolution=0.0))
    assert 0.2 < (lapses != true).mean() < 0.4 and lapses.max() > 0.8, "a lapse is any value"


def test_wrong_names_are_refused(world, task):
    with pytest.raises(ValueError, match="valid: train, test"):
        world.reset("trian", 0)
    with pytest.raises(ConfigError, match="did you mean 'pick_cup'"):
        scene_module("pick_cups")
    with pytest.raises(ConfigError, match="position_lower"):
        parse(SceneConfig, {**task.sim, "position_lowr": [0, 0]}, "task")


@pytest.mark.parametrize(("change", "message"), [
    ({"objects": {"train": ["mug"], "test": ["mug"]}}, "mug must not be in train and in test"),
    ({"objects": {"train": ["mug"]}}, "train and test"),
    ({"objects": {"train": ["mugg"], "test": ["tumbler"]}}, "unknown object 'mugg': did you mean 'mug'"),
    ({"score": {"full_lfit": 0.1, "off_table": 0.02}}, "did you mean 'full_lift'"),
    ({"yaw": [1.0, -1.0]}, "must not exceed")])
def test_wrong_scene_sections_are_refused(robot, hand, task, change, message):
    with pytest.raises(ConfigError, match=message):
        SimWorld(robot, hand, task.model_copy(update={"sim": task.sim | change}), 0)
