from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from progeo_core.model.backbone import (
    FeatureKind,
    blank_backbone,
    build_mobilenet,
    feature_map,
    resize_backbone,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "kind", "width"),
    [
        ("CLIP-RN101", FeatureKind.MAP, 2048),
        ("CLIP-ViT-B-16", FeatureKind.TOKEN, 512),
        ("MobileCLIP2-S0", FeatureKind.MAP, 1024),
        ("MobileCLIP-B", FeatureKind.TOKEN, 512),
        ("convnext_base", FeatureKind.MAP, 1024),
        ("ViT-B-16-SigLIP", FeatureKind.TOKEN, 768),
        ("coca_ViT-B-32", FeatureKind.TOKEN, 512),
        ("roberta-ViT-B-32", FeatureKind.TOKEN, 512),
        ("MobileNetV2", FeatureKind.MAP, 1280),
    ],
)
def test_knows_what_a_tower_gives(backbone: str, kind: FeatureKind, width: int) -> None:
    blank = blank_backbone(backbone)
    assert (blank.kind, blank.width) == (kind, width)


def test_a_blank_backbone_takes_no_memory() -> None:
    assert all(weight.is_meta for weight in blank_backbone("CLIP-ViT-B-16").tower.parameters())


@torch.inference_mode()
def test_gives_the_map_before_any_pooling() -> None:
    trunk = build_mobilenet().tower.eval()
    images = torch.rand(2, 3, 64, 96)
    features = feature_map(trunk, images)
    assert features.shape == (2, 1280, 2, 3)
    assert torch.equal(features, trunk(images))


def test_a_transformer_is_fitted_to_another_image_size() -> None:
    tower: Any = blank_backbone("ViT-S-32-alt").tower.to_empty(device="cpu")
    embedding = torch.nn.init.normal_(tower.positional_embedding).detach().clone()
    resize_backbone(tower, 448, 224)
    assert tower.positional_embedding.shape == (1 + 14 * 7, embedding.shape[1])
    assert torch.equal(tower.positional_embedding[0], embedding[0])
    patches = embedding[1:].T.reshape(1, -1, 7, 7)
    expected = F.interpolate(patches, (14, 7), mode="bicubic", align_corners=True)
    assert torch.equal(tower.positional_embedding[1:], expected[0].flatten(1).T)


@pytest.mark.slow  # a program starts
def test_no_library_is_imported_while_tensors_have_no_numbers() -> None:
    program = (
        "import sys, torch; from progeo_core.model.backbone import CLIP_MOBILENET, on_no_device\n"
        "with on_no_device(CLIP_MOBILENET):\n"
        "    print('open_clip' in sys.modules, torch.empty(1).is_meta)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert ran.stdout.split() == ["True", "True"]
