"""Images of a bag with the positions that its poses give them."""

from pathlib import Path

import numpy as np
import pytest

from progeo_core.bags.bag_source import source_of_bag
from progeo_core.bags.writer import IMAGE_TOPIC, POSE_TOPIC, write_bag
from progeo_core.errors import ImageError
from progeo_core.images.codec import read_image
from progeo_core.records.records import Records, read_records


@pytest.fixture
def records(corridor: Path) -> Records:
    return read_records(corridor / "query.csv").select(np.arange(20, 26))


@pytest.fixture
def bag(tmp_path: Path, records: Records) -> Path:
    write_bag(tmp_path / "bag", records)
    return tmp_path / "bag"


def test_records_and_images_come_in_one_order(bag: Path, records: Records) -> None:
    source = source_of_bag(bag, IMAGE_TOPIC, POSE_TOPIC)
    np.testing.assert_allclose(source.records.position, records.position)
    for image, path in zip(source.images(), records.images, strict=True):
        assert not isinstance(image, ImageError)
        np.testing.assert_array_equal(image, read_image(path))


def test_chosen_rows_are_those_of_the_topic(bag: Path, records: Records) -> None:
    rows = np.array([1, 4])
    source = source_of_bag(bag, IMAGE_TOPIC, POSE_TOPIC).select(rows)
    np.testing.assert_allclose(source.records.position, records.position[rows])
    chosen = list(source.images())
    assert len(chosen) == 2
    np.testing.assert_array_equal(chosen[1], read_image(records.images[4]))


def test_images_without_a_pose_are_named_and_the_gap_may_be_wider(
    tmp_path: Path, records: Records
) -> None:
    sparse = records.select(np.arange(6))
    sparse.stamp_ns[:] = (1_700_000_000 + 3 * np.arange(6)) * 10**9
    sparse.position[[1, 2, 4]] = np.nan
    write_bag(tmp_path / "sparse", sparse)
    source = source_of_bag(tmp_path / "sparse", IMAGE_TOPIC, POSE_TOPIC)
    assert len(source.records) == 3
    assert len(source.unplaced) == 3
    assert "within 1 s on either side" in source.unplaced[0]
    assert len(list(source.images())) == 3
    wide = source_of_bag(tmp_path / "sparse", IMAGE_TOPIC, POSE_TOPIC, max_pose_gap_s=10.0)
    assert (len(wide.records), wide.unplaced) == (6, ())
