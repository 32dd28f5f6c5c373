"""Positions of a benchmark that lie in several UTM zones, or in none."""

from pathlib import Path

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.geo import utm_from_wgs84
from progeo_core.records.cosplace_names import ImageName, format_name
from progeo_core.train.benchmark import Benchmark, find_benchmarks, recall_of, right_predictions

BORDERS = {
    "zones": [(48.0, 11.9999), (48.0, 12.0001)],
    "equator": [(-0.0001, 9.0), (0.0001, 9.0)],
    "antimeridian": [(-17.0, 179.9999), (-17.0, -179.9999)],
}
FAR = (48.0, 30.0)


def write(folder: Path, *names: str) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).touch()


def name_at(lat: float, lon: float) -> str:
    return format_name(ImageName(*utm_from_wgs84(lat, lon)))


@pytest.mark.parametrize("border", BORDERS)
def test_a_query_across_a_border_finds_its_neighbour(tmp_path: Path, border: str) -> None:
    query, neighbour = BORDERS[border]
    write(tmp_path / "queries", name_at(*query))
    write(tmp_path / "database", name_at(*neighbour), name_at(*FAR))
    (benchmark,) = find_benchmarks(str(tmp_path), "test")
    near = [image.name == name_at(*neighbour) for image in benchmark.database.images]
    predictions = np.array([[near.index(True), near.index(False), -1]])
    assert right_predictions(benchmark, predictions, 25.0).tolist() == [[True, False, False]]
    assert right_predictions(benchmark, predictions, 10.0).tolist() == [[False] * 3]
    recall = recall_of(benchmark, np.tile(predictions, (1, 7)), 25.0)
    assert (recall.at[1], recall.with_positives) == (1.0, 1)


def matched(folder: Path, query: str, *database: str) -> Benchmark:
    write(folder / "queries", query)
    write(folder / "database", *database)
    (benchmark,) = find_benchmarks(str(folder), "test")
    return benchmark


@pytest.mark.parametrize("zoneless", ["queries", "database"])
def test_names_without_a_zone_meet_those_with_one(tmp_path: Path, zoneless: str) -> None:
    utm = utm_from_wgs84(48.0, 11.0)
    names = [f"@{utm.east_m:.3f}@{utm.north_m:.3f}@.jpg", name_at(48.0, 11.0)]
    benchmark = matched(tmp_path, *(names if zoneless == "queries" else names[::-1]))
    assert right_predictions(benchmark, np.array([[0]]), 1.0).all()


def test_names_that_cannot_be_matched_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="queries: the names have no UTM zone, but those that they"):
        matched(tmp_path, "@1@2@.jpg", name_at(48.0, 11.0))
