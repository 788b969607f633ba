"""Synergies of a robot hand: the directions in which human grasps, retargeted to it, differ most.

A few of them carry most of what human hands do when they grasp (Santello et al. 1998: two explain more than 80 %), so a
search in them has fewer numbers to find than one in the joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deft_core.errors import ConfigError
from deft_core.types import Array
from deft_retarget.retargeter import Retargeter

FEWEST = 50  # poses


@dataclass(frozen=True)
class HandSynergies:
    """Attributes: poses, how many were used; components (n, n) rad, each one standard deviation of the poses along it, the
    largest first; explained (n,) share of their variance."""

    poses: int
    components: Array
    explained: Array


def find_synergies(retargeter: Retargeter, motors: tuple[str, ...], mano_poses: Array) -> HandSynergies:
    """Principal components of retargeted poses.

    Args:
        motors: joints that are moved on their own.
        mano_poses: (N, 45) rad, relative to the flat hand, of right hands.

    Raises:
        ConfigError: fewer poses than that says something.
        DeftError: as Retargeter.batch.
    """
    if len(mano_poses) < FEWEST:
        raise ConfigError(f"{len(mano_poses)} hand poses are too few for synergies, needed {FEWEST}")
    found = retargeter.batch(mano_poses)
    columns = [retargeter.hand.joint_names.index(name) for name in motors]
    joints = found.joints[found.converged][:, columns]
    _, deviations, directions = np.linalg.svd(joints - joints.mean(axis=0), full_matrices=False)
    deviations = deviations / np.sqrt(len(joints))
    signs = np.where(directions.sum(axis=1) < 0, -1.0, 1.0)  # so that the same poses give the same signs everywhere
    return HandSynergies(len(joints), directions * (signs * deviations)[:, None], deviations**2 / (deviations**2).sum())
