from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.errors import ImageError
from progeo_core.train.clip_towers import load_towers
from progeo_core.train.options import read_options
from progeo_core.train.pixels import to_pixels
from progeo_core.train.precision import Precision
from progeo_core.train.towers import descriptor_describer, feature_describer

CPU = torch.device("cpu")
FLAGS = "--pretrained none --fc_output_dim 16 --image_size 64 --without_prompts"


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize("sides", [(31, 32), (32, 31), (1, 4000)])
def test_images_too_small_for_any_place_are_refused(sides: tuple[int, int]) -> None:
    problem = to_pixels(image(*sides), Path("odd.png"))
    assert isinstance(problem, ImageError)
    assert str(problem).startswith(f"odd.png: {sides[1]} x {sides[0]} pixels are too few")


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
