from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.model.aggregation import Head
from progeo_core.model.network import Architecture, ProgeoNetwork, build_network
from progeo_core.train.freezing import freeze
from progeo_core.train.settings import NetworkSettings

ARCHITECTURES = [
    Architecture("CLIP-RN50", Head.GEM_LINEAR, 1024, with_text=True),
    Architecture("CLIP-RN101", Head.GEM_LINEAR, 512, with_text=True),
    Architecture("CLIP-ViT-B-16", Head.TOKEN, 512, with_text=True),
    Architecture("CLIP-ViT-B-32", Head.TOKEN, 512, with_text=True),
]


def build(architecture: Architecture) -> ProgeoNetwork:
    with torch.device("meta"):
        return build_network(architecture)


def trainable(network: ProgeoNetwork) -> set[str]:
    return {name for name, weight in network.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda one: one.backbone)
def test_the_authors_freezing(architecture: Architecture, authors_npz: Path) -> None:
    network = build(architecture)
    count = freeze(network, NetworkSettings())
    with np.load(authors_npz) as golden:
        expected = set(golden[f"trainable/{architecture.backbone}"].tolist())
    assert trainable(network) == expected
    assert count == len(expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES[1:3], ids=lambda one: one.backbone)
def test_train_all_layers_means_all_visual_ones(architecture: Architecture) -> None:
    network = build(architecture)
    freeze(network, NetworkSettings(train_all_layers=True))
    visual = {
        name
        for name, _ in network.named_parameters()
        if name.startswith(("backbone.", "aggregation."))
    }
    assert trainable(network) == visual
