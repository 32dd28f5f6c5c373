"""Queries of another aspect than the database, as the VG benchmark fits them to its size.

The names are those of its `--test_method` (Berton et al., CVPR 2022, "Deep Visual Geo-localization
Benchmark").
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from progeo_core.errors import UsageError
from progeo_core.train.crop_ranking import CROPS
from progeo_core.train.descriptors import Describer
from progeo_core.train.settings import (
    FIVE_CROPS,
    HARD_RESIZE,
    RANKED_CROPS,
    SINGLE_QUERY,
    TrainingSettings,
)
from progeo_core.train.towers import Towers


def check_test_method(settings: TrainingSettings, towers: Towers) -> None:
    """Raise `UsageError` where a network that takes squares only would get other queries."""
    if towers.fixed_size and settings.evaluation.test_method == SINGLE_QUERY:
        raise UsageError(
            f"--test_method {SINGLE_QUERY} keeps the aspect of queries, and"
            f" {settings.network.backbone} takes squares only: give central_crop or {FIVE_CROPS}"
        )


def query_describer(settings: TrainingSettings, whole: Describer) -> Describer:
    """Return the describer of queries by `--test_method`; whole: that of the database.

    Where the crops are ranked, a row holds the descriptors of all five, one after the other.
    """
    method, side = settings.evaluation.test_method, settings.stage2.image_size
    if method == HARD_RESIZE:
        return whole

    apart = method in RANKED_CROPS

    def encode(images: Tensor) -> Tensor:
        rows = whole.encode(images.flatten(0, 1)).reshape(*images.shape[:2], -1)
        return rows.flatten(1) if apart else rows.mean(dim=1)

    views = CROPS if apart or method == FIVE_CROPS else 1
    return whole._replace(
        prepare=lambda image: query_views(image, side, method),
        encode=encode,
        dimension=whole.dimension * (views if apart else 1),
        identity=f"{'each crop' if apart else method} of {side}, {whole.identity}",
        batch_size=max(1, whole.batch_size // views),
    )


def query_views(image: Tensor, side: int, method: str) -> Tensor:
    """Return the views [v, 3, h, w] of an image [3, h, w] whose shorter side becomes `side`.

    The whole of it, the square in its middle, or that and the four at its corners.
    """
    scaled: Tensor = functional.resize(image, [side], antialias=True)
    if method == SINGLE_QUERY:
        return scaled[None]
    if method in (FIVE_CROPS, *RANKED_CROPS):
        return torch.stack(functional.five_crop(scaled, [side, side]))
    middle: Tensor = functional.center_crop(scaled, [side, side])
    return middle[None]
