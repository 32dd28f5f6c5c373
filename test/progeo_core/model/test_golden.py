"""The network against values that the authors' own code computed with seeded weights."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.backbone import resize_backbone
from progeo_core.model.freezing import freeze_layers
from progeo_core.model.network import ProgeoNetwork, build_blank_network
from progeo_core.model.position_embedding import Grid, interpolate_position_embedding
from progeo_core.model.prompt import PromptLearner, prompt_tokens
from progeo_core.model.weights import load_weights
from test.progeo_core.model import seeded

TOLERANCE = 1e-4
RESNETS = {"CLIP-RN50": 1024, "CLIP-RN101": 512}
TRANSFORMERS = {"CLIP-ViT-B-16": 512, "CLIP-ViT-B-32": 512}


@pytest.fixture(scope="module")
def golden(authors_npz: Path) -> Any:
    return np.load(authors_npz)


@pytest.fixture(params=[*RESNETS, *TRANSFORMERS])
def backbone(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param
    gc.collect()  # half a gigabyte of weights each


def relative_error(found: Tensor, expected: np.ndarray) -> float:
    """Return the largest difference over the largest expected magnitude."""
    assert tuple(found.shape) == expected.shape
    return float(np.abs(found.numpy() - expected).max() / np.abs(expected).max())


def seeded_network(name: str, image_size: int) -> ProgeoNetwork:
    """Build the whole network, text side included, with the weights that the names draw."""
    head = Head.GEM_LINEAR if name in RESNETS else Head.TOKEN
    dimension = {**RESNETS, **TRANSFORMERS}[name]
    network = build_blank_network(Architecture(name, head, dimension, with_text=True))
    resize_backbone(network.backbone, image_size, image_size)
    load_weights(network, seeded.state_like(network.state_dict()), "seeds")
    return network


@pytest.mark.slow
@torch.inference_mode()
def test_computes_what_the_authors_do(backbone: str, golden: Any) -> None:
    network = seeded_network(backbone, 512)
    errors = {
        f"stage2/{backbone}": network(seeded.images("images512", 2, 3, 512, 512)),
        f"text/{backbone}": text_features(network),
    }
    if backbone in RESNETS:
        errors[f"stage2_rect/{backbone}"] = network(seeded.images("imagesrect", 1, 3, 384, 640))
    else:
        set_position_embedding(network, 224)
    errors[f"stage1/{backbone}"] = network.clip_features(seeded.images("images224", 2, 3, 224, 224))

    for name, found in errors.items():
        assert relative_error(found, golden[name]) <= TOLERANCE, name


@pytest.mark.slow
def test_has_the_authors_names_and_trains_what_they_train(backbone: str, golden: Any) -> None:
    head = Head.GEM_LINEAR if backbone in RESNETS else Head.TOKEN
    dimension = {**RESNETS, **TRANSFORMERS}[backbone]
    network = build_blank_network(Architecture(backbone, head, dimension, with_text=True))
    freeze_layers(network)
    trainable = {name for name, weight in network.named_parameters() if weight.requires_grad}

    assert set(network.state_dict()) == set(golden[f"keys/{backbone}"])
    assert trainable == set(golden[f"trainable/{backbone}"])


@pytest.mark.parametrize(("patch", "rows"), [(16, 197), (32, 50)])
def test_interpolates_position_embeddings(patch: int, rows: int, golden: Any) -> None:
    embedding = seeded.images(f"pos{patch}", rows, 24)
    grid = Grid(512 // patch, 512 // patch)

    found = interpolate_position_embedding(embedding, grid)

    assert relative_error(found, golden[f"pos_interp/{patch}"]) <= TOLERANCE
    assert torch.equal(found[0], embedding[0])


def test_tokenises_the_prompt(golden: Any) -> None:
    assert np.array_equal(prompt_tokens().numpy(), golden["prompt_tokens"])


def text_features(network: ProgeoNetwork) -> Tensor:
    assert network.token_embedding is not None
    assert network.text_encoder is not None
    prompts = PromptLearner(network.token_embedding, classes=5)
    prompts.cls_ctx.copy_(seeded.weight("cls_ctx", (5, 4, 512)))
    features: Tensor = network.text_encoder(prompts(torch.tensor([3, 0, 3, 4])))
    return features


def set_position_embedding(network: ProgeoNetwork, image_size: int) -> None:
    """Draw the position embedding anew, as a network that is built for this size has it."""
    resize_backbone(network.backbone, image_size, image_size)
    weight = network.backbone.get_parameter("positional_embedding")
    weight.copy_(seeded.weight("backbone.positional_embedding", tuple(weight.shape)))
