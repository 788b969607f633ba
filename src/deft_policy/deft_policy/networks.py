"""The networks behind the policies, small on purpose: they have ten examples.

All answer to one call, so that the fit can run many copies of one side by side. Their last layer begins at zero: an untrained
network answers 0, which stands for the elites' mean.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from deft_core.neural import import_torch

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.nn import functional
else:
    torch = import_torch()
    nn, functional = torch.nn, torch.nn.functional


def _layers(*sizes: int) -> nn.Sequential:
    """Linear layers with ELU between them; the last one answers 0 at first."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ELU()]
    last = layers[-2]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers[:-1])


class Network(nn.Module):
    """Base of all. `latent` is the length of the noise that an answer needs."""

    latent = 0

    def forward(self, c: torch.Tensor, reward: torch.Tensor, noise: torch.Tensor, y: torch.Tensor | None = None,
                beta: float = 0.0) -> torch.Tensor:
        """The answer (n, d) to conditions c (n, k), or with targets y (n, d) the loss of each example (n,).

        Args:
            reward: (n,) 0..1, that the examples got, or that is asked for.
            noise: (n, latent) draws from N(0, I).
            beta: weight of the KL term.
        """
        raise NotImplementedError


class Regression(Network):
    """c -> y."""

    def __init__(self, condition: int, out: int, hidden: int) -> None:
        super().__init__()
        self.body = _layers(condition, hidden, hidden, out)

    def forward(self, c: torch.Tensor, reward: torch.Tensor, noise: torch.Tensor, y: torch.Tensor | None = None,
                beta: float = 0.0) -> torch.Tensor:
        """See Network."""
        answer: torch.Tensor = self.body(c)
        return answer if y is None else 0.5 * (answer - y).square().sum(dim=-1)


class ConditionalVae(Network):
    """q(z | y, c) and p(y | z, c) (paper section 1.2): log p of a unit normal, and the KL divergence of q from N(0, I)."""

    def __init__(self, condition: int, out: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = _layers(condition + out, hidden, 2 * latent)
        self.decoder = _layers(condition + latent, hidden, hidden, out)

    def forward(self, c: torch.Tensor, reward: torch.Tensor, noise: torch.Tensor, y: torch.Tensor | None = None,
                beta: float = 0.0) -> torch.Tensor:
        """See Network."""
        if y is None:
            answer: torch.Tensor = self.decoder(torch.cat([c, noise], dim=-1))
            return answer
        mean, log_variance = self.encoder(torch.cat([c, y], dim=-1)).chunk(2, dim=-1)
        z = mean + torch.exp(0.5 * log_variance) * noise
        off = 0.5 * (self.decoder(torch.cat([c, z], dim=-1)) - y).square().sum(dim=-1)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=-1)
        loss: torch.Tensor = off + beta * divergence
        return loss


class RewardTransformer(Network):
    """y given c and a reward, as a Decision Transformer (paper Table 2): asked for the best reward there is.

    Three tokens, reward, picture and grasp, one layer of attention; the answer is read from the reward's.
    """

    HEADS = 2

    def __init__(self, picture: int, grasp: int, out: int, hidden: int) -> None:
        super().__init__()
        self.split = (picture, grasp)
        self.reward, self.picture, self.grasp = nn.Linear(1, hidden), nn.Linear(picture, hidden), nn.Linear(grasp, hidden)
        self.queries, self.mix = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.first, self.second = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.body = _layers(hidden, hidden, out)

    def forward(self, c: torch.Tensor, reward: torch.Tensor, noise: torch.Tensor, y: torch.Tensor | None = None,
                beta: float = 0.0) -> torch.Tensor:
        """See Network."""
        picture, grasp = c.split(self.split, dim=-1)
        tokens = torch.stack([self.reward(2.0 * reward[..., None] - 1.0), self.picture(picture), self.grasp(grasp)], dim=-2)
        shape = (*tokens.shape[:-1], self.HEADS, tokens.shape[-1] // self.HEADS)
        q, k, v = (part.reshape(shape).transpose(-2, -3) for part in self.queries(self.first(tokens)).chunk(3, dim=-1))
        weights = functional.softmax(q @ k.transpose(-1, -2) / shape[-1]**0.5, dim=-1)
        mixed = tokens + self.mix((weights @ v).transpose(-2, -3).reshape(tokens.shape))
        answer: torch.Tensor = self.body(self.second(mixed)[..., 0, :])
        return answer if y is None else 0.5 * (answer - y).square().sum(dim=-1)
