from pathlib import Path

import numpy as np
import pytest

from progeo_core.bags.recognition import BagTopics
from progeo_core.commands.map_images import named_source
from progeo_core.errors import DataError, UsageError
from progeo_core.records.records import Heading


def source(records=None, images=None, bag=None, topics=None, camera_info=None, path=None):
    return named_source(
        path, records, images, bag, topics or BagTopics(), Heading.UNKNOWN, camera_info
    )


def test_a_table_brings_its_images_and_the_calibration(office):
    found = source(office / "map.csv", camera_info=office / "camera_info.yaml")
    assert len(found.records) == 18
    assert found.intrinsics[""].width == 540
    assert np.isfinite(found.records.orientation).all()


def test_one_source_is_named_and_topics_are_those_of_a_bag(office, tmp_path):
    with pytest.raises(UsageError, match="go with a bag"):
        source(images=tmp_path, topics=BagTopics(depth="/depth"))
    with pytest.raises(UsageError, match=r"exactly one .* not a path and --records"):
        source(path=tmp_path, records=office / "map.csv")
    assert len(source(path=office / "map.csv").records) == 18


def test_a_camera_that_was_never_calibrated_is_refused(office, tmp_path):
    text = (office / "camera_info.yaml").read_text()
    zero = tmp_path / "zero.yaml"
    line = next(line for line in text.splitlines() if "data: [495" in line)
    zero.write_text(text.replace(line, "  data: [0, 0, 0, 0, 0, 0, 0, 0, 0]", 1))
    with pytest.raises(DataError, match=r"zero.yaml: camera_matrix: is all zero"):
        source(office / "map.csv", camera_info=zero)


def test_an_image_has_one_name_from_any_working_folder(office, monkeypatch):
    folder = office.resolve()
    whole = source(folder / "map.csv").records.images
    monkeypatch.chdir(folder)
    for path in (Path("map.csv"), Path("..", folder.name, "map.csv")):
        assert source(path).records.images == whole
