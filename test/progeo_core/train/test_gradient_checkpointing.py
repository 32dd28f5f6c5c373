import copy

import pytest
import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer
from torch import nn

from progeo_core.train.gradient_checkpointing import recompute_blocks


@pytest.mark.parametrize(
    "tower",
    [
        ModifiedResNet([1, 1, 1, 1], output_dim=16, heads=4, image_size=64, width=8),
        VisionTransformer(64, 16, width=32, layers=2, heads=2, mlp_ratio=2, output_dim=16),
    ],
    ids=["resnet", "transformer"],
)
def test_recomputing_changes_neither_gradients_nor_statistics(tower: nn.Module) -> None:
    recomputing = copy.deepcopy(tower)
    assert recompute_blocks(recomputing) >= 2
    images = torch.randn(4, 3, 64, 64)
    for network in (tower, recomputing):
        network.train()
        network(images).square().sum().backward()
    pairs = zip(tower.named_parameters(), recomputing.parameters(), strict=True)
    for (name, plain), recomputed in pairs:
        torch.testing.assert_close(recomputed.grad, plain.grad, msg=name)
    buffers = zip(tower.named_buffers(), recomputing.buffers(), strict=True)
    for (name, before), after in buffers:
        assert torch.equal(before, after), name
