"""A fitted policy: what is seen and the prior's grasp in, a residual out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from deft_core.errors import DeftError
from deft_core.neural import import_torch, one_thread
from deft_core.residual import ResidualSpace
from deft_core.types import Array, GraspParameters
from deft_policy import codes
from deft_policy.condition import ARM, Condition
from deft_policy.config import PolicyConfig, PolicyKind
from deft_policy.networks import ConditionalVae, Network, Regression, RewardTransformer
from deft_policy.training import Scale

if TYPE_CHECKING:
    import torch
else:
    torch = import_torch()

BEST_REWARD = 1.0  # what the transformer is asked for


@dataclass(frozen=True)
class Provenance:
    """Where a policy comes from.

    Attributes:
        elites: episodes that it was fitted to, best first, and `rewards` theirs.
        steps: how long it was trained; 0: the mean of its elites, which nothing beat on elites that were left out.
        error, mean_error: root mean square over elites that were left out, in sigmas, of what the policy says and of
            what the mean of the others says.
    """

    task: str
    hand: str
    session: str
    seed: int
    elites: tuple[int, ...]
    rewards: tuple[float, ...]
    steps: int
    loss: float
    error: float
    mean_error: float


@dataclass(frozen=True)
class ResidualPolicy:
    """pi(picture, xi) -> eps. Deterministic given the generator.

    Attributes:
        weights: of the network; none for elite_mean.
        scale: of its answers, (n,) in sigmas.
        condition: how what is seen becomes the network's input; None for elite_mean.
    """

    config: PolicyConfig
    space: ResidualSpace
    provenance: Provenance
    scale: Scale
    condition: Condition | None = None
    weights: dict[str, Array] = field(default_factory=dict)

    @property
    def kind(self) -> PolicyKind:
        """Which one it is."""
        return self.config.kind

    @property
    def sees(self) -> bool:
        """Whether it makes anything of the picture."""
        return self.condition is not None

    @cached_property
    def _network(self) -> Network:
        assert self.condition is not None
        with one_thread(), torch.random.fork_rng():
            network = make_network(self.config, self.space.size).double()
        network.load_state_dict({name: torch.tensor(w) for name, w in self.weights.items()})
        return network.eval()

    def answer(self, features: Array | None, xi: GraspParameters, rng: np.random.Generator) -> Array:
        """eps (n,), metres and rad, as the policy says it: whatever that is.

        Args:
            features: of the object's picture, phi; None where the policy does not see, or there is no picture.

        Raises:
            DeftError: BAD_INPUT; xi is of another hand, or the features are of another encoder.
        """
        if xi.hand != self.provenance.hand or not xi.finite():
            raise DeftError(codes.BAD_INPUT, f"the policy is of the hand {self.provenance.hand}; the grasp is of '{xi.hand}'"
                            + ("" if xi.finite() else " and not finite"))
        y = np.zeros(self.space.size)
        try:
            if self.condition is not None:
                y = self._said(self.condition(features, xi), rng)
            target = self.scale.target(y)
            if self.kind is not PolicyKind.direct:
                return np.asarray(target * self.space.sigma)
            assert self.condition is not None
            return self.space.between(xi, self.condition.grasps.grasp(target))
        except ValueError as error:
            raise DeftError(codes.BAD_INPUT, f"the policy cannot be asked: {error}") from None

    def _said(self, c: Array, rng: np.random.Generator) -> Array:
        """The network's answer (n,) to a condition."""
        noise = rng.standard_normal((1, self._network.latent))
        with one_thread(), torch.inference_mode():
            return np.array(self._network(torch.tensor(c[None]), torch.full((1,), BEST_REWARD, dtype=torch.double),
                                          torch.tensor(noise))[0])

    def residual(self, features: Array | None, xi: GraspParameters, seed: int) -> Array:
        """eps (n,), metres and rad, fit to be executed.

        Args:
            seed: of the latent draw.

        Raises:
            DeftError: BAD_INPUT; REFUSED, the answer is not finite or out of bounds.
        """
        eps = self.answer(features, xi, np.random.default_rng(seed))
        if not np.isfinite(eps).all():
            raise DeftError(codes.REFUSED, f"the {self.kind.value} policy gave a residual that is not finite; the prior is "
                            "executed alone. Fit the policy again")
        beyond = np.abs(eps) - self.space.bound
        if beyond.max() > 1e-9:
            worst = int(beyond.argmax())
            raise DeftError(codes.REFUSED, f"the {self.kind.value} policy wants {self.space.names[worst]} changed by "
                            f"{eps[worst]:+.3f}, the bound is {self.space.bound[worst]:.3f}; the prior is executed alone")
        return eps


def make_network(config: PolicyConfig, size: int) -> Network:
    """The untrained network of a configuration, for residuals of `size` numbers."""
    grasp = ARM + config.joint_components
    condition = config.picture_components + grasp
    if config.kind is PolicyKind.mlp:
        return Regression(condition, size, config.hidden)
    if config.kind is PolicyKind.transformer:
        return RewardTransformer(config.picture_components, grasp, size, config.hidden)
    return ConditionalVae(condition, size, config.hidden, config.latent)
