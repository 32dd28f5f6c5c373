from __future__ import annotations

import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.network import build_blank_network, build_network


def test_an_architecture_is_one_line() -> None:
    assert str(Architecture("CLIP-RN50", Head.GEM_LINEAR, 1024)) == "CLIP-RN50+GeM+Linear"
    assert str(Architecture("CLIP-ViT-B-16", Head.TOKEN, 512)) == "CLIP-ViT-B-16"


@torch.inference_mode()
def test_describes_images_of_any_size() -> None:
    network = build_network(Architecture("MobileNetV2", Head.GEM_LINEAR, 16))
    assert not network.training
    for size in ((64, 64), (96, 160)):
        descriptors = network(torch.rand(2, 3, *size))
        assert descriptors.shape == (2, 16)
        assert torch.allclose(descriptors.norm(dim=1), torch.ones(2))


def test_a_blank_network_waits_for_its_weights() -> None:
    network = build_blank_network(Architecture("CLIP-RN50", Head.GEM_LINEAR, 1024, with_text=True))
    names = network.state_dict()
    assert all(weight.is_meta for weight in network.backbone.parameters())
    assert {name.partition(".")[0] for name in names} == {
        "backbone",
        "aggregation",
        "token_embedding",
        "text_encoder",
    }


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Architecture("CLIP-RN50", Head.TOKEN, 1024), "gives a map, which the head 'token'"),
        (Architecture("CLIP-ViT-B-16", Head.GEM, 512), "gives a token, which the head 'gem'"),
        (Architecture("MobileNetV2", Head.GEM, 512), "gives 1280-D descriptors, not 512-D"),
        (Architecture("MobileNetV2", Head.GEM, 1280, with_text=True), "has no text side"),
    ],
)
def test_refuses_parts_that_do_not_go_together(architecture: Architecture, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_blank_network(architecture)
