from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from progeo_core.errors import ModelMismatchError
from progeo_core.model.architecture import Head
from progeo_core.model.assembly import architecture_of, assemble, image_size_of
from progeo_core.model.backbone import blank_backbone, build_mobilenet

VIT = "ViT-S-32-alt"


def trunk() -> dict[str, Tensor]:
    state = build_mobilenet().tower.state_dict()
    return {f"backbone.{name}": weight for name, weight in state.items()}


def test_reads_the_head_off_the_weights() -> None:
    plain = architecture_of({}, "MobileNetV2")
    assert (plain.head, plain.dimension, plain.with_text) == (Head.GEM, 1280, False)
    projected = architecture_of({"aggregation.3.weight": torch.zeros(64, 1280)}, "MobileNetV2")
    assert (projected.head, projected.dimension) == (Head.GEM_LINEAR, 64)
    token = architecture_of({"token_embedding.weight": torch.zeros(1)}, VIT)
    assert (token.head, token.with_text) == (Head.TOKEN, True)


def test_reads_the_image_size_off_the_position_embedding() -> None:
    blank: Any = blank_backbone(VIT)
    width = blank.tower.positional_embedding.shape[1]
    for patches in (7, 16):
        state = {"backbone.positional_embedding": torch.zeros(1 + patches**2, width)}
        assert image_size_of(state, blank) == 32 * patches
    assert image_size_of({}, blank) == 224
    assert image_size_of({}, blank_backbone("MobileNetV2")) == 512


def test_weights_of_a_backbone_get_a_head() -> None:
    state = trunk()
    network = assemble(architecture_of(state, "MobileNetV2"), state, "trunk.pth")
    loaded = network.state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in state.items())
    assert not any(weight.is_meta for weight in loaded.values())


def test_names_the_source_of_weights_that_do_not_fit() -> None:
    state = {**trunk(), "backbone.0.0.weight": torch.zeros(3)}
    with pytest.raises(
        ModelMismatchError, match=r"trunk\.pth: .*'backbone.0.0.weight' has another"
    ):
        assemble(architecture_of(state, "MobileNetV2"), state, "trunk.pth")
