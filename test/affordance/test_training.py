"""From labels to weights: rows, training that goes on, ends early, and runs in several processes."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import yaml
from affordance.blocks import LEFT, RIGHT, label, write_labels

from deft_affordance.network.inference import ask
from deft_affordance.network.weights import load
from deft_affordance.training import rows as rows_module
from deft_affordance.training.calibration import curve, fitted, miscalibration
from deft_affordance.training.rows import Row, plain, read_rows, split, varied
from deft_affordance.training.trainer import Trainer
from deft_core.errors import ConfigError


def test_rows_are_what_the_labels_say(blocks):
    rows = read_rows([blocks])
    assert len(rows) == 96 and {row.text for row in rows} == {RIGHT, LEFT}
    row = next(r for r in rows if r.text == RIGHT)
    assert row.corner.tolist() == [200, 150] and row.intrinsics.fx == 450 and row.crop.shape == (60, 90, 3)
    assert np.allclose(row.wrist.as_rotvec(), [0, 0, 0.8], atol=1e-4) and row.hand.shape == (45,)


def test_no_object_is_in_training_and_validation(blocks):
    train, validation = split(read_rows([blocks]))
    assert train and validation and not {r.thing for r in train} & {r.thing for r in validation}


@pytest.mark.parametrize(("changes", "words"), [({"wrist": None}, "no grasp labels with a hand pose"),
                                                ({"mano_pose": None}, "no grasp labels with a hand pose")])
def test_labels_without_a_hand_are_left_out(tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words):
        read_rows([write_labels(tmp_path / "l", [label(0, RIGHT, **changes)])])


def test_labels_of_another_version_and_too_few(tmp_path, monkeypatch):
    folder = write_labels(tmp_path / "l", [label(0, RIGHT)])
    with pytest.raises(ConfigError, match="too few"):
        split(read_rows([folder]))
    monkeypatch.setattr(rows_module, "VERSION", 99)
    with pytest.raises(ConfigError, match="version 2, needed 99"):
        read_rows([folder])


def test_a_damaged_shard_is_named(tmp_path):
    folder = write_labels(tmp_path / "l", [replace(label(0, RIGHT), wrist=np.zeros(2))])
    with pytest.raises(ConfigError, match=r"label '0000-r' in .*shard-000000.tar' cannot be read"):
        read_rows([folder])


def _dotted() -> Row:
    """A row whose only contact point is a bright dot."""
    from scipy.spatial.transform import Rotation

    from deft_core.types import Intrinsics

    crop = np.zeros((60, 90, 3), np.uint8)
    crop[18:23, 58:63] = 255
    at = np.array([60.0, 20.0])
    return Row("x", "x", crop, np.array([100.0, 50.0]), Intrinsics(640, 480, 500.0, 500.0, 319.5, 239.5), at[None], at,
               Rotation.identity(), np.zeros(45), None, 0.5, 0.01)


def test_varied_pictures_keep_the_contact_on_its_spot(monkeypatch):
    monkeypatch.setattr(rows_module, "_relit", lambda picture, rng: picture)
    found = 0
    for seed in range(40):
        example = varied(_dotted(), 64, np.random.default_rng(seed))
        bright = np.argwhere(example.picture[..., 0] > 150)
        if len(bright):
            at = (2 * bright.mean(axis=0)[::-1] + 1) / 64 - 1
            assert np.allclose(at, example.contact, atol=0.08)
            found += 1
    assert found > 20  # a dot of five pixels fades in pictures of far cameras


def test_varied_wrists_turn_with_the_picture():
    """The same wrist, shown in a picture rolled one way, is answered rolled the same way."""
    row = _dotted()
    turns = [varied(row, 64, np.random.default_rng(seed)).turn for seed in range(20)]
    angles = [np.degrees(np.arccos(np.clip((np.trace(plain(row, 64).turn.T @ turn) - 1) / 2, -1, 1))) for turn in turns]
    assert max(angles) > 3.0 and max(angles) < 20.0


def test_training_learns_what_the_text_says_and_goes_on_where_it_stopped(blocks, small, tmp_path):
    rows = read_rows([blocks])
    longer = small.training.model_copy(update={"epochs": 18, "batch": 8, "learning_rate": 6e-3})
    config = small.model_copy(update={"training": longer})
    whole = Trainer(config, rows, tmp_path / "whole")
    losses = []
    whole.fit(lambda epoch: losses.append(epoch.loss))
    assert losses[-1] < 0.8 * losses[0]

    class Killed(Exception):
        pass

    def kill(epoch):
        if epoch.number == 4:
            raise Killed

    with pytest.raises(Killed):
        Trainer(config, rows, tmp_path / "parts").fit(kill)
    again = Trainer(config, rows, tmp_path / "parts")
    assert again.first_epoch == 5
    resumed = []
    again.fit(lambda epoch: resumed.append(epoch.loss))
    assert np.allclose(resumed, losses[5:], rtol=1e-2)

    path = whole.export({"rows": len(rows)})
    net, about = load(path)
    assert about.trained["rows"] == 96 and "contact_miscalibration" in about.trained["validation"]
    held = next(r for r in whole.validation if r.text == RIGHT)
    from deft_affordance.network.encoders import MiniLM

    shown = plain(held, 64)
    right, left = (ask(net, shown.picture[None], vector, shown.body[None]) for vector in MiniLM().encode([RIGHT, LEFT]))
    assert float(right.contact[0, 0]) > float(left.contact[0, 0]) + 0.1
    with pytest.raises(ConfigError, match="differs in config"):
        Trainer(small, rows, tmp_path / "parts")
    (tmp_path / "parts/checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(ConfigError, match="damaged"):
        Trainer(config, rows, tmp_path / "parts")


def test_training_ends_when_held_out_objects_gain_nothing(blocks, small, tmp_path):
    still = small.training.model_copy(update={"epochs": 30, "learning_rate": 1e-12, "patience": 2})
    trainer = Trainer(small.model_copy(update={"training": still}), read_rows([blocks]), tmp_path)
    trainer.fit()
    assert trainer.first_epoch < 30


def test_two_processes_under_torchrun(blocks, small, tmp_path):
    config = tmp_path / "small.yaml"
    settings = small.model_dump(mode="json")
    settings["training"] |= {"epochs": 30, "learning_rate": 1e-12, "patience": 2}  # all processes must end together
    config.write_text(yaml.safe_dump(settings))  # each process has one thread, below
    command = ["torchrun", "--nproc-per-node", "2", "--no-python", "deft", "train-affordance", str(blocks), "--out",
               str(tmp_path / "out"), "--config", str(config), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"},
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(done.stdout.strip().splitlines()[-1])
    assert load(tmp_path / "out/affordance.safetensors")[1].trained["rows"] == 96 and summary["megabytes"] < 15
    assert list((tmp_path / "out/tensorboard").glob("events*"))


def test_calibration_finds_what_was_wrong_with_the_spread():
    rng = np.random.default_rng(0)
    truth = np.exp(rng.normal(-2.0, 0.5, 4000))
    errors = np.linalg.norm(rng.normal(0, 1, (4000, 2)), axis=1) * truth
    said = 0.2 * truth**0.5
    offset, slope = fitted(said, errors, 2)
    after = np.exp(offset + slope * np.log(said))
    assert miscalibration(said, errors, 2) > 0.1 and miscalibration(after, errors, 2) < 0.03
    assert abs(slope - 2.0) < 0.2 and np.all(np.diff(curve(after, errors, 2)) >= 0)
