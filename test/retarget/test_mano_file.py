"""The licensed MANO file: read without chumpy, and without running anything. The file here is made up in its format."""

from __future__ import annotations

import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse

from deft_core.errors import ConfigError
from deft_retarget.mano_file import TIP_VERTICES, VERTICES, mano_skeleton
from deft_retarget.skeleton import FINGERS, shipped_skeleton


class Ch:
    """As chumpy pickles an array."""

    def __init__(self, x):
        self.x = x


class Select:
    """As chumpy pickles a reordered array."""

    def __init__(self, a):
        self.a, self.idxs, self.preferred_shape = a, np.arange(a.x.size), a.x.shape


@pytest.fixture
def chumpy(monkeypatch):
    """A chumpy that is there while the file is written."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
        for name, cls in (("ch", Ch), ("reordering", Select)):
            module = types.ModuleType(f"chumpy.{name}")
            setattr(module, cls.__name__, cls)
            patch.setitem(sys.modules, f"chumpy.{name}", module)
            patch.setattr(cls, "__module__", f"chumpy.{name}")
        yield patch


def content() -> dict:
    """A model with the shipped skeleton's joints: vertices near them, and a regressor that picks one vertex a joint."""
    rest = shipped_skeleton()
    vertices = np.random.default_rng(0).normal(0.0, 0.05, (VERTICES, 3))
    where = np.array([0.09, 0.006, 0.006])  # MANO's wrist is not its origin
    vertices[:16] = rest.joints + where
    vertices[[TIP_VERTICES[f] for f in FINGERS]] = rest.tips + where
    regressor = np.zeros((16, VERTICES))
    regressor[np.arange(16), np.arange(16)] = 1.0
    shapes = np.zeros((VERTICES, 3, 10))
    shapes[..., 0] = vertices  # the first beta is the size
    return {"v_template": vertices, "J_regressor": scipy.sparse.csc_matrix(regressor), "shapedirs": Select(Ch(shapes)),
            "hands_mean": np.linspace(0, 1, 45), "weights": Ch(np.zeros(3)), "bs_type": "lrotmin"}


@pytest.fixture
def written(chumpy, tmp_path):
    def write(data, name="MANO_RIGHT.pkl"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(data, protocol=2))
        return path
    return write


def test_joints_tips_and_mean_are_read(written):
    skeleton, rest = mano_skeleton(written(content())), shipped_skeleton()
    assert np.allclose(skeleton.joints, rest.joints) and np.allclose(skeleton.tips, rest.tips)
    assert np.allclose(skeleton.mean_pose, np.linspace(0, 1, 45))


def test_shape_parameters_change_the_hand(written):
    path = written(content())
    assert np.allclose(mano_skeleton(path, np.array([0.1])).joints, 1.1 * shipped_skeleton().joints)
    with pytest.raises(ConfigError, match="10 shape parameters; 11"):
        mano_skeleton(path, np.zeros(11))


def test_other_classes_are_not_loaded(written):
    with pytest.raises(ConfigError, match="wants to load"):
        mano_skeleton(written({**content(), "surprise": print}))


@pytest.mark.parametrize(("change", "message"), [
    ({"v_template": np.zeros((700, 3))}, "not a MANO model"),
    ({"hands_mean": np.zeros(44)}, "not a MANO hand"),
    ({"v_template": np.full((VERTICES, 3), np.nan)}, "non-finite"),
    ({"v_template": content()["v_template"] * [-1, 1, 1]}, "left hand"),
    ({"J_regressor": None}, "not a MANO model")])
def test_a_wrong_model_says_what_is_wrong(written, change, message):
    with pytest.raises(ConfigError, match=message):
        mano_skeleton(written({**content(), **change}))


def test_a_missing_key_is_named(written):
    data = content()
    del data["hands_mean"]
    with pytest.raises(ConfigError, match="hands_mean"):
        mano_skeleton(written(data))


def test_no_file_a_truncated_one_and_something_else(written, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        mano_skeleton(tmp_path / "none.pkl")
    whole = written(content())
    (tmp_path / "half.pkl").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "text.pkl").write_text("not a pickle")
    for name in ("half.pkl", "text.pkl"):
        with pytest.raises(ConfigError, match="not a MANO pickle"):
            mano_skeleton(tmp_path / name)
    with pytest.raises(ConfigError, match="holds a list"):
        mano_skeleton(written([1, 2], "list.pkl"))
