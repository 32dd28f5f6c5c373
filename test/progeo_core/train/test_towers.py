from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.model.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from progeo_core.train.clip_towers import load_towers
from progeo_core.train.options import read_options
from progeo_core.train.pixels import to_pixels
from progeo_core.train.precision import Precision
from progeo_core.train.towers import descriptor_describer, feature_describer, normalize

CPU = torch.device("cpu")
FLAGS = "--pretrained none --fc_output_dim 16 --image_size 64 --without_prompts"


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


def test_images_are_normalised_by_imagenet() -> None:
    mean = torch.tensor(IMAGENET_MEAN)[:, None, None].expand(1, 3, 2, 2)
    std = torch.tensor(IMAGENET_STD)[:, None, None]
    torch.testing.assert_close(normalize(mean), torch.zeros(1, 3, 2, 2))
    torch.testing.assert_close(normalize(mean + std), torch.ones(1, 3, 2, 2))


@pytest.mark.usefixtures("tiny_models")
@pytest.mark.parametrize("backbone", ["tiny-vit", "tiny-resnet"])
@pytest.mark.parametrize("sides", [(32, 32), (33, 777), (640, 32), (71, 53)])
def test_both_stages_describe_what_is_not_too_small(backbone: str, sides: tuple[int, int]) -> None:
    settings = read_options("Test.", [*FLAGS.split(), "--backbone", backbone])
    pixels = to_pixels(image(*sides), Path("odd.png"))
    assert isinstance(pixels, torch.Tensor)
    for stage in ("stage1", "evaluation"):
        towers = load_towers(settings, stage)
        square = settings.stage2.image_size if towers.fixed_size else None
        describer = (
            feature_describer(towers, Precision(settings.run, CPU), 1, CPU)
            if stage == "stage1"
            else descriptor_describer(towers, CPU, 1, square, "")
        )
        with torch.inference_mode():
            row = describer.encode(describer.prepare(pixels)[None])
        assert row.shape == (1, 16)
        assert torch.isfinite(row).all()


@pytest.mark.usefixtures("tiny_models")
def test_images_keep_their_size_unless_they_are_squashed() -> None:
    towers = load_towers(
        read_options("Test.", [*FLAGS.split(), "--backbone", "tiny-resnet"]), "evaluation"
    )
    pixels = torch.zeros(3, 40, 90, dtype=torch.uint8)
    whole, squashed = (descriptor_describer(towers, CPU, 1, side, "x") for side in (None, 64))
    assert whole.prepare(pixels) is pixels
    assert squashed.prepare(pixels).shape == (3, 64, 64)
    assert whole.identity != squashed.identity
    assert whole.identity != descriptor_describer(towers, CPU, 1, None, "y").identity
