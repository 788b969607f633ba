"""Finding things by name, on rendered tables of objects that were never trained on."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from deft_core.config import default_config_dir
from deft_core.errors import ConfigError, DeftError
from deft_core.projection import metres
from deft_perception import codes
from deft_perception.appearance import SIZE, describe
from deft_perception.choice import find
from deft_perception.look import LookConfig
from deft_perception.nouns import NounMatcher, NounModel
from deft_perception.observation import UNLIKELY, Frame, Observer
from deft_perception.scene import Prompt
from deft_perception.tabletop import TabletopConfig, TabletopSegmenter
from deft_sim.clutter import CLUTTER, KINDS, TableSetter

FOLDER = default_config_dir() / "perception"


@pytest.fixture(scope="module")
def matcher():
    return NounMatcher(FOLDER)


@pytest.fixture(scope="module")
def setter(robot, hand):
    return TableSetter(robot, hand)


@pytest.fixture(scope="module")
def segmenter():
    return TabletopSegmenter(TabletopConfig())


def scene_of(robot, segmenter, table):
    return Observer(robot, segmenter).scene(Frame(table.rgb, metres(table.depth), robot.camera.intrinsics()))


def test_the_named_thing_is_found_among_several_and_its_mask_fits(robot, setter, segmenter, matcher):
    right, overlaps = [], []
    for seed in range(700, 708):
        table = setter.table("test", 4, 2, seed)
        scene = scene_of(robot, segmenter, table)
        for noun in table.objects:
            true = table.masks[noun]
            if true.sum() >= 400:
                try:
                    mask = find(scene, Prompt(noun=noun), segmenter, matcher).mask
                except DeftError as error:
                    assert error.code in (codes.AMBIGUOUS, codes.NO_OBJECT)
                    right.append(False)
                    continue
                right.append(bool((mask & true).sum() > mask.sum() / 2))
                overlaps.append((mask & true).sum() / (mask | true).sum() if right[-1] else 0.0)
    assert len(right) >= 15 and np.mean(right) >= 0.9 and np.mean(overlaps) > 0.85


def test_words_for_the_same_thing(matcher):
    for text, noun in (("pick up the mug", "mug"), ("pour from the cup into the bowl", "cup"), ("the orange mug", "mug"),
                       ("a bunch of grapes", "bunch of grapes"), ("use the frying pan", "frying pan"), ("two lemons", "lemon"),
                       ("wave at me", "")):
        assert matcher.noun_in(text) == noun


def test_synonyms_are_lists(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "perception")
    path = tmp_path / "perception" / "nouns.yaml"
    path.unlink()
    path.write_text("cup: mug\n")
    with pytest.raises(ConfigError, match="must be a list"):
        NounMatcher(tmp_path / "perception")


def test_a_lone_thing_is_taken_but_flagged_when_it_looks_like_something_else(robot, setter, segmenter, matcher):
    table = setter.table("test", 1, 0, 705)
    noun, = table.objects
    frame = Frame(table.rgb, metres(table.depth), robot.camera.intrinsics())
    other = "grapes" if noun != "grapes" else "drawer"
    right, wrong, unknown = (Observer(robot, segmenter, matcher).observe(frame, Prompt(noun=word), LookConfig())
                             for word in (noun, other, "hammer"))
    assert not right.quality & UNLIKELY and not unknown.quality & UNLIKELY
    assert wrong.quality & UNLIKELY and other in wrong.warnings[-1] and np.array_equal(wrong.mask, right.mask)


def test_an_unknown_noun_names_the_ways_out(robot, setter, segmenter, matcher):
    table = setter.table("test", 3, 0, 700)
    with pytest.raises(DeftError, match=r"hammer.*nouns\.yaml.*click.*open_clip") as caught:
        find(scene_of(robot, segmenter, table), Prompt(noun="hammer"), segmenter, matcher)
    assert caught.value.code == codes.BAD_INPUT


def test_a_name_that_nothing_on_the_table_deserves(robot, setter, segmenter, matcher):
    """Two tins, and somebody asks for a drawer."""
    table = setter.table("test", 0, 3, 11)
    with pytest.raises(DeftError) as caught:
        find(scene_of(robot, segmenter, table), Prompt(noun="drawer"), segmenter, matcher)
    assert caught.value.code in (codes.NO_OBJECT, codes.AMBIGUOUS)


def test_descriptions_are_finite_whatever_the_mask(robot, setter, segmenter):
    table = setter.table("test", 3, 1, 701)
    scene = scene_of(robot, segmenter, table)
    masks = [*table.masks.values(), np.zeros(table.depth.shape, bool), np.ones(table.depth.shape, bool), table.depth == 0]
    for mask in masks:
        description = describe(scene, mask)
        assert description.shape == (SIZE,) and np.isfinite(description).all()


@pytest.mark.parametrize(("spoil", "said"), [
    (lambda d: d.pop("bias"), "no noun model"), (lambda d: d["weights"].pop(), "other descriptions"),
    (lambda d: d["classes"].__setitem__(0, "kup"), "unknown noun 'cup'")])
def test_files_that_do_not_fit_are_refused(tmp_path, spoil, said):
    shutil.copytree(FOLDER, tmp_path / "perception")
    path = tmp_path / "perception" / "nouns.json"
    data = json.loads(path.read_text())
    spoil(data)
    path.unlink()
    path.write_text(json.dumps(data))
    with pytest.raises(ConfigError, match=said):
        NounMatcher(tmp_path / "perception")


def test_the_model_was_made_for_the_things_that_can_be_set():
    assert NounModel.load(FOLDER / "nouns.json").classes == (*KINDS, CLUTTER)


def test_tables_repeat_and_their_masks_do_not_overlap(setter):
    first, again, other = (setter.table("train", 4, 2, seed) for seed in (3, 3, 4))
    assert first.objects == again.objects and np.array_equal(first.depth, again.depth)
    assert first.objects != other.objects or not np.array_equal(first.depth, other.depth)
    assert sum(mask.astype(int) for mask in first.masks.values()).max() == 1
    assert {name.rstrip("0123456789") for name in first.masks} <= {*KINDS, CLUTTER}
    known = (first.depth > 0) & np.any(list(first.masks.values()), axis=0)
    assert np.median(np.abs(first.depth[known] / 1000 - first.true_depth[known])) < 0.004


@pytest.mark.parametrize("kind", KINDS)
def test_train_and_test_objects_are_never_mixed(kind):
    names = {which: {(t[0] if isinstance(t, tuple) else t).name for t in things}
             for which, things in KINDS[kind].objects.items()}
    assert len(names["train"]) >= 6 and len(names["test"]) >= 6 and not names["train"] & names["test"]
