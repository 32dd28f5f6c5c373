from __future__ import annotations

from typing import Any

import pytest
import torch

from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.freezing import freeze_layers, keep_statistics
from progeo_core.model.network import ProgeoNetwork, build_blank_network, build_network


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


def test_freezes_as_many_stages_of_a_mobilenet_as_it_is_told() -> None:
    network = build_blank_network(Architecture("CLIP-MobileNetV2", Head.GEM_LINEAR, 1280))
    freeze_layers(network, freeze_cnn=7)
    parts = {".".join(name.split(".")[:3]) for name in trained(network)}
    assert parts == {
        "backbone.trunk.conv_head",
        "backbone.trunk.bn2",
        "aggregation.1.p",
        "aggregation.3.weight",
        "aggregation.3.bias",
    }


def test_freezes_stages_of_mobilenetv2_by_the_blocks_that_they_have() -> None:
    network = build_blank_network(Architecture("MobileNetV2", Head.GEM_LINEAR, 1280))
    freeze_layers(network, freeze_cnn=3)
    layers = {name.split(".")[1] for name in trained(network) if name.startswith("backbone.")}
    assert layers == {str(layer) for layer in range(7, 19)}


def test_keeps_the_statistics_of_batch_normalisation() -> None:
    network = build_network(Architecture("CLIP-MobileNetV2", Head.GEM_LINEAR, 1280)).train()
    trunk: Any = network.backbone.trunk
    before = trunk.bn1.running_mean.clone()
    keep_statistics(network)
    network(torch.ones(2, 3, 32, 32))
    assert torch.equal(trunk.bn1.running_mean, before)
    assert network.aggregation.training
    network.train()(torch.ones(2, 3, 32, 32))
    assert not torch.equal(trunk.bn1.running_mean, before)


def test_trains_all_of_other_layouts() -> None:
    network = build_blank_network(Architecture("convnext_tiny", Head.GEM_LINEAR, 1024))
    freeze_layers(network)
    assert trained(network) == {name for name, _ in network.named_parameters()}
