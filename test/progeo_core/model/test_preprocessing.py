from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from progeo_core.errors import ImageError
from progeo_core.images.codec import Image, read_image
from progeo_core.model.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def photo(campus_loop: Path) -> Image:
    return read_image(campus_loop / "dataset" / "image_0.png")


def test_takes_mirrored_and_read_only_images(photo: Image) -> None:
    preprocessing = Preprocessing(64, 64)
    frozen = photo.copy()
    frozen.setflags(write=False)

    assert np.array_equal(preprocessing.resize(frozen), preprocessing.resize(photo))
    mirrored = preprocessing.resize(photo[:, ::-1])
    assert np.array_equal(mirrored, preprocessing.resize(np.ascontiguousarray(photo[:, ::-1])))


def test_normalises_by_the_statistics_of_imagenet() -> None:
    black_and_white = np.repeat(np.array([0, 255], np.uint8), 48).reshape(2, 3, 4, 4)

    normalized = Preprocessing(4, 4).normalize(black_and_white)

    expected_black = [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]
    expected_white = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert normalized.dtype == np.float32
    assert normalized[0, :, 0, 0].tolist() == pytest.approx(expected_black, abs=1e-5)
    assert normalized[1, :, 3, 3].tolist() == pytest.approx(expected_white, abs=1e-5)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["grey", "alpha", "float", "empty"],
)
def test_refuses_what_is_no_rgb_image(image: Image) -> None:
    with pytest.raises(ImageError, match="must be RGB uint8"):
        Preprocessing().resize(image)


def test_says_what_it_does_in_one_line() -> None:
    line = str(Preprocessing(480, 640, "bicubic"))
    assert line == "640x480 bicubic, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
