"""A policy on disk: `policy.yaml`, which a person can read, and `policy-<hash>.safetensors` beside it."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load, save

from deft_core.config import Config
from deft_core.config import load as load_config
from deft_core.errors import ConfigError, DeftError
from deft_core.residual import ResidualSpace
from deft_core.types import Array, GraspParameters
from deft_policy import __version__, codes
from deft_policy.condition import Condition, Grasps, Projection
from deft_policy.config import PolicyConfig
from deft_policy.policy import Provenance, ResidualPolicy
from deft_policy.training import Scale

SCHEMA = 1
NAME = "policy"
HEAD = "# A residual policy of DEFT (docs/policy.md); its numbers are in the file that `weights` names.\n"


class Origin(Config):
    """See policy.Provenance."""

    task: str
    hand: str
    session: str
    seed: int
    elites: tuple[int, ...]
    rewards: tuple[float, ...]
    steps: int
    loss: float | None
    error: float
    mean_error: float


class PolicyFile(Config):
    """`policy.yaml`."""

    schema_version: int = Field(ge=1)
    software_version: str
    kind: str
    weights: str = Field(description="file beside this one")
    sha256: str = Field(description="of that file")
    residual_names: tuple[str, ...]
    joint_names: tuple[str, ...] = Field(description="of the grasps that it sees")
    frame: str
    origin: Origin
    policy: PolicyConfig


def store(policy: ResidualPolicy, folder: Path) -> Path:
    """Write both files; the YAML last, so that it never names weights that are not there. Its path.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"space.sigma": policy.space.sigma, "space.bound": policy.space.bound, "scale.mean": policy.scale.mean,
               "scale.deviation": policy.scale.deviation, **{f"network.{n}": w for n, w in policy.weights.items()}}
    joints: tuple[str, ...] = ()
    frame = ""
    if policy.condition is not None:
        middle = policy.condition.grasps.middle
        joints, frame = middle.joint_names, middle.frame
        tensors |= {"middle.contact": middle.contact, "middle.wrist": middle.wrist_rotation, "middle.joints": middle.joints,
                    "middle.trajectory_offset": middle.trajectory_offset,
                    "picture.mean": policy.condition.picture.mean, "picture.components": policy.condition.picture.components,
                    "grasp.mean": policy.condition.grasp.mean, "grasp.components": policy.condition.grasp.components}
    data = save({name: np.ascontiguousarray(t, float) for name, t in tensors.items()})
    digest = hashlib.sha256(data).hexdigest()
    weights = f"{NAME}-{digest[:12]}.safetensors"
    origin = asdict(policy.provenance)
    origin["loss"] = None if math.isnan(origin["loss"]) else origin["loss"]
    described = PolicyFile(schema_version=SCHEMA, software_version=__version__, kind=policy.kind.value, weights=weights,
                           sha256=digest, residual_names=policy.space.names, joint_names=joints, frame=frame,
                           origin=Origin(**origin), policy=policy.config)
    before = _weights_named(folder / f"{NAME}.yaml")
    _write(folder / weights, data)
    _write(folder / f"{NAME}.yaml", (HEAD + yaml.safe_dump(described.model_dump(mode="json"), sort_keys=False)).encode())
    if before and before != weights:
        (folder / before).unlink(missing_ok=True)
    return folder / f"{NAME}.yaml"


def _weights_named(path: Path) -> str:
    """The weights of the policy that is replaced; "" without one."""
    with contextlib.suppress(OSError, yaml.YAMLError, TypeError, KeyError):
        return Path(str(yaml.safe_load(path.read_text())["weights"])).name
    return ""


def _write(path: Path, data: bytes) -> None:
    """Atomically, and on disk when it returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def restore(path: Path) -> ResidualPolicy:
    """A policy from its YAML, or from the folder that it is in.

    Raises:
        DeftError: NO_POLICY; there is none, it was damaged, or a later version wrote it.
    """
    file = path / f"{NAME}.yaml" if path.is_dir() else path
    if not file.is_file():
        raise DeftError(codes.NO_POLICY, f"there is no policy at {path}; make one with `deft fit --session FOLDER`")
    try:
        described, data = _read(file)
        if described.schema_version > SCHEMA:
            raise DeftError(codes.NO_POLICY, f"{file} was written by a later DEFT (policy schema {described.schema_version}, "
                            f"this one reads up to {SCHEMA})")
        if hashlib.sha256(data).hexdigest() != described.sha256:
            raise DeftError(codes.NO_POLICY, f"{described.weights} is not what {file} describes: it was damaged or replaced; "
                            "fit the policy again")
        return _assembled(described, load(data))
    except (ConfigError, OSError, SafetensorError, ValueError, KeyError) as error:
        raise DeftError(codes.NO_POLICY, f"{file} cannot be used: {error}; fit the policy again") from None


def _read(file: Path) -> tuple[PolicyFile, bytes]:
    """The description and its weights; again when another policy took its place between the two."""
    described = load_config(PolicyFile, file)
    try:
        return described, (file.parent / described.weights).read_bytes()
    except FileNotFoundError:
        again = load_config(PolicyFile, file)
        return again, (file.parent / again.weights).read_bytes()


def _assembled(described: PolicyFile, tensors: dict[str, Array]) -> ResidualPolicy:
    """The policy of a description and its numbers. Raises ValueError or KeyError: they do not fit together."""
    if not all(np.isfinite(t).all() for t in tensors.values()):
        raise ValueError("some of its numbers are not finite")
    space = ResidualSpace.named(described.residual_names, tensors["space.sigma"], tensors["space.bound"])
    origin: dict[str, Any] = described.origin.model_dump()
    origin["loss"] = math.nan if origin["loss"] is None else origin["loss"]
    condition = None
    if "grasp.components" in tensors:
        middle = GraspParameters(tensors["middle.contact"], tensors["middle.wrist"], described.joint_names,
                                 tensors["middle.joints"], described.origin.hand, described.frame,
                                 tensors["middle.trajectory_offset"])
        condition = Condition(Grasps(space, middle), Projection(tensors["picture.mean"], tensors["picture.components"]),
                              Projection(tensors["grasp.mean"], tensors["grasp.components"]))
    network = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    scale = Scale(tensors["scale.mean"], tensors["scale.deviation"])
    return ResidualPolicy(described.policy, space, Provenance(**origin), scale, condition, network)
