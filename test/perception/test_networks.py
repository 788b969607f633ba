"""Segment Anything and open_clip: the real code with random weights, on photographs and on a simulated table.

The published weights cannot be shipped. What is tested is all that does not depend on them: loading, devices, prompts
in pixels of the original picture, sizes, ranking, refusals.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
from skimage import data as photographs

from deft_core.errors import ConfigError, DeftError
from deft_core.neural import import_torch
from deft_perception import codes
from deft_perception.backends import make_matcher, make_segmenter
from deft_perception.clip import ClipConfig, ClipMatcher, crop, load_clip
from deft_perception.sam import SamConfig, SamSegmenter, load_sam, standing_share
from deft_perception.scene import Prompt
from deft_perception.tabletop import TabletopConfig

torch = import_torch()


def small_sam() -> torch.nn.Module:
    """Segment Anything as it is, but for a small image encoder; random weights."""
    build = importlib.import_module("segment_anything.build_sam")._build_sam
    torch.manual_seed(0)
    return build(encoder_embed_dim=32, encoder_depth=2, encoder_num_heads=2, encoder_global_attn_indexes=[1]).eval()


@pytest.fixture(scope="module")
def sam():
    return SamSegmenter(small_sam(), SamConfig(points_per_side=4))


def flat_scene(rgb: np.ndarray, height: float = 0.05) -> SimpleNamespace:
    """Just what the backend asks of a scene: everything stands `height` (m) above the table."""
    coarse = np.full(rgb.shape[:2], height, np.float32)[::2, ::2]
    return SimpleNamespace(rgb=rgb, depth=np.full(rgb.shape[:2], 0.7, np.float32), step=2, height=coarse,
                           inside=np.ones(coarse.shape, bool))


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket"])
def test_masks_have_the_size_of_the_photograph(sam, name):
    rgb = getattr(photographs, name)()
    scene = flat_scene(rgb)
    for prompt in (Prompt(point=(rgb.shape[1] * 0.6, rgb.shape[0] * 0.4)), Prompt(box=(20.0, 30.0, 150.0, 160.0))):
        mask, score = sam.prompted(scene, prompt)
        assert mask.shape == rgb.shape[:2] and mask.dtype == bool and 0.0 <= score <= 1.0
        assert sam.refined(scene, mask) is mask


def test_prompts_are_pixels_of_the_original_picture(sam):
    """Our masks are those of a bare call with the same pixel; of another pixel they are others."""
    from segment_anything import SamPredictor

    rgb = photographs.coffee()
    bare = SamPredictor(sam._predictor.model)
    bare.set_image(rgb)
    wanted, scores, _ = bare.predict(point_coords=np.array([[321.0, 123.0]]), point_labels=np.array([1]), multimask_output=True)
    masks, ours = sam._predict(rgb, Prompt(point=(321.0, 123.0)))
    assert np.array_equal(np.array(masks), wanted) and np.allclose(ours, scores)
    elsewhere, _ = sam._predict(rgb, Prompt(point=(40.0, 350.0)))
    assert not np.array_equal(np.array(elsewhere), wanted)


def test_what_does_not_stand_on_the_table_is_not_taken(sam):
    scene = flat_scene(photographs.coffee(), height=-0.4)
    with pytest.raises(DeftError) as caught:
        sam.prompted(scene, Prompt(point=(300.0, 200.0)))
    assert caught.value.code == codes.NO_OBJECT


def test_automatic_masks_are_filtered_by_the_table(sam, monkeypatch):
    rgb = photographs.coffee()
    scene = flat_scene(rgb)
    scene.height[:, :100] = 0.0

    def rectangle(u0: int, v0: int, u1: int, v1: int) -> dict:
        mask = np.zeros(rgb.shape[:2], bool)
        mask[v0:v1, u0:u1] = True
        return {"segmentation": mask, "area": int(mask.sum())}

    records = [rectangle(300, 100, 400, 200), rectangle(310, 110, 350, 150), rectangle(20, 20, 100, 100),
               rectangle(450, 300, 455, 305), rectangle(0, 0, 600, 390), rectangle(420, 100, 500, 160)]
    monkeypatch.setattr(sam._generator, "generate", lambda _: records)
    kept = sam.things(scene)
    assert [int(m.sum()) for m in kept] == [10000, 4800], "not the part, the table, the speck, the background"
    assert standing_share(scene, records[2]["segmentation"], 0.01) == 0.0


def test_automatic_masks_of_a_photograph_come_from_the_real_generator(sam, monkeypatch):
    """Random weights have no opinion of their masks, so all of them are let through."""
    for threshold in ("pred_iou_thresh", "stability_score_thresh"):
        monkeypatch.setattr(sam._generator, threshold, 0.0)
    monkeypatch.setattr(sam, "_config", SamConfig(max_share=1.0, min_pixels=1))
    kept = sam.things(flat_scene(photographs.chelsea()))
    assert kept and all(mask.shape == photographs.chelsea().shape[:2] for mask in kept)


def test_a_checkpoint_is_loaded_onto_the_device(tmp_path, monkeypatch):
    import segment_anything

    path = tmp_path / "small.pth"
    torch.save(small_sam().state_dict(), path)

    def build(checkpoint: str) -> torch.nn.Module:
        model = small_sam()
        with torch.no_grad():
            next(model.parameters()).zero_()
        model.load_state_dict(torch.load(checkpoint))
        return model

    monkeypatch.setitem(segment_anything.sam_model_registry, "vit_b", build)
    model = load_sam(SamConfig(checkpoint=str(path), device="cpu"))
    assert not model.training and str(model.device) == "cpu"
    assert torch.equal(next(model.parameters()), next(small_sam().parameters()))
    segmenter = make_segmenter("sam", TabletopConfig(), SamConfig(checkpoint=str(path), device="cpu"), (48, 64))
    assert segmenter.name == "sam" and make_segmenter("tabletop", TabletopConfig(), SamConfig(), (48, 64)).name == "tabletop"


@pytest.mark.parametrize(("settings", "said"), [
    ({"checkpoint": ""}, "docs/perception.md"), ({"checkpoint": "/no/sam.pth"}, "is no file"),
    ({"checkpoint": "{}", "model_type": "vit_b"}, "cannot be loaded as vit_b"),
    ({"checkpoint": "{}", "model_type": "vit_x"}, "did you mean"),
    ({"checkpoint": "{}", "device": "tpu"}, "auto, cpu or cuda")])
def test_wrong_settings_are_refused_with_the_way_out(tmp_path, settings, said):
    path = tmp_path / "broken.pth"
    path.write_bytes(b"not weights")
    with pytest.raises(ConfigError, match=said):
        load_sam(SamConfig(**settings | {"checkpoint": settings["checkpoint"].format(path)}))


# -- open_clip ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip():
    import open_clip

    torch.manual_seed(0)
    model, _, preprocess = open_clip.create_model_and_transforms("RN50", pretrained=None)
    return ClipMatcher(model.eval(), preprocess, open_clip.get_tokenizer("RN50"))


def squares(rgb: np.ndarray) -> list[np.ndarray]:
    masks = [np.zeros(rgb.shape[:2], bool) for _ in range(3)]
    for mask, u in zip(masks, (50, 250, 450), strict=True):
        mask[100:180, u:u + 80] = True
    return masks


def test_scores_follow_picture_and_noun(clip):
    scene = SimpleNamespace(rgb=photographs.coffee())
    masks = squares(scene.rgb)
    scores = clip.scores(scene, masks, "cup")
    assert scores.shape == (3,) and (scores >= 0).all() and (scores <= 1).all()
    assert np.allclose(clip.scores(scene, masks[:1], "cup"), scores[:1], atol=1e-4), "what stands beside it does not matter"
    assert np.allclose(clip.scores(scene, masks[::-1], "cup"), scores[::-1], atol=1e-4), "the order does not matter"
    assert not np.allclose(clip.scores(scene, masks, "astronaut on a horse"), scores, atol=1e-6)


def test_crops_show_the_thing_alone_and_square():
    rgb = photographs.coffee()
    mask = np.zeros(rgb.shape[:2], bool)
    mask[10:40, 500:600] = True
    shown = crop(rgb, mask)
    assert shown.shape[0] == shown.shape[1] >= 100
    assert ((shown != 127).any(axis=2)).sum() <= mask.sum() and np.isin(rgb[20, 550], shown.reshape(-1, 3)).all()


def test_clip_weights_are_asked_for_and_checked(tmp_path):
    path = tmp_path / "broken.bin"
    path.write_bytes(b"not weights")
    for settings, said in (({}, "docs/perception.md"), ({"checkpoint": str(path)}, "cannot be loaded as ViT-B-32")):
        with pytest.raises(ConfigError, match=said):
            load_clip(ClipConfig(**settings))
    with pytest.raises(ConfigError, match="unknown matcher"):
        make_matcher("nuns", tmp_path, ClipConfig())
