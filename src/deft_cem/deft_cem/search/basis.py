"""z, in which searches work, and eps, which the robot executes: eps = clip(B z), z ~ N(0, I) at first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deft_cem.search.config import SearchConfig
from deft_core.config import Config, find, load
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError
from deft_core.residual import ResidualSpace
from deft_core.types import Array

ARM = 6  # numbers of eps before the joints: contact 3, wrist 3


class Synergies(Config):
    """config/synergies/<hand>.yaml: principal components of human grasps on a robot hand (`deft hand synergies`).

    Attributes:
        components: (k, joints) rad, each one standard deviation of the poses along it, the largest first.
        explained: (k,) share of the poses' variance, of each.
    """

    hand: str
    poses: int
    joint_names: tuple[str, ...]
    explained: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Basis:
    """Attributes: space, where eps lives; matrix (n, d), metres and rad a unit of z."""

    space: ResidualSpace
    matrix: Array
    groups: tuple[slice, ...]

    @property
    def size(self) -> int:
        """d, the numbers of z."""
        return self.matrix.shape[1]

    def to_eps(self, z: Array) -> Array:
        """z (d,) -> eps (n,), metres and rad, within the bounds."""
        return self.space.clip(self.matrix @ z)

    def to_z(self, eps: Array) -> Array:
        """The z (d,) whose eps comes nearest, in first sigmas; exact for what `to_eps` gave and did not clip."""
        weight = 1.0 / self.space.sigma
        return np.asarray(np.linalg.lstsq(self.matrix * weight[:, None], eps * weight, rcond=None)[0])


def make_basis(config: SearchConfig, joint_names: tuple[str, ...], hand: str, config_dir: Path) -> Basis:
    """The basis of a configuration.

    Args:
        joint_names: the hand's motors.
        hand: names the files that tell its synergies and how it closes.

    Raises:
        ConfigError: there are no synergies of this hand, or not as many; there is no such hand.
    """
    space = config.space(joint_names)
    hand_part = np.diag(space.sigma[ARM:ARM + len(joint_names)])
    if config.hand_basis == "synergies":
        hand_part = _synergies(config, joint_names, hand, config_dir)
    elif config.hand_basis == "grip":
        hand_part = _grip(config, joint_names, hand, config_dir)
    blocks = [np.diag(space.sigma[:3]), np.diag(space.sigma[3:ARM]), hand_part]
    if config.vary_trajectory:
        blocks.append(np.diag(space.sigma[ARM + len(joint_names):]))
    matrix = np.zeros((space.size, sum(b.shape[1] for b in blocks)))
    row = column = 0
    groups = []
    for block in blocks:
        matrix[row:row + block.shape[0], column:column + block.shape[1]] = block
        groups.append(slice(column, column + block.shape[1]))
        row, column = row + block.shape[0], column + block.shape[1]
    return Basis(space, matrix, tuple(groups))


def _synergies(config: SearchConfig, joint_names: tuple[str, ...], hand: str, config_dir: Path) -> Array:
    """(joints, k): scaled so that the joints move, root mean square, by their sigma."""
    path = find(config_dir, "synergies", hand)
    stored = load(Synergies, path)
    if set(joint_names) != set(stored.joint_names):
        raise ConfigError(f"{path} is of the joints {stored.joint_names}, not of those of '{hand}'; make it again with "
                          f"`deft hand synergies {hand} --labels FOLDER`")
    if config.synergies > len(stored.components):
        raise ConfigError(f"{path} has {len(stored.components)} synergies, not {config.synergies}; set search.synergies")
    order = [stored.joint_names.index(name) for name in joint_names]
    components = np.array(stored.components)[:config.synergies, order].T
    return np.asarray(components * config.sigma[2] / np.sqrt((components**2).sum(axis=1).mean()))


def _grip(config: SearchConfig, joint_names: tuple[str, ...], hand: str, config_dir: Path) -> Array:
    """(joints, 2): the fingers, and the thumb, in the proportions in which the hand squeezes.

    Of the fingers the joint that moves most moves by its sigma, of the thumb by half of that: one thumb opposes them all.
    """
    described = load(HandConfig, find(config_dir, "hands", hand))
    order = [described.joint_names.index(name) for name in joint_names]
    fingers, thumb = (part[order] for part in described.closing())
    columns = [sigma * part for part, sigma in ((fingers, config.sigma[2]), (thumb, config.sigma[2] / 2)) if part.any()]
    if not columns:
        raise ConfigError(f"hand '{hand}' squeezes nothing, so that `grip` varies nothing; use hand_basis: joints")
    return np.stack(columns, axis=1)
