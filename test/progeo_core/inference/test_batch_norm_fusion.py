from __future__ import annotations

import torch
from open_clip.modified_resnet import ModifiedResNet
from torch import nn
from torchvision.models import mobilenet_v2

from progeo_core.inference.batch_norm_fusion import fuse_batch_norms


def trained(network: nn.Module) -> nn.Module:
    """Give batch statistics that matter."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


@torch.inference_mode()
def test_computes_the_same_without_batch_norms() -> None:
    torch.manual_seed(0)
    resnet = ModifiedResNet([2, 1, 1, 1], output_dim=8, heads=4, image_size=64, width=8)
    for network in (trained(resnet), trained(mobilenet_v2().features)):
        images = torch.randn(2, 3, 64, 64)
        expected = network(images)

        fuse_batch_norms(network)

        assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        assert (network(images) - expected).abs().max() <= 1e-5 * expected.abs().max()


@torch.inference_mode()
def test_leaves_modules_of_unknown_order_alone() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3)

    network = Backwards().eval()
    fuse_batch_norms(network)
    assert isinstance(network.norm, nn.BatchNorm2d)
