"""Labels straight from synthetic scenes, and what is kept for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deft_human_video.labels.engine import Engine
from deft_human_video.labels.shards import read_labels
from deft_human_video.synthetic.grips import PURPOSES
from deft_human_video.synthetic.phrases import GRAMMAR, phrase
from deft_human_video.synthetic.split import Split, cells
from deft_human_video.synthetic.stills import StillSeries, begin, contact_of, label_of, make, still
from deft_human_video.synthetic.things import CELL, draw_thing


def test_every_purpose_has_phrases_in_both_splits():
    assert GRAMMAR.keys() == PURPOSES.keys()
    rng = np.random.default_rng(0)
    for purpose in PURPOSES:
        train, test = ({phrase(purpose, split, rng) for _ in range(80)} for split in (Split.train, Split.test))
        assert train and test and not train & test


@pytest.mark.parametrize("name", ["cup", "drawer", "spoon", "fruit"])
def test_things_for_tests_are_in_cells_of_their_own(name):
    rng = np.random.default_rng(1)
    shown = {split: {cells(draw_thing(name, (), rng, split).dimensions.values(), CELL) for _ in range(60)} for split in
             (Split.train, Split.test)}
    assert not shown[Split.train] & shown[Split.test]


def test_a_still_shows_what_its_labels_say():
    view = still(0, 5)
    assert "pour_cup" in view.scene.grips and "pick_cup" in view.scene.grips  # a cup serves both
    side, top = (label_of(view, purpose, view.scene.grips[purpose][0], "text", "000000-x") for purpose in
                 ("pour_cup", "pick_cup"))
    u, v = np.round(side.points + side.box[:2]).astype(int).T
    assert view.mask[v.clip(0, 359), u.clip(0, 479)].mean() > 0.6  # fingers lie on the cup, or within SLACK of it
    assert np.linalg.norm(side.wrist - top.wrist) > 0.5 and side.mano_pose.shape == (45,)
    height = [np.concatenate(contact_of(view.scene, view.scene.grips[p][0]))[:, 2].mean() for p in ("pour_cup", "pick_cup")]
    assert height[0] < height[1]


def test_the_same_number_gives_the_same_still():
    first, again = still(7, 5), still(7, 5)
    assert np.array_equal(first.rgb, again.rgb) and not np.array_equal(first.rgb, still(20, 5).rgb)


def test_a_series_goes_on_and_is_read_as_labels(tmp_path):
    series = StillSeries(tmp_path / "s", 3, 4, split=Split.train)
    numbers, done = begin(series)
    assert numbers == [0] and not done
    (result,) = make(series, numbers, Engine.local, 1)
    labels = list(read_labels(tmp_path / "s"))
    assert len(labels) == len(result.labelled) >= 3 and not begin(series)[0]
    assert {label["thing"] for label in labels} == {"000000", "000001", "000002"}
    assert begin(replace(series, pictures=4))[0] == [0], "made longer, the last shard lacks a picture"
    assert all(label["version"] == 2 and len(label["lens"]) == 4 for label in labels)
