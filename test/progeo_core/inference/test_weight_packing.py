from __future__ import annotations

import copy
import platform
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from progeo_core.inference.batch_norm_fusion import fuse_batch_norms
from progeo_core.inference.weight_packing import (
    PackedAttention,
    PackedBottleneck,
    PackedConvolution,
    PackedLinear,
    pack_weights,
)

on_x86 = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"}, reason="weights are packed on x86-64 only"
)


def transformer(activation: type[nn.Module]) -> nn.Module:
    return VisionTransformer(
        image_size=64,
        patch_size=16,
        width=32,
        layers=2,
        heads=4,
        mlp_ratio=4.0,
        output_dim=8,
        act_layer=activation,
    )


def resnet() -> nn.Module:
    return ModifiedResNet([2, 1, 1, 1], output_dim=8, heads=4, image_size=64, width=8)


@on_x86
@pytest.mark.parametrize(
    ("build", "packed"),
    [
        (resnet, {PackedConvolution, PackedBottleneck}),
        (lambda: mobilenet_v2().features, {PackedConvolution}),
        (lambda: transformer(QuickGELU), {PackedConvolution, PackedLinear, PackedAttention}),
        (lambda: transformer(nn.GELU), {PackedConvolution, PackedAttention}),
    ],
    ids=["ResNet", "MobileNetV2", "ViT QuickGELU", "ViT GELU"],
)
@pytest.mark.parametrize(("kind", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.03)])
@torch.inference_mode()
def test_computes_the_same_for_any_number_of_images(
    build: object, packed: set[type], kind: str, tolerance: float
) -> None:
    torch.manual_seed(0)
    network: nn.Module = build().eval()  # type: ignore[operator]
    expected = copy.deepcopy(network)
    fuse_batch_norms(network)
    network.to(getattr(torch, kind)).to(memory_format=torch.channels_last)
    pack_weights(network)

    assert packed <= {type(module) for module in network.modules()}
    for count in (1, 3):
        images = torch.randn(count, 3, 64, 64)
        ours, theirs = network(images.to(getattr(torch, kind))).float(), expected(images)
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


@torch.inference_mode()
def test_threads_may_share_a_network_from_its_first_image_on() -> None:
    torch.manual_seed(0)
    network, images = transformer(QuickGELU).eval(), torch.randn(1, 3, 64, 64)
    expected = network(images)
    pack_weights(network)

    with ThreadPoolExecutor(8) as threads:
        described = list(threads.map(torch.inference_mode()(network.forward), [images] * 16))

    for one in described:
        assert (one - expected).abs().max() <= 1e-5 * expected.abs().max()


@torch.inference_mode()
def test_leaves_blocks_alone_that_still_normalise() -> None:
    torch.manual_seed(0)
    network = resnet().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    images = torch.randn(1, 3, 64, 64)
    expected = network(images)

    pack_weights(network)

    assert (network(images) - expected).abs().max() <= 1e-5 * expected.abs().max()


@torch.inference_mode()
def test_leaves_layers_alone_whose_weights_are_read_elsewhere() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)
            self.padded = nn.Conv2d(1, 1, 3, padding="same")

        def forward(self, rows: Tensor) -> Tensor:
            return rows @ self.layer.weight.T

    network = Reader().eval()
    pack_weights(network)
    assert network(torch.ones(1, 4)).shape == (1, 2)
    assert type(network.padded) is nn.Conv2d
