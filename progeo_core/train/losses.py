"""The losses of both stages (ProGEO, arXiv 2406.01906, sections 3.2 and 3.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LABEL_SMOOTHING = 0.1


def contrastive(
    anchors: Tensor,
    anchor_labels: Tensor,
    candidates: Tensor,
    candidate_labels: Tensor,
    temperature: float = 1.0,
) -> Tensor:
    """Return the supervised contrastive loss of anchors [a, D] against candidates [c, D].

    The mean over anchors of the mean over positives (equal labels) of the log-softmax over all
    candidates, negated. Every anchor needs a positive among the candidates.
    """
    log_probability = F.log_softmax(anchors @ candidates.T / temperature, dim=1)
    positive = (anchor_labels[:, None] == candidate_labels[None, :]).to(log_probability.dtype)
    return -((positive * log_probability).sum(1) / positive.sum(1)).mean()


def prompt_contrastive(image_features: Tensor, text_features: Tensor, labels: Tensor) -> Tensor:
    """Return the stage-1 loss, image to text plus text to image; features [n, D], labels [n]."""
    return contrastive(image_features, labels, text_features, labels) + contrastive(
        text_features, labels, image_features, labels
    )


class CosFace(nn.Module):
    """Cosine classifier with a margin on the true class (CosFace, arXiv 1801.09414)."""

    def __init__(self, dimension: int, classes: int, scale: float = 30.0, margin: float = 0.4):
        super().__init__()
        self.scale = scale
        self.margin = margin
        self.weight = nn.Parameter(torch.empty(classes, dimension))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, descriptors: Tensor, labels: Tensor) -> Tensor:
        """Return logits [n, classes] of descriptors [n, D] whose classes are labels [n]."""
        cosine = F.linear(F.normalize(descriptors), F.normalize(self.weight))
        margin = self.margin * F.one_hot(labels, cosine.shape[1]).to(cosine.dtype)
        return self.scale * (cosine - margin)


def image_to_text(descriptors: Tensor, text_features: Tensor, labels: Tensor) -> Tensor:
    """Return the label-smoothed cross-entropy of descriptors [n, D] over class texts [c, D]."""
    logits = descriptors @ text_features.T
    return F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING)


def soft_triplet(descriptors: Tensor, labels: Tensor) -> Tensor:
    """Return the soft-margin triplet loss with softmax-weighted mining (arXiv 2001.04193, eq. 5).

    descriptors [n, D], labels [n]. Far positives and near negatives weigh more; an image counts
    as a positive of itself, so batches with one image per class are allowed.
    """
    distance = torch.cdist(descriptors, descriptors, compute_mode="donot_use_mm_for_euclid_dist")
    same = labels[:, None] == labels[None, :]
    farthest_positive = (_masked_softmax(distance, same) * distance).sum(1)
    closest_negative = (_masked_softmax(-distance, ~same) * distance).sum(1)
    return F.softplus(farthest_positive - closest_negative).mean()


def _masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Return the softmax over the masked entries of each row; zero where a row has none."""
    weights = scores.masked_fill(~mask, -torch.inf).softmax(1)
    return torch.where(mask, weights, torch.zeros_like(weights))
