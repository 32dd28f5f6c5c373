from __future__ import annotations

import pytest

from progeo_core.model.aggregation import Head
from progeo_core.model.freezing import freeze_layers
from progeo_core.model.network import Architecture, ProgeoNetwork, build_blank_network


def trained(network: ProgeoNetwork) -> set[str]:
    return {name for name, weight in network.named_parameters() if weight.requires_grad}


@pytest.fixture
def resnet() -> ProgeoNetwork:
    return build_blank_network(Architecture("CLIP-RN50", Head.GEM_LINEAR, 1024, with_text=True))


def test_freezes_as_many_stages_as_it_is_told(resnet: ProgeoNetwork) -> None:
    freeze_layers(resnet, freeze_cnn=4)
    parts = {".".join(name.split(".")[:2]) for name in trained(resnet)}
    assert parts == {"backbone.attnpool", "aggregation.1", "aggregation.3"}


def test_trains_everything_visual_if_told(resnet: ProgeoNetwork) -> None:
    freeze_layers(resnet, train_all_layers=True)
    visual = {
        name
        for name, _ in resnet.named_parameters()
        if name.startswith(("backbone.", "aggregation."))
    }
    assert trained(resnet) == visual


def test_freezes_as_many_blocks_as_it_is_told() -> None:
    network = build_blank_network(Architecture("CLIP-ViT-B-32", Head.TOKEN, 512))
    freeze_layers(network, freeze_trans=11)
    blocks = {name.split(".")[3] for name in trained(network) if "resblocks" in name}
    assert blocks == {"11"}


def test_trains_all_of_other_layouts() -> None:
    network = build_blank_network(Architecture("convnext_tiny", Head.GEM_LINEAR, 1024))
    freeze_layers(network)
    assert trained(network) == {name for name, _ in network.named_parameters()}
