import fcntl
from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.errors import DataError
from progeo_core.images.codec import encode_jpeg
from progeo_core.records.image_list import list_images
from progeo_core.train.descriptors import Describer, cached_descriptors, describe_images
from progeo_core.train.processes import Processes

ALONE = Processes(0, 1, torch.device("cpu"))


def describer(batches: list[int]) -> Describer:
    """Return one that gives height, width and rounded brightness, and notes its batches."""

    def encode(images: torch.Tensor) -> torch.Tensor:
        batches.append(len(images))
        brightness = (images.float().mean((1, 2, 3)) / 10).round()
        height, width = (torch.full_like(brightness, side) for side in images.shape[2:])
        return torch.stack([height, width, brightness], 1)

    return Describer(lambda image: image, encode, 3, "sides", 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with 30 images of three sizes, mixed, of brightness 10 times a number."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(30):
        image = np.full((32 * (1 + number % 3), 48, 3), 10 * (number // 3), np.uint8)
        (folder / f"{number:02d}.jpg").write_bytes(encode_jpeg(image))
    return folder


def test_rows_keep_their_order_whatever_the_sizes(folder: Path) -> None:
    batches: list[int] = []
    done: list[int] = []
    described = describe_images(describer(batches), list_images(folder), done.append)
    expected = [(32 * (1 + number % 3), 48, number // 3) for number in range(30)]
    np.testing.assert_array_equal(described.rows, expected)
    assert sum(done) == sum(batches) == 30
    assert len(batches) == 9  # ten images of each size: 4 + 4 + 2


def test_an_unreadable_image_is_a_row_of_nan(folder: Path, tmp_path: Path) -> None:
    (folder / "07.jpg").write_bytes(b"")
    (folder / "09.jpg").write_bytes(encode_jpeg(np.zeros((31, 400, 3), np.uint8)))
    images = list_images(folder)
    described = cached_descriptors(describer([]), images, tmp_path / "cache", ALONE)
    assert np.flatnonzero(np.isnan(described.rows).all(axis=1)).tolist() == [7, 9]
    assert len(described.skipped) == 2
    assert "07.jpg: the image is empty" in described.skipped[0]
    assert "09.jpg: 400 x 31 pixels are too few, 32 a side are needed" in described.skipped[1]
    assert isinstance(described.rows, np.memmap)
    # They are named again where the rows are found.
    again = cached_descriptors(describer([]), images, tmp_path / "cache", ALONE)
    assert [text.partition(": ")[0] for text in again.skipped] == [
        str(folder / "07.jpg"),
        str(folder / "09.jpg"),
    ]


def test_the_cache_is_keyed_by_model_and_images(folder: Path, tmp_path: Path) -> None:
    batches: list[int] = []
    images, cache = list_images(folder), tmp_path / "cache"
    for _ in range(2):
        cached_descriptors(describer(batches), images, cache, ALONE)
    assert sum(batches) == 30
    cached_descriptors(describer(batches)._replace(identity="other"), images, cache, ALONE)
    cached_descriptors(describer(batches), images[:10], cache, ALONE)
    assert sum(batches) == 70
    assert len(list(cache.iterdir())) == 3


def test_other_pixels_under_the_same_name_are_described_again(folder: Path, tmp_path: Path) -> None:
    images, cache = list_images(folder), tmp_path / "cache"
    (folder / "07.jpg").write_bytes(b"")
    before = cached_descriptors(describer([]), images, cache, ALONE)
    assert np.isnan(before.rows[7]).all()
    (folder / "07.jpg").write_bytes(encode_jpeg(np.full((64, 48, 3), 120, np.uint8)))
    same_size = encode_jpeg(np.full((32, 48, 3), 250, np.uint8))
    same_size += b"\0" * ((folder / "00.jpg").stat().st_size - len(same_size))
    (folder / "00.jpg").write_bytes(same_size)
    after = cached_descriptors(describer([]), images, cache, ALONE)
    assert after.skipped == ()
    assert after.rows[7].tolist() == [64, 48, 12]
    assert after.rows[0].tolist() == [32, 48, 25]


def test_what_a_killed_run_left_is_removed_and_a_living_one_is_not_disturbed(
    folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "dead.partial").touch()
    (cache / "other.npy").touch()
    with (cache / "alive.partial").open("wb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        cached_descriptors(describer([]), list_images(folder), cache, ALONE)
        names = {path.name for path in cache.iterdir()}
    assert len(names) == 3
    assert {"alive.partial", "other.npy"} < names


def test_a_cache_that_cannot_be_written_says_how_much_it_needs(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match=r"cannot be written .* GB are needed there"):
        cached_descriptors(describer([]), list_images(folder), tmp_path / "cache", ALONE)


def test_the_cache_has_its_space_before_the_work_begins(folder: Path, tmp_path: Path) -> None:
    """A mapped file that finds no space when it is written to ends its process by a signal."""
    cache, wide = tmp_path / "cache", 20_000
    taken: list[int] = []

    def encode(images: torch.Tensor) -> torch.Tensor:
        (partial,) = cache.glob("*.partial")
        taken.append(512 * partial.stat().st_blocks)
        return torch.zeros(len(images), wide)

    wide_rows = Describer(lambda image: image, encode, wide, "wide", 4)
    cached_descriptors(wide_rows, list_images(folder), cache, ALONE)
    assert taken[0] >= 30 * wide * 4


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None])
def test_a_damaged_file_of_the_cache_is_made_again(
    folder: Path, tmp_path: Path, damage: bytes | None
) -> None:
    images, cache = list_images(folder), tmp_path / "cache"
    whole = np.array(cached_descriptors(describer([]), images, cache, ALONE).rows)
    (file,) = cache.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-1] if damage is None else damage)
    np.testing.assert_array_equal(
        cached_descriptors(describer([]), images, cache, ALONE).rows, whole
    )
    assert file.read_bytes() == content
