"""From a feature map to one descriptor: normalise, pool, project."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from progeo_core.model.architecture import Head


class L2Norm(nn.Module):
    """Layer that scales to unit length along the channels (dimension 1)."""

    def forward(self, features: Tensor) -> Tensor:
        """Normalise features [n, C, ...]."""
        return F.normalize(features, dim=1)


class RootNorm(nn.Module):
    """Layer that divides by the square root of the length along the channels (dimension 1).

    Untrained maps need something between leaving the length, which lets a few strong spots
    decide, and L2Norm, which gives blank walls full weight.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Scale features [n, C, ...]."""
        length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
        scaled: Tensor = features / length.clamp(min=1e-6).sqrt()
        return scaled


class GeM(nn.Module):
    """Pooling by the generalised mean, (mean of x^p)^(1/p), with one learnable p.

    Radenović, Tolias, Chum 2018, "Fine-tuning CNN Image Retrieval with No Human Annotation", eq. 2.
    """

    def __init__(self, p: float = 3.0, floor: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), p))
        self.floor = floor

    def forward(self, feature_map: Tensor) -> Tensor:
        """Pool [n, C, h, w] of any size to [n, C, 1, 1]."""
        powered = feature_map.clamp(min=self.floor).pow(self.p)
        return powered.mean(dim=(2, 3), keepdim=True).pow(1.0 / self.p)


def build_aggregation(head: Head, width: int, dimension: int) -> nn.Sequential | None:
    """Build the head over a map of `width` channels; the indices are part of checkpoint keys."""
    if head is Head.TOKEN:
        return None
    if head is Head.GEM:
        return nn.Sequential(RootNorm(), GeM(), nn.Flatten(), L2Norm())
    return nn.Sequential(L2Norm(), GeM(), nn.Flatten(), nn.Linear(width, dimension), L2Norm())
