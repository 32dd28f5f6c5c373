import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progeo_core.dataset.names import image_names
from progeo_core.errors import DataError
from progeo_core.geo import Datum, Frame, enu_from_wgs84
from progeo_core.records.cosplace_names import read_names
from progeo_core.records.records import Heading, Records, read_image_folder, read_records

DATUM = Datum(48.137, 11.575, 519.0)


def read_back(names, folder):
    """Return the records of empty files with these names, in the order of the names."""
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    records = read_image_folder(folder, Heading.AZIMUTH).records
    order = [path.name for path in records.images]
    return records.select(np.array([order.index(name) for name in names]))


@pytest.fixture
def campus(campus_loop):
    return read_records(campus_loop / "records.csv")


def test_local_metres_come_back_without_a_zone(campus, tmp_path):
    back = read_back(image_names(campus), tmp_path / "local")
    assert back.frame is Frame.LOCAL
    np.testing.assert_allclose(back.position, campus.position, atol=5.1e-4)
    np.testing.assert_allclose(back.yaw_rad, campus.yaw_rad, atol=1e-4)


def test_a_datum_puts_local_metres_on_the_globe(campus, tmp_path):
    back = read_back(image_names(campus, DATUM), tmp_path / "utm")
    assert back.frame is Frame.WGS84
    np.testing.assert_allclose(enu_from_wgs84(back.position, DATUM), campus.position, atol=2e-3)
    columns = read_names(image_names(campus, DATUM))
    assert set(columns.zone.tolist()) == {32}
    np.testing.assert_allclose(columns.lat_deg, back.position[:, 0], atol=2e-8)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.floats(-79.9, 83.9),
            st.floats(-180.0, 180.0),
            st.one_of(st.just(np.nan), st.floats(-400.0, 8000.0)),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 2**31 - 1),
)
def test_degrees_come_back_in_any_zone(tmp_path_factory, places, seconds):
    count = len(places)
    records = Records(
        images=(Path("unread.jpg"),) * count,
        position=np.array(places),
        frame=Frame.WGS84,
        yaw_rad=np.linspace(-3.0, 3.0, count),
        stamp_ns=np.full(count, seconds * 10**9 + 5),
        camera=("",) * count,
        traverse=("a drive/with @ signs",) * count,
    )
    names = image_names(records)
    assert len(set(names)) == count
    back = read_back(names, tmp_path_factory.mktemp("names") / "images")
    turned = (back.position[:, 1] - records.position[:, 1] + 180.0) % 360.0 - 180.0
    np.testing.assert_allclose(back.position[:, 0], records.position[:, 0], atol=2e-8)
    # A millimetre east is more degrees near the poles.
    assert np.abs(turned).max() < 1e-6
    np.testing.assert_allclose(back.position[:, 2], records.position[:, 2], atol=5.1e-4)
    np.testing.assert_allclose(back.yaw_rad, records.yaw_rad, atol=1e-4)
    assert back.stamp_ns.tolist() == [seconds * 10**9] * count


def test_names_tell_the_row_and_the_traverse(campus):
    named = dataclasses.replace(campus, traverse=("2024/07 loop@yard",) * len(campus))
    fields = image_names(named)[3].split("@")
    assert fields[7] == "000003"
    assert fields[14] == "2024-07-loop-yard"


def test_long_traverses_leave_file_names_short(campus, tmp_path):
    long = dataclasses.replace(campus.select(slice(1)), traverse=("x" * 5000,))
    (tmp_path / image_names(long, DATUM)[0]).touch()


def test_poles_have_no_utm(campus):
    pole = dataclasses.replace(
        campus.select(slice(1)), position=np.array([[89.0, 0.0, 0.0]]), frame=Frame.WGS84
    )
    with pytest.raises(DataError, match="UTM covers 80° south to 84° north"):
        image_names(pole)
