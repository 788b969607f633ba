"""The optimiser: exact derivatives, real optima, limits, pinches, and a typed end where there is none."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retarget_hands import load_hand
from scipy.optimize import minimize

from deft_core.errors import DeftError
from deft_retarget import codes, solver
from deft_retarget.motions import gesture, natural_poses
from deft_retarget.retargeter import METHODS, Retargeter
from deft_retarget.skeleton import TIP

OPTIMISERS = METHODS[1:]


def with_keys(hand, **keys):
    return hand.model_copy(update={"retarget": {**hand.retarget, "key_vectors": keys}})


def objective(retargeter, tips, start):
    """f, gradient and Hessian at motors, as the solver sees them, for a pose's targets."""
    optimiser, kinematics = retargeter.optimiser, retargeter.kinematics
    targets, weights, _ = optimiser.targets(tips, retargeter.scale, np.zeros(len(retargeter.fingers) - 1, bool))
    targets = kinematics.from_base(targets)

    def at(motors):
        gradient, hessian = np.empty_like(motors), np.empty((motors.size, motors.size))
        optimiser._joints[:] = kinematics.pin_ratio * motors[kinematics.pin_source]
        cost = optimiser._evaluate((motors, gradient, hessian, np.empty_like(hessian)), targets, weights, start)
        return cost, gradient, hessian

    return at


@pytest.mark.parametrize("name", ["allegro_right", "shadow_right", "dash_right"])
@pytest.mark.parametrize("method", OPTIMISERS)
@pytest.mark.parametrize("collision", [0.0, 1e5])
def test_derivatives_are_exact(name, method, collision, skeleton):
    retargeter = Retargeter(with_keys(load_hand(name), self_collision={"weight": collision, "radius": 0.02}), method, skeleton)
    kinematics = retargeter.kinematics
    rng = np.random.default_rng(0)
    for pose in natural_poses(skeleton, 1, 40, 3)[0, ::8]:
        start = rng.uniform(kinematics.lower, kinematics.upper)
        f = objective(retargeter, retargeter.human_tips(pose), start)
        motors, step = rng.uniform(kinematics.lower, kinematics.upper), 1e-6
        _, gradient, hessian = f(motors)
        for i, unit in enumerate(np.eye(motors.size)):
            above, below = f(motors + step * unit), f(motors - step * unit)
            assert (above[0] - below[0]) / (2 * step) == pytest.approx(gradient[i], abs=2e-6)
            assert np.allclose((above[1] - below[1]) / (2 * step), hessian[i], atol=2e-4)


def test_pinocchio_agrees_on_points_and_jacobian(any_hand):
    retargeter = Retargeter(any_hand, "vector")
    kinematics = retargeter.kinematics
    motors = np.random.default_rng(1).uniform(kinematics.lower, kinematics.upper)
    joints = kinematics.joints(motors)
    tips = kinematics.points(joints)
    base = kinematics.model.getFrameId(any_hand.base_link)
    pin.framesForwardKinematics(kinematics.model, kinematics.data, joints[kinematics.pin_order])
    for finger, tip in zip(retargeter.fingers, tips[1:], strict=True):
        frame = kinematics.model.getFrameId(any_hand.retarget["fingertips"][finger])
        there = kinematics.data.oMf[base].actInv(kinematics.data.oMf[frame].translation)
        assert np.allclose(there, tip, atol=1e-12)
    assert np.allclose(tips[0], any_hand.retarget["wrist"])


@pytest.mark.parametrize("method", OPTIMISERS)
def test_it_ends_in_optima_as_good_as_a_general_solver_finds(any_hand, method, skeleton):
    retargeter = Retargeter(any_hand, method, skeleton)
    kinematics, smoothness = retargeter.kinematics, retargeter.config.key_vectors.smoothness
    ours, general = [], []
    for pose in natural_poses(skeleton, 3, 60, 9)[:, ::10].reshape(-1, 45):
        tips = retargeter.human_tips(pose)
        start = np.clip(retargeter.axis.motors(pose), kinematics.lower, kinematics.upper)
        middle = 0.5 * (kinematics.lower + kinematics.upper)
        found = retargeter.optimiser.solve(tips, retargeter.scale, start, restart=middle)
        f = objective(retargeter, tips, start)
        cost, gradient, _ = f(found.motors)
        assert cost == pytest.approx(found.cost + smoothness * ((found.motors - start) ** 2).sum(), rel=1e-9)
        pushed = np.clip(found.motors - gradient, kinematics.lower, kinematics.upper) - found.motors
        assert np.abs(pushed).max() < 1e-4, "no direction within the limits goes down"
        ours.append(cost)
        general.append(minimize(lambda u, f=f: f(u)[:2], start, jac=True, method="L-BFGS-B",
                                bounds=np.column_stack([kinematics.lower, kinematics.upper]),
                                options={"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-9}).fun)
    # A finger that is short of its goal can bow to either side (LEAP most): now and then another local optimum.
    assert np.mean(ours) < 1.08 * np.mean(general)
    assert (np.array(ours) < 1.01 * np.array(general)).mean() > 0.7


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25)
@given(pose=st.lists(st.one_of(st.floats(-4, 4), st.sampled_from([0.0, np.pi, -np.pi, 1e5])), min_size=45,
                     max_size=45).map(np.array))
def test_limits_hold_exactly_and_saturation_is_reported(any_hand, method, pose):
    found = Retargeter(any_hand, method).retarget(pose)
    lower, upper = np.array(any_hand.lower), np.array(any_hand.upper)
    assert (found.joints >= lower).all() and (found.joints <= upper).all()
    for name, q, low, high in zip(any_hand.joint_names, found.joints, lower, upper, strict=True):
        if name in found.saturated and name not in any_hand.coupled:
            assert min(q - low, high - q) < 1e-8
        if method != "axis" and q in (low, high):
            assert name in found.saturated
    for name, coupling in any_hand.coupled.items():
        assert found.joints[any_hand.joint_names.index(name)] == pytest.approx(
            coupling.ratio * found.joints[any_hand.joint_names.index(coupling.joint)])


def test_optimisers_bring_fingertips_nearer_than_the_table(any_hand, skeleton):
    poses = natural_poses(skeleton, 2, 60, 4).reshape(-1, 45)
    axis, vector, dexpilot = (Retargeter(any_hand, m).batch(poses).fingertip_errors.mean() for m in METHODS)
    assert vector < 0.8 * axis and dexpilot < 0.8 * axis
    assert axis < 0.030, "m"


def test_a_pinch_closes_and_lets_go_late(hand, skeleton):
    retargeter = Retargeter(hand, "dexpilot", skeleton)

    def apart(found):
        points = retargeter.kinematics.points(found.joints)
        return np.linalg.norm(points[1] - points[2])

    pinch = gesture(skeleton, "pinch")
    closed = retargeter.retarget(pinch)
    assert closed.pinching.tolist() == [True, False, False] and apart(closed) < 0.003
    assert apart(Retargeter(hand, "vector").retarget(pinch)) > 0.008, "without snapping the tips stay apart"
    human = skeleton.keypoints(0.7 * pinch)
    gap = np.linalg.norm(human[TIP["thumb"]] - human[TIP["index"]])
    assert 0.03 < gap < 0.05, "between closing and opening"
    assert retargeter.retarget(0.7 * pinch, closed).pinching[0] and not retargeter.retarget(0.7 * pinch).pinching[0]
    flat = retargeter.retarget(np.zeros(45), closed)
    assert not flat.pinching.any()


def test_two_fingers_that_pinch_stay_side_by_side(hand, skeleton):
    retargeter = Retargeter(hand, "dexpilot", skeleton)
    tips = retargeter.human_tips(gesture(skeleton, "pinch"))
    tips[1], tips[2] = tips[0] + [0.0, 0.01, 0.0], tips[0] - [0.0, 0.01, 0.0]
    vectors, weights, pinching = retargeter.optimiser.targets(tips, 1.24, np.zeros(3, bool))
    assert pinching.tolist() == [True, True, False]
    assert np.allclose(np.linalg.norm(vectors[:2], axis=1), 1e-4,
                       rtol=0.01) and np.linalg.norm(vectors[3]) == pytest.approx(0.03, rel=0.01)
    assert weights[0] == 200 / 10 and weights[3] == 400 / 10 and weights[1] == 200 / 10 and weights[2] == 1 / 10


def test_self_collision_penalty_keeps_fingers_apart(hand, skeleton):
    poses = np.stack([gesture(skeleton, name) for name in ("fist", "pinch", "point")])

    def overlap(weight):
        retargeter = Retargeter(with_keys(hand, self_collision={"weight": weight, "radius": 0.012}), "vector", skeleton)
        deepest = 0.0
        for pose in poses:
            chains = retargeter.kinematics.chain_points(retargeter.retarget(pose).joints, range(1, 5))
            for a in range(4):
                for b in range(a):
                    deepest = max(deepest, 0.024 - np.linalg.norm(chains[a][-3:, None] - chains[b][None, -3:], axis=2).min())
        return deepest

    assert overlap(0.0) > 0.008 and overlap(1e5) < 0.003


@pytest.mark.parametrize("method", OPTIMISERS)
def test_smoothness_calms_a_sequence(hand, skeleton, method):
    poses = natural_poses(skeleton, 1, 100, 12)[0]

    def unrest(smoothness):
        found = Retargeter(with_keys(hand, smoothness=smoothness), method, skeleton).sequence(poses)
        return np.abs(np.diff([f.joints for f in found], axis=0)).mean()

    assert unrest(0.3) < 0.8 * unrest(4e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_the_same_as_one_by_one_in_any_number_of_processes(hand, skeleton, method):
    poses = natural_poses(skeleton, 3, 100, 13).reshape(-1, 45)
    retargeter, seen = Retargeter(hand, method, skeleton), []
    one = retargeter.batch(poses, progress=seen.append)
    for i in (0, 150, 299):
        alone = retargeter.retarget(poses[i])
        assert np.allclose(one.joints[i], alone.joints) and np.allclose(one.fingertip_errors[i],
                                                                        list(alone.fingertip_errors.values()))
        assert set(np.array(hand.joint_names)[one.saturated[i]]) == set(alone.saturated)
    assert seen == [256, 300] and one.converged.all()
    if method == "vector":
        two = retargeter.batch(poses, workers=2)
        assert np.array_equal(one.joints, two.joints) and np.array_equal(one.saturated, two.saturated)


@pytest.mark.parametrize("method", OPTIMISERS)
def test_what_does_not_converge_raises_and_gives_no_pose(hand, skeleton, method):
    retargeter = Retargeter(with_keys(hand, max_iterations=1), method, skeleton)
    pose = gesture(skeleton, "fist")
    with pytest.raises(DeftError, match=r"did not converge in 1 steps .* raise key_vectors.max_iterations") as caught:
        retargeter.retarget(pose)
    assert caught.value.code == codes.NOT_CONVERGED
    batch = retargeter.batch(np.stack([pose, pose]))
    assert not batch.converged.any() and np.isnan(batch.joints).all() and np.isnan(batch.fingertip_errors).all()
    assert not batch.saturated.any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e155, -1e300])
def test_non_finite_poses_are_refused(hand, method, bad):
    retargeter = Retargeter(hand, method)
    for i in range(45):
        pose = np.zeros(45)
        pose[i] = bad
        with pytest.raises(DeftError, match="non-finite") as caught:
            retargeter.retarget(pose)
        assert caught.value.code == codes.BAD_INPUT
    with pytest.raises(DeftError):
        retargeter.batch(np.full((3, 45), bad))


def test_newton_step_stays_in_the_box_and_leaves_pushed_limits_alone():
    motors, gradient = np.array([0.0, 1.0, 0.5]), np.array([1.0, -1.0, -10.0])
    trial, joints = np.empty(3), np.empty(3)
    residual, promised = solver.newton_step(motors, gradient, np.eye(3), np.eye(3), np.zeros(3), np.ones(3), 0.0, np.arange(3),
                                            np.array([1.0, 2.0, 1.0]), trial, joints)
    assert trial.tolist() == [0.0, 1.0, 0.9] and joints.tolist() == [0.0, 2.0, 0.9] and residual == 10.0, "0.4 rad at most"
    assert promised == pytest.approx(10.0 * 0.4 - 0.5 * 0.4 ** 2)
    solver.newton_step(np.full(3, 0.5), gradient, -np.eye(3), np.eye(3), np.zeros(3), np.ones(3), 0.0, np.arange(3),
                       np.ones(3), trial, joints)
    assert (trial - 0.5) @ gradient < 0, "an indefinite Hessian still gives a way down"
