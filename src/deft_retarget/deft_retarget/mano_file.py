"""The user's licensed MANO_RIGHT.pkl as a skeleton, without chumpy and without running what a pickle may hold.

The official file is a Python 2 pickle of NumPy and SciPy arrays, some of them wrapped in objects of chumpy, which no longer
installs. The few classes it needs are read as plain data; every other one is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from deft_core.errors import ConfigError
from deft_core.types import Array
from deft_retarget.skeleton import FINGERS, HandSkeleton, shipped_skeleton

VERTICES = 778
# MANO has no joints at the fingertips: these vertices of its right hand are taken for them (as manopth does)
TIP_VERTICES = {"index": 317, "middle": 444, "little": 673, "ring": 556, "thumb": 745}
_NUMPY = {"_reconstruct", "scalar"}


class _Chumpy:
    """What a pickled chumpy object holds; `array()` gives its value."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def array(self) -> Array:
        held = self.__dict__
        if "x" in held:
            return np.asarray(held["x"], np.float64)
        whole = held["a"].array() if isinstance(held["a"], _Chumpy) else np.asarray(held["a"], np.float64)
        return np.asarray(whole.ravel()[np.asarray(held["idxs"])].reshape(held["preferred_shape"]))  # chumpy.reordering.Select


class _Unpickler(pickle.Unpickler):
    """Reads arrays, sparse matrices and chumpy's wrappers, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "chumpy":
            return _Chumpy
        if module.startswith("scipy.sparse") and name in ("csc_matrix", "csr_matrix"):
            return getattr(scipy.sparse, name)
        if ((module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in _NUMPY)
                or (module == "numpy" and name in ("ndarray", "dtype"))
                or (module, name) in {("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor"), ("__builtin__", "object"),
                                      ("builtins", "object"), ("_codecs", "encode")}):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it wants to load {module}.{name}, which a MANO file has no need of")


def skeleton_of(mano_file: Path | None) -> HandSkeleton:
    """The hand of the user's MANO file, or the shipped one where there is none. Raises as mano_skeleton()."""
    return mano_skeleton(mano_file.expanduser()) if mano_file else shipped_skeleton()


def mano_skeleton(path: Path, shape: Array | None = None) -> HandSkeleton:
    """The hand of MANO_RIGHT.pkl.

    Args:
        path: the official file, from https://mano.is.tue.mpg.de (non-commercial licence).
        shape: (<= 10,) MANO's betas; None is the mean shape.

    Raises:
        ConfigError: not such a file, a left hand, or too many betas.
    """
    data = _read(path)
    try:
        vertices = _dense(data["v_template"])
        if shape is not None:
            directions = _dense(data["shapedirs"])
            if len(shape) > directions.shape[-1]:
                raise ConfigError(f"'{path}' has {directions.shape[-1]} shape parameters; {len(shape)} were given")
            vertices = vertices + directions[..., :len(shape)] @ np.asarray(shape, float)
        joints = _dense(data["J_regressor"]) @ vertices
        mean = _dense(data["hands_mean"]).ravel()
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"'{path}' is not a MANO model: {type(error).__name__}: {error}") from None
    if vertices.shape != (VERTICES, 3) or joints.shape != (16, 3) or mean.shape != (45,):
        raise ConfigError(f"'{path}' is not a MANO hand: {vertices.shape} vertices, {joints.shape} joints, {mean.shape} mean "
                          f"angles; ({VERTICES}, 3), (16, 3) and (45,) are expected")
    if not all(np.isfinite(a).all() for a in (vertices, joints, mean)):
        raise ConfigError(f"'{path}' has non-finite numbers")
    if joints[4, 0] > joints[0, 0]:
        raise ConfigError(f"'{path}' is a left hand (its fingers point along +x): give MANO_RIGHT.pkl; left hands are "
                          "mirrored from it")
    tips = vertices[[TIP_VERTICES[finger] for finger in FINGERS]]
    return HandSkeleton(joints - joints[0], tips - joints[0], mean, str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = _Unpickler(file, encoding="latin1").load()
    except OSError as error:
        raise ConfigError(f"MANO file '{path}' cannot be read: {error.strerror}") from None
    except Exception as error:  # a broken pickle raises nearly anything
        raise ConfigError(f"'{path}' is not a MANO pickle: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"'{path}' is not a MANO pickle: it holds a {type(data).__name__}, not a dictionary")
    return data


def _dense(value: Any) -> Array:
    if isinstance(value, _Chumpy):
        return value.array()
    return np.asarray(value.toarray() if scipy.sparse.issparse(value) else value, float)
