import dataclasses

import numpy as np
import pytest

from progeo_core.dataset.names import image_names
from progeo_core.dataset.plan import Fate, Plan
from progeo_core.dataset.query_tables import write_query_tables
from progeo_core.geo import Datum, Frame, enu_from_wgs84
from progeo_core.records.records import join_records, read_records

DATUM = Datum(48.137, 11.575, 519.0)


@pytest.fixture
def records(corridor):
    """Return three images of each of two drives, the later one first and each backward."""
    parts = [
        read_records(corridor / f"{name}.csv").select(slice(2, None, -1))
        for name in ("query", "ref")
    ]
    both = join_records(parts)
    odometry = np.arange(18.0).reshape(6, 3)
    return dataclasses.replace(both, odometry=odometry, depth=tuple(both.images))


def write(folder, records, fates, datum=None):
    names = image_names(records, datum)
    for fate, name in zip(fates, names, strict=True):
        (folder / fate.value).mkdir(parents=True, exist_ok=True)
        (folder / fate.value / name).touch()
    write_query_tables(folder, records, Plan(tuple(fates), {}), names, datum)


def test_queries_come_in_the_order_of_time_with_their_odometry(records, tmp_path):
    fates = [Fate.TEST_QUERIES, Fate.TRAIN, *[Fate.TEST_QUERIES] * 3, Fate.TEST_DATABASE]
    write(tmp_path, records, fates)
    table = read_records(tmp_path / "test" / "queries.csv")
    rows = [4, 3, 2, 0]
    assert table.images == tuple(
        tmp_path / "test" / "queries" / image_names(records)[row] for row in rows
    )
    assert table.traverse == ("ref", "ref", "query", "query")
    np.testing.assert_array_equal(table.odometry, records.odometry[rows])
    np.testing.assert_array_equal(table.position, records.position[rows])
    np.testing.assert_array_equal(table.stamp_ns, records.stamp_ns[rows])
    assert table.depth == (None,) * 4
    assert not (tmp_path / "val").exists()


def test_positions_are_in_the_frame_of_the_names(records, tmp_path):
    write(tmp_path, records, [Fate.VAL_QUERIES] * 6, DATUM)
    table = read_records(tmp_path / "val" / "queries.csv")
    assert table.frame is Frame.WGS84
    order = [5, 4, 3, 2, 1, 0]
    found = enu_from_wgs84(table.position, DATUM)
    np.testing.assert_allclose(found, records.position[order], atol=1e-6)
    np.testing.assert_allclose(table.yaw_rad, records.yaw_rad[order], atol=1e-9)
