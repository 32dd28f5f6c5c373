from __future__ import annotations

import pytest
import torch
from open_clip.transformer import VisionTransformer

from progeo_core.inference.class_token import ClassTokenBlock, skip_unread_tokens


def tower(**options: object) -> VisionTransformer:
    torch.manual_seed(0)
    shape = {"image_size": 64, "patch_size": 16, "width": 32, "layers": 2, "heads": 4}
    return VisionTransformer(**shape, mlp_ratio=4.0, output_dim=8, **options).eval()


@torch.inference_mode()
@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.5}, {"final_ln_after_pool": True}])
def test_gives_the_same_embedding(options: dict[str, object]) -> None:
    network, images = tower(**options), torch.randn(3, 3, 64, 64)
    expected = network(images)

    skip_unread_tokens(network)

    assert isinstance(network.transformer.resblocks[-1], ClassTokenBlock)
    assert (network(images) - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("options", [{"pool_type": "avg"}, {"output_tokens": True}])
def test_leaves_towers_alone_that_give_all_tokens(options: dict[str, object]) -> None:
    network = tower(**options)
    skip_unread_tokens(network)
    assert not isinstance(network.transformer.resblocks[-1], ClassTokenBlock)
