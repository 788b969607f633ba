"""Pinocchio's model against MuJoCo's, inverse against forward, broad phase against all pairs."""

from __future__ import annotations

import mujoco
import numpy as np
import pinocchio as pin
import pytest
from scipy.spatial.transform import Rotation

from deft_core.errors import DeftError
from deft_core.types import Pose
from deft_motion import codes
from deft_motion.kinematics import ArmHandModel
from deft_motion.planner import OmplPlanner
from deft_sim.config import RealismConfig
from deft_sim.model import HAND_PREFIX, robot_spec
from deft_sim.realism import draw_cell, draw_light


@pytest.fixture(scope="module")
def model(robot, hand) -> ArmHandModel:
    return ArmHandModel(robot, hand)


@pytest.fixture(scope="module")
def simulated(robot, hand):
    exact = RealismConfig(calibration_error=0.0, calibration_turn=0.0, arm_joint_error=0.0, hand_joint_error=0.0)
    cell, light = draw_cell(robot, hand, exact), draw_light(exact, np.random.default_rng(0))
    m = robot_spec(robot, hand, cell, light).compile()
    return m, mujoco.MjData(m)


def random_arm(robot, rng) -> np.ndarray:
    return np.array(robot.ready) + rng.normal(0, 0.6, 7)


def test_grasp_frame_and_clearance_agree_with_the_simulator(robot, hand, model, simulated):
    """Two libraries, two readings of the URDFs: the same poses, and the same lowest point of wrist and forearm."""
    m, d = simulated
    rng = np.random.default_rng(0)
    addresses = [m.joint(n).qposadr[0] for n in (*robot.joint_names, *(HAND_PREFIX + n for n in hand.joint_names))]
    palm = m.body(HAND_PREFIX + hand.base_link).id
    for _ in range(25):
        arm, fingers = random_arm(robot, rng), rng.uniform(hand.lower, hand.upper)
        d.qpos[addresses] = np.concatenate([arm, fingers])
        mujoco.mj_forward(m, d)
        at_palm = Pose(d.xpos[palm].copy(), Rotation.from_matrix(d.xmat[palm].reshape(3, 3))) @ hand.grasp_frame.pose()
        assert np.allclose(model.grasp_pose(arm).matrix(), at_palm.matrix(), atol=1e-5)
        assert np.array_equal(model.palm_position(arm), model.grasp_pose(arm).position)
        lowest = np.inf
        for g in range(m.ngeom):
            if m.body(m.geom_bodyid[g]).name in ("link5", "link6", "link7") and m.geom_contype[g]:
                i = m.geom_dataid[g]
                vertices = m.mesh_vert[m.mesh_vertadr[i]:m.mesh_vertadr[i] + m.mesh_vertnum[i]]
                lowest = min(lowest, (vertices @ d.geom_xmat[g].reshape(3, 3).T + d.geom_xpos[g])[:, 2].min())
        assert model.clearance(arm, fingers) <= lowest + 1e-4


def test_inverse_reaches_what_it_says(robot, model):
    rng = np.random.default_rng(1)
    reached = 0
    for _ in range(40):
        target = model.grasp_pose(random_arm(robot, rng))
        solution = model.inverse(target, np.array(robot.ready))
        if solution is not None:
            reached += 1
            error = target.inverse() @ model.grasp_pose(solution)
            assert np.linalg.norm(error.position) < 1e-3 and error.rotation.magnitude() < 5e-3
    assert reached > 20


def test_out_of_reach_is_none_never_the_last_pose(robot, model):
    far = Pose(np.array([2.0, 0.0, 0.5]), Rotation.identity())
    assert model.inverse(far, np.array(robot.ready)) is None
    assert model.follow([far], np.array(robot.ready)) is None


def test_broad_phase_misses_nothing(robot, hand, model):
    rng = np.random.default_rng(2)
    model.set_object(np.array([0.5, 0.0, 0.06]), np.array([0.07, 0.07, 0.12]))
    model.set_surroundings(rng.uniform([0.4, -0.3, 0.02], [0.6, 0.3, 0.2], (200, 3)))
    hits = 0
    for _ in range(500):
        arm, fingers = random_arm(robot, rng), rng.uniform(hand.lower, hand.upper)
        full = pin.computeCollisions(model.model, model.data, model.geometry, model.geometry_data,
                                     model.full(arm, fingers), True)
        hits += full
        assert not full or model.colliding(arm, fingers)
    assert 20 < hits < 480
    model.set_object(None, None)
    model.set_surroundings(np.zeros((0, 3)))


def test_what_stands_on_the_table_is_solid_down_to_it_until_it_is_forgotten(robot, model, hand):
    fingers, arm = np.array(hand.open_pose), np.array(robot.ready)
    x, y, z = model.palm_position(arm)
    assert not model.colliding(arm, fingers)
    model.set_surroundings(np.array([[x, y, z + 0.3]]))  # a lid above: what is under it was not seen
    assert "stands on the table" in model.colliding(arm, fingers) and model.knows_surroundings
    model.set_surroundings(np.array([[x + 0.4, y, z]]))
    assert not model.colliding(arm, fingers)
    model.set_surroundings(np.zeros((0, 3)))
    assert not model.knows_surroundings and not model.colliding(arm, fingers)


def test_what_lay_in_the_box_of_a_moved_object_is_forgotten_with_it_and_no_more(model):
    model.set_object(np.array([0.5, 0.0, 0.06]), np.array([0.08, 0.08, 0.12]))
    of_it, beside, senseless = [[0.5, 0.03, 0.11], [0.5, 0.0, 0.01]], [[0.5, 0.2, 0.05]], [[np.nan, 0.0, 0.0], [0.0, 0.0, 1e9]]
    model.set_surroundings(np.array(of_it + beside + senseless))
    model.forget_object()
    assert model.knows_surroundings and model._surroundings.tolist() == beside
    model.set_surroundings(np.zeros((0, 3)))


def test_planner_goes_round_an_obstacle_and_repeats_with_its_seed(robot, hand, model):
    planner, fingers = OmplPlanner(model), np.array(hand.open_pose)
    goal = np.array(robot.ready)
    middle = model.grasp_pose((np.array(robot.park) + goal) / 2).position
    model.set_object(middle, np.array([0.12, 0.12, 0.12]))
    paths = [planner.plan(np.array(robot.park), goal, fingers, seed) for seed in (5, 6, 5)]
    for path in paths:
        assert all(not model.colliding(path.at(t), fingers) for t in np.linspace(0, path.duration, 150))
    assert np.array_equal(paths[0].positions, paths[2].positions)
    model.set_object(model.grasp_pose(goal).position, np.array([0.1, 0.1, 0.1]))
    with pytest.raises(DeftError) as caught:
        planner.plan(np.array(robot.park), goal, fingers, 0)
    assert caught.value.code == codes.COLLISION and "goal" in caught.value.message
    with pytest.raises(DeftError) as caught:
        planner.plan(goal, np.array(robot.park), fingers, 0)
    assert caught.value.code == codes.EXECUTION_FAILED, "the robot's own posture says nothing of a grasp"
    model.set_object(None, None)
