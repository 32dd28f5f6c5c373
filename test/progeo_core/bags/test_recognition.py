import shutil

import numpy as np
import pytest

from progeo_core.bags.recognition import (
    BagTopics,
    InputKind,
    Role,
    choose_topics,
    recognize,
    source_of_path,
)
from progeo_core.bags.writer import write_bag
from progeo_core.errors import DataError, UsageError
from progeo_core.records.image_source import records_in_files
from progeo_core.records.records import read_records


@pytest.fixture(scope="module")
def bag(campus_loop, tmp_path_factory):
    """Return a bag of five frames, with one topic of images and one of poses."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    write_bag(path, read_records(campus_loop / "records.csv").select(slice(0, 5)), compressed=True)
    return path


def test_every_input_is_recognised_by_what_it_is(campus_loop, bag):
    assert recognize(campus_loop / "records.csv") is InputKind.TABLE
    assert recognize(campus_loop) is InputKind.FOLDER
    assert recognize(bag) is InputKind.BAG
    assert recognize(next(bag.glob("*.db3"))) is InputKind.BAG


def test_what_fits_nothing_is_one_error_that_says_what_would(campus_map_file, tmp_path):
    with pytest.raises(DataError, match=r"no\.csv: there is nothing here; check the path"):
        recognize(tmp_path / "no.csv")
    with pytest.raises(DataError, match=r"no table \(\.csv\), folder .* or bag .* A map is no"):
        recognize(campus_map_file)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(DataError, match="progeo localize"):
        recognize(tmp_path / "a.jpg")


@pytest.fixture
def campus_map_file(tmp_path):
    (tmp_path / "a.progeo").touch()
    return tmp_path / "a.progeo"


def test_a_bag_needs_no_topics_where_it_has_one_of_each(campus_loop, bag):
    source = source_of_path(bag, Role.QUERIES)
    expected = read_records(campus_loop / "records.csv").position[:5]
    np.testing.assert_allclose(source.records.position, expected)
    topics = choose_topics(bag, BagTopics())
    assert topics.image == "/camera/image_raw/compressed"
    with pytest.raises(UsageError, match="is a table: --image-topic"):
        source_of_path(campus_loop / "records.csv", Role.QUERIES, topics)


def test_images_of_a_bag_become_files(bag, tmp_path):
    records = records_in_files(source_of_path(bag, Role.QUERIES), tmp_path)
    assert [path.is_file() for path in records.images] == [True] * 5


def test_each_role_has_its_folder(campus_loop, tmp_path):
    image = next((campus_loop / "dataset").glob("*.png"))
    for role, count in (("database", 2), ("queries", 1)):
        (tmp_path / role).mkdir()
        for row in range(count):
            shutil.copy(image, tmp_path / role / f"@{row}@0@{'@' * 10}.png")
    assert len(source_of_path(tmp_path, Role.DATABASE).records) == 2
    assert len(source_of_path(tmp_path, Role.QUERIES).records) == 1
