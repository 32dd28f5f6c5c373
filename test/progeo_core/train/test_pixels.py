from pathlib import Path

import numpy as np
import pytest

from progeo_core.errors import ImageError
from progeo_core.train.pixels import to_pixels


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize("sides", [(31, 32), (32, 31), (1, 4000)])
def test_images_too_small_for_any_place_are_refused(sides: tuple[int, int]) -> None:
    problem = to_pixels(image(*sides), Path("odd.png"))
    assert isinstance(problem, ImageError)
    assert str(problem).startswith(f"odd.png: {sides[1]} x {sides[0]} pixels are too few")
