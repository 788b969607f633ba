"""The network of the paper's section 3 with its options (NetworkSettings): a contact head of deconvolutions and a spatial
softmax, a pose head of a transformer encoder over picture and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deft_affordance.network.encoders import TEXT_SIZE, VisualEncoder
from deft_affordance.network.settings import NetworkSettings, Turn
from deft_core.neural import import_torch

if TYPE_CHECKING:
    import torch
    from torch import nn
else:
    torch = import_torch()
    nn = torch.nn

MANO = 45
BODY = 3  # numbers that say where the arm comes from
LEAST_SPREAD = -5.0  # log of the smallest standard deviation that is believed


@dataclass
class Answer:
    """What the network says of b pictures.

    Attributes:
        heat: (b, h, w) log-probabilities of where the hand touches, over the square.
        contact: (b, 2) their mean, -1..1 across the square.
        turn: (b, 3, 3) MANO's wrist frame in the square's frame (see picture).
        hand: (b, 45) rad, relative to the flat hand.
        behind: (b,) how far behind the seen surface the hand touches, in half squares at its depth.
        spread: (b, 2) log standard deviations by axis: of the contact, in half squares, and of the wrist, rad.
    """

    heat: torch.Tensor
    contact: torch.Tensor
    turn: torch.Tensor
    hand: torch.Tensor
    behind: torch.Tensor
    spread: torch.Tensor


class AffordanceNet(nn.Module):
    """f(picture, text).

    Args:
        pretrained: begin with the visual encoder's own weights.
    """

    def __init__(self, settings: NetworkSettings, pretrained: bool = True) -> None:
        super().__init__()
        self.settings = settings
        self.vision = VisualEncoder(settings, pretrained)
        fine, middle, coarse = self.vision.channels
        text, width = TEXT_SIZE[settings.language] + BODY, settings.width
        self.film = nn.Linear(text, 2 * coarse) if settings.text_in_contact else None
        self.deconvolutions = nn.ModuleList()
        self.laterals = nn.ModuleList()
        before = coarse
        for k, channels in enumerate(settings.deconvolutions):
            self.deconvolutions.append(nn.Sequential(nn.ConvTranspose2d(before, channels, 4, 2, 1, bias=False),
                                                     nn.BatchNorm2d(channels), nn.ReLU(inplace=True)))
            if settings.laterals and k < 2:
                self.laterals.append(nn.Conv2d((middle, fine)[k], channels, 1))
            before = channels
        self.heat = nn.Conv2d(before, 1, 1)
        self.visual_token, self.text_token = nn.Linear(coarse, width), nn.Linear(text, width)
        cells = 1 if settings.pooled else (settings.picture // 32) ** 2
        self.places = nn.Parameter(0.02 * torch.randn(1, cells + 1, width))
        layer = nn.TransformerEncoderLayer(width, settings.heads, 2 * width, settings.dropout, batch_first=True,
                                           norm_first=True)
        self.transformer = nn.TransformerEncoder(layer, settings.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        numbers = (6 if settings.turn is Turn.six_d else 3) + MANO + 1
        self.pose = nn.Sequential(nn.Linear(2 * width, settings.hidden), nn.GELU(), nn.Linear(settings.hidden, numbers))
        self.spread = nn.Sequential(nn.Linear(2 * width, 64), nn.GELU(), nn.Linear(64, 2))

    def forward(self, pictures: torch.Tensor, texts: torch.Tensor, bodies: torch.Tensor) -> Answer:
        """What it says.

        Args:
            pictures: (b, 3, s, s) in 0..1.
            texts: (b, t) of the text encoder.
            bodies: (b, 3) unit vectors in the squares' frames, to where the arm comes from; zeros: not known.
        """
        features = self.vision(pictures)
        asked = torch.cat([texts, bodies], dim=1)
        heat = self._heat(features, asked)
        visual = features[-1].flatten(2).transpose(1, 2)
        if self.settings.pooled:
            visual = visual.mean(dim=1, keepdim=True)
        tokens = torch.cat([self.text_token(asked)[:, None], self.visual_token(visual)], dim=1) + self.places
        seen = self.transformer(tokens)
        latent = torch.cat([seen[:, 0], seen[:, 1:].mean(dim=1)], dim=-1)
        numbers = self.pose(latent)
        return Answer(heat, mean_place(heat), rotation(numbers[:, :-MANO - 1]), numbers[:, -MANO - 1:-1], numbers[:, -1],
                      self.spread(latent.detach()).clamp(min=LEAST_SPREAD, max=2.0))

    def _heat(self, features: list[torch.Tensor], asked: torch.Tensor) -> torch.Tensor:
        """(b, h, w) log-probabilities."""
        x = features[-1]
        if self.film is not None:
            scale, shift = self.film(asked)[:, :, None, None].chunk(2, dim=1)
            x = x * (1 + scale) + shift
        for k, deconvolution in enumerate(self.deconvolutions):
            x = deconvolution(x)
            if k < len(self.laterals):
                x = x + self.laterals[k](features[-2 - k])
        logits = self.heat(x)[:, 0]
        return nn.functional.log_softmax(logits.flatten(1), dim=1).view_as(logits)


def mean_place(heat: torch.Tensor) -> torch.Tensor:
    """(b, 2), -1..1: the mean of log-probabilities (b, h, w), whose cells' centres lie inside the square."""
    return torch.einsum("bhw,hwc->bc", heat.exp(), cell_places(heat.shape[1], heat.shape[2]).to(heat))


def cell_places(height: int, width: int) -> torch.Tensor:
    """(h, w, 2): x and y of the cells' centres, -1..1 across the square."""
    y, x = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (height, width))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def rotation(numbers: torch.Tensor) -> torch.Tensor:
    """(b, 3, 3) of axis-angle (b, 3) or of two columns (b, 6), made orthonormal."""
    if numbers.shape[1] == 3:
        return _exponential(numbers)
    first = nn.functional.normalize(numbers[:, :3], dim=1)
    second = numbers[:, 3:] - (first * numbers[:, 3:]).sum(dim=1, keepdim=True) * first
    second = nn.functional.normalize(second, dim=1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=2)


def _exponential(vectors: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (b, 3, 3) of rotation vectors (b, 3)."""
    zero = torch.zeros_like(vectors[:, 0])
    x, y, z = vectors.unbind(dim=1)
    return torch.linalg.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3))


def angle_between(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Geodesic angle (n,), rad, between rotations (n, 3, 3). Its gradient is finite everywhere but at half a turn."""
    relative = a.transpose(1, 2) @ b
    sine = 0.5 * torch.stack([relative[:, 2, 1] - relative[:, 1, 2], relative[:, 0, 2] - relative[:, 2, 0],
                              relative[:, 1, 0] - relative[:, 0, 1]], dim=1).square().sum(dim=1).add(1e-12).sqrt()
    cosine = 0.5 * (relative.diagonal(dim1=1, dim2=2).sum(dim=1) - 1)
    return torch.atan2(sine, cosine)
