"""What training makes small: the paper's L2 norms, or losses that fit heatmaps and rotations better."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from pydantic import Field

from deft_affordance.network.net import Answer, angle_between, cell_places
from deft_core.config import Config
from deft_core.neural import import_torch

if TYPE_CHECKING:
    import torch
else:
    torch = import_torch()

BLUR = 0.06  # half squares, standard deviation of a contact point on the heatmap


class ContactLoss(str, Enum):
    """How the heatmap is judged."""

    l2 = "l2"    # distance of its mean from the label's, the paper's
    nll = "nll"  # cross-entropy against the contact points
    both = "both"


class WristLoss(str, Enum):
    """How the rotation is judged."""

    l2 = "l2"              # norm of the difference of rotation vectors, the paper's
    geodesic = "geodesic"  # the angle between them


class LossSettings(Config):
    """Losses and their weights. The paper's: l2, l2, 1.0, 0.1, 0.1."""

    contact: ContactLoss = Field(default=ContactLoss.both, description="l2 | nll | both")
    wrist: WristLoss = Field(default=WristLoss.geodesic, description="l2 | geodesic")
    contact_weight: float = Field(default=1.0, ge=0.0)
    wrist_weight: float = Field(default=1.0, ge=0.0)
    hand_weight: float = Field(default=0.1, ge=0.0)
    behind_weight: float = Field(default=1.0, ge=0.0, description="of how far behind the seen surface the hand touches")
    spread_weight: float = Field(default=0.05, ge=0.0, description="of the likelihood that trains the standard deviations")


class Batch:
    """Examples as tensors on one device; `points` are padded by repetition, `behind` is NaN where it is not known."""

    def __init__(self, pictures: torch.Tensor, texts: torch.Tensor, points: torch.Tensor, contact: torch.Tensor,
                 body: torch.Tensor, turn: torch.Tensor, hand: torch.Tensor, behind: torch.Tensor) -> None:
        self.pictures, self.texts, self.points = pictures, texts, points
        self.contact, self.body, self.turn, self.hand, self.behind = contact, body, turn, hand, behind

    def to(self, device: torch.device) -> Batch:
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in (
            self.pictures, self.texts, self.points, self.contact, self.body, self.turn, self.hand, self.behind)))


def loss(answer: Answer, batch: Batch, settings: LossSettings) -> dict[str, torch.Tensor]:
    """By name; `total` is what is made small."""
    distance = (answer.contact - batch.contact).norm(dim=1)
    angle = angle_between(answer.turn, batch.turn)
    parts = {"contact": _contact(answer, batch, distance, settings.contact),
             "wrist": _wrist(answer, batch, angle, settings.wrist),
             "hand": (answer.hand - batch.hand).norm(dim=1).mean(), "behind": _behind(answer, batch),
             "spread": _spread(answer, distance, angle)}
    weights = {"contact": settings.contact_weight, "wrist": settings.wrist_weight, "hand": settings.hand_weight,
               "behind": settings.behind_weight, "spread": settings.spread_weight}
    return parts | {"total": torch.stack([weights[name] * part for name, part in parts.items()]).sum()}


def _contact(answer: Answer, batch: Batch, distance: torch.Tensor, kind: ContactLoss) -> torch.Tensor:
    if kind is ContactLoss.l2:
        return distance.mean()
    height, width = answer.heat.shape[1:]
    cells = cell_places(height, width).to(answer.heat)
    square = (cells[None, None] - batch.points[:, :, None, None]).square().sum(dim=-1)
    wanted = torch.exp(-square / (2 * BLUR**2)).sum(dim=1)
    wanted = wanted / wanted.sum(dim=(1, 2), keepdim=True).clamp(min=1e-9)
    nll = -(wanted * answer.heat).sum(dim=(1, 2)).mean()
    return nll if kind is ContactLoss.nll else nll + 3.0 * distance.mean()


def _wrist(answer: Answer, batch: Batch, angle: torch.Tensor, kind: WristLoss) -> torch.Tensor:
    if kind is WristLoss.geodesic:
        return angle.mean()
    return (logarithm(answer.turn) - logarithm(batch.turn)).norm(dim=1).mean()


def _behind(answer: Answer, batch: Batch) -> torch.Tensor:
    known = torch.isfinite(batch.behind)
    off = (answer.behind - torch.where(known, batch.behind, answer.behind.detach())).abs()
    return off.sum() / known.sum().clamp(min=1)


def logarithm(turns: torch.Tensor) -> torch.Tensor:
    """Rotation vectors (n, 3), rad, of matrices (n, 3, 3)."""
    identity = torch.eye(3, dtype=turns.dtype, device=turns.device).expand_as(turns)
    angle = angle_between(identity, turns)
    axis = torch.stack([turns[:, 2, 1] - turns[:, 1, 2], turns[:, 0, 2] - turns[:, 2, 0], turns[:, 1, 0] - turns[:, 0, 1]],
                       dim=1)
    return axis / (2 * torch.sin(angle).clamp(min=1e-4))[:, None] * angle[:, None]


def _spread(answer: Answer, distance: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of the errors under the predicted standard deviations, which alone it trains."""
    log = answer.spread
    errors = torch.stack([distance, angle], dim=1).detach()
    axes = torch.tensor([2.0, 3.0], device=log.device)
    return (errors.square() / (2 * torch.exp(2 * log)) + axes * log).sum(dim=1).mean()
