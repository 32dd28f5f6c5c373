import numpy as np
import pytest

from progeo_core.images.codec import Image, read_image
from progeo_core.verification.dense_features import find_cells
from progeo_core.verification.dense_similarity import GRID, dense_similarity


@pytest.fixture(scope="module")
def image(corridor) -> Image:
    return read_image(corridor / "ref" / "0000030.jpg")


def test_cells_have_unit_length(image: Image) -> None:
    cells = find_cells(image)
    assert cells.shape == (GRID * GRID, 96)
    assert cells.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(cells, axis=1), 1.0, atol=1e-5)


def test_cells_are_in_rows_from_the_upper_left(image: Image) -> None:
    """Change one corner of an image: only the cells near it change."""
    changed = image.copy()
    changed[: image.shape[0] // 8, : image.shape[1] // 8] = 255
    moved = 1.0 - np.sum(find_cells(image) * find_cells(changed), axis=1).reshape(GRID, GRID)
    assert np.unravel_index(moved.argmax(), moved.shape) < (4, 4)
    assert moved[:4, :4].mean() > 10 * moved[GRID // 2 :, GRID // 2 :].mean()


def test_the_size_of_an_image_hardly_matters(image: Image) -> None:
    small = np.ascontiguousarray(image[::2, ::2])
    assert dense_similarity(find_cells(image), find_cells(small)) > 0.8
