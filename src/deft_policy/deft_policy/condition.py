"""What a policy sees, in a few numbers: c = (phi(picture), xi), compressed.

A session has some thirty pictures with a thousand features each and thirty grasps of 22 numbers, and the policy ten
examples. The picture's features and the hand's joints are therefore projected on their first principal components, which
need no rewards, so that every episode helps to find them; contact and wrist stay as they are. Each number of c has about unit
deviation over the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from deft_core.residual import ResidualSpace
from deft_core.types import Array, GraspParameters

FLAT = 1e-9   # deviation under which a component says nothing
STEADY = 0.2  # sigmas, deviation of contact and wrist that is taken for noise and not magnified
ARM = 6       # numbers of a grasp before the joints: contact 3, wrist 3


@dataclass(frozen=True)
class Projection:
    """x (n,) -> (x - mean) @ components (n, k), components scaled to unit deviation of the data; what is missing gives 0."""

    mean: Array
    components: Array

    @staticmethod
    def fitted(rows: Array, count: int) -> Projection:
        """To rows (m, n): principal components, fewer than `count` where the data has fewer; the rest are 0."""
        mean = rows.mean(axis=0)
        _, values, axes = np.linalg.svd(rows - mean, full_matrices=False)
        deviations = values / np.sqrt(max(len(rows) - 1, 1))
        components = np.zeros((rows.shape[1], count))
        for k in range(min(count, len(deviations))):
            if deviations[k] > FLAT:
                axis = axes[k] * np.sign(axes[k][np.argmax(np.abs(axes[k]))])  # the sign of an axis is arbitrary
                components[:, k] = axis / deviations[k]
        return Projection(mean, components)

    @staticmethod
    def of_grasps(rows: Array, count: int) -> Projection:
        """To grasps (m, n) in sigmas: contact and wrist as they are, the joints' first `count` principal components."""
        joints = Projection.fitted(rows[:, ARM:], count)
        components = np.zeros((rows.shape[1], ARM + count))
        components[:ARM, :ARM] = np.diag(1.0 / np.maximum(rows[:, :ARM].std(axis=0), STEADY))
        components[ARM:, ARM:] = joints.components
        return Projection(rows.mean(axis=0), components)

    def __call__(self, row: Array | None) -> Array:
        """(k,); zeros without a row, or where nothing was there to be fitted to."""
        if row is None or not self.components.any():
            return np.zeros(self.components.shape[1])
        return np.asarray((row - self.mean) @ self.components)


@dataclass(frozen=True)
class Grasps:
    """Grasps as vectors in the residual's units: (contact, wrist, joints), each over its sigma, about a mean grasp."""

    space: ResidualSpace
    middle: GraspParameters

    @staticmethod
    def about(space: ResidualSpace, grasps: Sequence[GraspParameters]) -> Grasps:
        """About the mean of some grasps."""
        first = grasps[0]
        offset = np.mean([g.trajectory_offset for g in grasps], axis=0)
        middle = GraspParameters(np.mean([g.contact for g in grasps], axis=0),
                                 Rotation.concatenate([g.rotation() for g in grasps]).mean().as_rotvec(), first.joint_names,
                                 np.mean([g.joints for g in grasps], axis=0), first.hand, first.frame, offset)
        return Grasps(space, middle)

    def vector(self, grasp: GraspParameters) -> Array:
        """(n,), in sigmas. Raises ValueError: it is of another hand."""
        return np.asarray(self.space.between(self.middle, grasp) / self.space.sigma)

    def grasp(self, vector: Array) -> GraspParameters:
        """The grasp of a vector (n,)."""
        return self.space.apply(self.middle, vector * self.space.sigma)


@dataclass(frozen=True)
class Condition:
    """c of a picture's features and a grasp. Attributes: picture, grasp, the projections of both."""

    grasps: Grasps
    picture: Projection
    grasp: Projection

    @staticmethod
    def fitted(space: ResidualSpace, features: Sequence[Array | None], grasps: Sequence[GraspParameters],
               picture_components: int, joint_components: int) -> Condition:
        """To everything that a session has seen: features (f,) or None where there is no picture, and its grasps xi."""
        seen = [f for f in features if f is not None]
        rows = np.array(seen) if seen else np.zeros((1, 1))
        about = Grasps.about(space, grasps)
        return Condition(about, Projection.fitted(rows, picture_components),
                         Projection.of_grasps(np.array([about.vector(g) for g in grasps]), joint_components))

    @property
    def size(self) -> int:
        """Numbers of c."""
        return self.picture.components.shape[1] + self.grasp.components.shape[1]

    def __call__(self, features: Array | None, xi: GraspParameters) -> Array:
        """c (k,). Raises ValueError: xi is of another hand."""
        return np.concatenate([self.picture(features), self.grasp(self.grasps.vector(xi))])
