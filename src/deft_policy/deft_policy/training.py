"""Fitting a network to ten examples: how long to train is decided by examples that are left out, one at a time.

For each elite a copy of the network is trained on all examples but that one, beside the copy that is kept, which is trained on
all. Every few steps each copy is asked about its elite. The step at which their answers are best is the one that the
kept copy is taken from; step 0, at which every copy answers the mean of its elites, stays the choice where nothing beats it by
more than two standard errors. All copies train in one batch, on one thread: the same examples and seed give the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deft_core.errors import DeftError
from deft_core.neural import import_torch, one_thread
from deft_core.types import Array
from deft_policy import codes
from deft_policy.config import PolicyConfig
from deft_policy.networks import Network

if TYPE_CHECKING:
    import torch
else:
    torch = import_torch()

FLOOR = 0.3   # sigmas, least deviation that targets are scaled by: where elites happen to agree nothing is magnified
DRAWS = 16    # of the noise, over which the error of an answer is averaged
SURE = 2.0    # standard errors by which a step has to beat the elites' mean
OnStep = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Examples:
    """What a network is fitted to.

    Attributes:
        conditions: (n, k).
        rewards: (n,) 0..1.
        targets: (n, d), in sigmas.
        elites: rows of the best examples.
    """

    conditions: Array
    rewards: Array
    targets: Array
    elites: tuple[int, ...]


@dataclass(frozen=True)
class Scale:
    """Targets as the network sees them: y = (target - mean) / deviation."""

    mean: Array
    deviation: Array

    @staticmethod
    def of(targets: Array) -> Scale:
        """Of the elites' targets (n, d)."""
        return Scale(targets.mean(axis=0), np.maximum(targets.std(axis=0), FLOOR))

    def seen(self, targets: Array) -> Array:
        """As the network sees them."""
        return np.asarray((targets - self.mean) / self.deviation)

    def target(self, y: Array) -> Array:
        """What the network's answer stands for."""
        return np.asarray(self.mean + self.deviation * y)


@dataclass(frozen=True)
class Fitted:
    """Attributes:
        weights: of the network, by name; as it was made where `step` is 0.
        scale: of its answers.
        step: how long it was trained.
        loss: of the kept copy then.
        errors: (elites,) root mean square error of each one left out, in sigmas.
        mean_errors: the same of the mean of the others.
    """

    weights: dict[str, Array]
    scale: Scale
    step: int
    loss: float
    errors: Array
    mean_errors: Array


def fit(make: Callable[[], Network], examples: Examples, config: PolicyConfig, seed: int, on_step: OnStep) -> Fitted:
    """Fit a network.

    Args:
        make: a network with weights from torch's global generator, which is seeded here.
        on_step: told (step, steps, loss).

    Raises:
        DeftError: NOT_FINITE; the loss diverged.
    """
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(seed % 2**63)
        return _Folds(make().double(), examples, config).trained(on_step)


class _Folds:
    """Copies of one network, one for each elite that is left out, and the one that is kept, the last."""

    def __init__(self, network: Network, examples: Examples, config: PolicyConfig) -> None:
        self._network, self._config, self._examples = network, config, examples
        elites = np.array(examples.elites)
        self._count = len(elites) + 1
        self._scales = [Scale.of(examples.targets[np.delete(elites, f)]) for f in range(len(elites))]
        self._scales.append(Scale.of(examples.targets[elites]))
        n = len(examples.conditions)
        used = np.ones((self._count, n))
        used[np.arange(len(elites)), elites] = 0.0
        self._used = torch.tensor(used / used.sum(axis=1, keepdims=True))
        self._y = torch.tensor(np.array([s.seen(examples.targets) for s in self._scales]))
        self._c = torch.tensor(examples.conditions)
        self._rewards = torch.tensor(examples.rewards)
        self._left = torch.tensor(examples.conditions[elites])
        self._parameters = {name: p.detach().expand(self._count, *p.shape).clone().requires_grad_()
                            for name, p in network.named_parameters()}
        self._noise = torch.randn(DRAWS, network.latent, dtype=torch.double)

    def trained(self, on_step: OnStep) -> Fitted:
        """Train, and choose where to stop."""
        config = self._config
        optimiser = torch.optim.AdamW(self._parameters.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
        looks = [(0, self._errors(), self._kept(), float("nan"))]
        for step in range(1, config.steps + 1):
            optimiser.zero_grad()
            losses = self._losses(config.beta * min(1.0, step / config.beta_steps))
            losses.sum().backward()
            optimiser.step()
            loss = float(losses[-1].detach())
            if not np.isfinite(loss):
                raise DeftError(codes.NOT_FINITE, f"the fit diverged at step {step}; lower policy.learning_rate")
            if step % config.every == 0 or step == config.steps:
                looks.append((step, self._errors(), self._kept(), loss))
                on_step(step, config.steps, loss)
        return self._chosen(looks)

    def _losses(self, beta: float) -> torch.Tensor:
        """(copies,), each over its own examples."""
        noise = torch.randn(self._count, len(self._c), self._network.latent, dtype=torch.double)

        def loss(parameters: dict[str, torch.Tensor], noise: torch.Tensor, y: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
            each = torch.func.functional_call(self._network, parameters, (self._c, self._rewards, noise, y, beta))
            total: torch.Tensor = (each * used).sum()
            return total

        losses: torch.Tensor = torch.func.vmap(loss)(self._parameters, noise, self._y, self._used)
        return losses

    def _errors(self) -> Array:
        """(elites,) root mean square error of what each copy says of the elite that it has not seen, in sigmas."""
        draws = self._noise[:, None, :] if self._network.latent else self._noise[:1, None, :]

        def answers(parameters: dict[str, torch.Tensor], c: torch.Tensor) -> torch.Tensor:
            said = [torch.func.functional_call(self._network, parameters, (c[None], torch.ones(1, dtype=torch.double), noise))
                    for noise in draws]
            return torch.cat(said)

        left = {name: p[:-1] for name, p in self._parameters.items()}
        with torch.no_grad():
            said = np.asarray(torch.func.vmap(answers)(left, self._left))
        targets = self._examples.targets[list(self._examples.elites)]
        off = [scale.target(y) - target for scale, y, target in zip(self._scales, said, targets, strict=False)]
        return np.sqrt((np.array(off)**2).mean(axis=(1, 2)))

    def _kept(self) -> dict[str, Array]:
        """The weights of the copy that has seen everything."""
        return {name: p[-1].detach().numpy().copy() for name, p in self._parameters.items()}

    def _chosen(self, looks: list[tuple[int, Array, dict[str, Array], float]]) -> Fitted:
        """The best look; the first one where that is not surely better."""
        start = looks[0][1]
        best = min(looks, key=lambda look: float((look[1]**2).mean()))
        gain = start**2 - best[1]**2
        if gain.mean() <= SURE * gain.std(ddof=1) / np.sqrt(len(gain)):
            best = looks[0]
        step, errors, weights, loss = best
        return Fitted(weights, self._scales[-1], step, loss if step else looks[-1][3], errors, start)
