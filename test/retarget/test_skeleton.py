"""The human hand: MANO's conventions, forward kinematics in NumPy and torch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from deft_core.errors import DeftError
from deft_core.neural import import_torch
from deft_retarget.skeleton import FINGERS, OPENPOSE_21, TIP, WRIST, HandSkeleton, mirrored, rotation_matrices, shipped_skeleton

angle = st.floats(-4.0, 4.0)
poses = st.lists(angle, min_size=45, max_size=45).map(np.array)


def by_chains(skeleton: HandSkeleton, pose: np.ndarray, wrist: np.ndarray) -> np.ndarray:
    """Forward kinematics written down as 4x4 matrices, joint by joint."""
    out = np.zeros((21, 3))
    root = np.eye(4)
    root[:3, :3] = Rotation.from_rotvec(wrist).as_matrix()
    for f in range(5):
        place, parent = root.copy(), np.zeros(3)
        for j in range(3):
            row = 1 + 3 * f + j
            step = np.eye(4)
            step[:3, 3] = skeleton.joints[row] - parent
            place = place @ step
            out[row] = place[:3, 3]
            turn = np.eye(4)
            turn[:3, :3] = Rotation.from_rotvec(pose[3 * (row - 1):3 * row]).as_matrix()
            place, parent = place @ turn, skeleton.joints[row]
        out[16 + f] = (place @ [*(skeleton.tips[f] - parent), 1.0])[:3]
    return out


def test_a_right_adult_hand_at_rest(skeleton):
    points = skeleton.keypoints(np.zeros(45))
    assert np.allclose(points, np.vstack([skeleton.joints, skeleton.tips]))
    assert (points[[TIP[f] for f in FINGERS[:4]], 0] < -0.13).all(), "fingers along -x"
    index, middle, little, ring = (points[1 + 3 * i] for i in range(4))
    assert index[2] > middle[2] > ring[2] > little[2] and points[TIP["thumb"], 2] > index[2], "the thumb's side along +z"
    assert points[TIP["thumb"], 1] < 0, "the palm along -y"
    assert 0.17 < np.linalg.norm(points[TIP["middle"]]) < 0.20, "m"
    for f in range(4):
        bones = np.diff([*points[1 + 3 * f:4 + 3 * f], points[16 + f]], axis=0)
        directions = bones / np.linalg.norm(bones, axis=1)[:, None]
        assert np.allclose(directions, directions[0], atol=1e-3), "fingers are straight"
        assert np.all(np.abs(directions[:, 1]) < 1e-3), "and in the palm's plane"


@settings(max_examples=50)
@given(poses, st.tuples(angle, angle, angle).map(np.array))
def test_forward_kinematics_is_a_chain_of_transforms(pose, wrist):
    skeleton = shipped_skeleton()
    assert np.allclose(skeleton.keypoints(pose, wrist), by_chains(skeleton, pose, wrist), atol=1e-9)


def test_batches_are_rows(skeleton):
    batch = np.random.default_rng(0).normal(size=(2, 3, 45))
    points = skeleton.keypoints(batch, np.ones((2, 3, 3)))
    assert points.shape == (2, 3, 21, 3)
    assert np.allclose(points[1, 2], skeleton.keypoints(batch[1, 2], np.ones(3)))


def test_torch_gives_the_same_and_its_gradient(skeleton):
    torch = import_torch()
    pose, wrist = np.random.default_rng(1).normal(size=(2, 45)), np.random.default_rng(2).normal(size=(2, 3))
    tensors = [torch.tensor(x, requires_grad=True) for x in (pose, wrist)]
    assert np.allclose(skeleton.keypoints_torch(*tensors).detach().numpy(), skeleton.keypoints(pose, wrist), atol=1e-12)
    assert torch.autograd.gradcheck(skeleton.keypoints_torch, tensors)
    single = skeleton.keypoints_torch(torch.zeros(45, dtype=torch.float32, requires_grad=True))
    assert single.dtype == torch.float32
    zero = torch.zeros(45, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(skeleton.keypoints_torch(zero)[TIP["index"], 1], zero)
    assert torch.isfinite(gradient).all() and gradient[2] < -0.05, "about z the index finger bends to the palm"


@settings(max_examples=50)
@given(st.tuples(angle, angle, angle).map(np.array))
def test_rodrigues(vector):
    assert np.allclose(rotation_matrices(vector), Rotation.from_rotvec(vector).as_matrix(), atol=1e-7)


def test_openpose_order_goes_from_base_to_tip(skeleton):
    points = skeleton.keypoints(np.zeros(45))[OPENPOSE_21]
    assert sorted(OPENPOSE_21) == list(range(21)) and OPENPOSE_21[0] == WRIST
    assert [OPENPOSE_21[i] for i in (4, 8, 12, 16, 20)] == [TIP[f] for f in ("thumb", "index", "middle", "ring", "little")]
    for finger in range(5):
        reach = np.linalg.norm(points[1 + 4 * finger:5 + 4 * finger], axis=1)
        assert (np.diff(reach) > 0).all()


def test_a_mirrored_pose_is_the_mirror_image(skeleton):
    pose = np.random.default_rng(3).normal(size=45)
    left = HandSkeleton(skeleton.joints * [-1, 1, 1], skeleton.tips * [-1, 1, 1], None, "left")
    assert np.allclose(left.keypoints(mirrored(pose)), skeleton.keypoints(pose) * [-1, 1, 1])
    assert np.array_equal(mirrored(mirrored(pose)), pose)


def test_flat_hand_mean(skeleton):
    pose, mean = np.full(45, 0.1), np.linspace(-1, 1, 45)
    licensed = HandSkeleton(skeleton.joints, skeleton.tips, mean, "")
    assert np.array_equal(licensed.flat_pose(pose, flat_hand_mean=True), pose)
    assert np.allclose(licensed.flat_pose(pose, flat_hand_mean=False), pose + mean)
    assert np.array_equal(skeleton.flat_pose(pose, flat_hand_mean=True), pose)
    with pytest.raises(DeftError, match=r"mano_file to MANO_RIGHT\.pkl"):
        skeleton.flat_pose(pose, flat_hand_mean=False)


def test_the_mean_of_a_left_hand_is_the_mirror_image(skeleton):
    licensed = HandSkeleton(skeleton.joints, skeleton.tips, np.linspace(-1, 1, 45), "")
    pose = np.full(45, 0.1)
    assert np.allclose(mirrored(licensed.flat_pose(pose, False, "left")), licensed.flat_pose(mirrored(pose), False))


@pytest.mark.parametrize("pose", [np.zeros(44), np.full(45, np.nan), np.full((2, 45), np.inf), np.float64(0.0), ["0.1"] * 45,
                                  [[0.0], [0.0, 1.0]], np.zeros(45, complex), np.full(45, 1e155)])
def test_bad_poses_are_refused(skeleton, pose):
    with pytest.raises(DeftError, match=r"45 (angles|finite angles)"):
        skeleton.keypoints(pose)
