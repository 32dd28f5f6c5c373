import datetime
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.errors import DataError, UsageError
from progeo_core.records.cosplace_names import (
    ImageName,
    format_name,
    is_image_name,
    read_name,
    read_names,
    stamp_from_timestamp,
)

# As in San Francisco XL.
SAN_FRANCISCO = (
    "37.70/@0543256.96@4178906.70@10@S@037.75641@-122.50881@sV1UuLYQ7j0@@210@0@0@@201311@@.jpg"
)

metres = st.just(math.nan) | st.floats(-1e7, 1e7)
degrees = st.just(math.nan) | st.floats(-360.0, 360.0)
texts = st.text(st.characters(exclude_characters="@/\0\n", exclude_categories=["Cs"]), max_size=12)
timestamps = st.datetimes(datetime.datetime(1970, 1, 2), datetime.datetime(2200, 1, 1)).flatmap(
    lambda time: st.integers(0, 15).map(lambda length: f"{time:%Y%m%d_%H%M%S}"[:length])
)
image_names = st.builds(
    ImageName,
    east_m=metres,
    north_m=metres,
    zone=st.integers(0, 60),
    letter=st.sampled_from(["", *"CDEFGHJKLMNPQRSTUVWX"]),
    lat_deg=degrees,
    lon_deg=degrees,
    pano_id=texts,
    tile=texts,
    heading_deg=degrees,
    pitch_deg=degrees,
    roll_deg=degrees,
    height_m=metres,
    timestamp=timestamps,
    note=texts,
)


@given(image_names)
def test_round_trip_keeps_texts_and_rounds_numbers(fields):
    back = read_name(format_name(fields))
    for name, value, read in zip(ImageName._fields, fields, back, strict=True):
        if isinstance(value, float):
            half_a_digit = 5.1e-9 if name in ("lat_deg", "lon_deg") else 5.1e-3
            assert read == pytest.approx(value, abs=half_a_digit, nan_ok=True)
        else:
            assert read == value


@given(image_names)
def test_what_was_written_once_is_written_the_same_again(fields):
    name = format_name(fields)
    assert format_name(read_name(name)) == name


@given(st.lists(image_names, max_size=5))
def test_columns_hold_what_single_names_hold(rows):
    names = [format_name(fields) for fields in rows]
    columns = read_names(f"folder@1/{name}" for name in names)
    for row, name in enumerate(names):
        fields = read_name(name)
        for field in set(columns._fields) & set(ImageName._fields):
            np.testing.assert_equal(getattr(columns, field)[row], getattr(fields, field))
        assert columns.stamp_ns[row] == stamp_from_timestamp(fields.timestamp)


def test_a_name_of_a_public_data_set():
    fields = read_name(SAN_FRANCISCO)
    assert fields[:6] == (543256.96, 4178906.70, 10, "S", 37.75641, -122.50881)
    assert fields.pano_id == "sV1UuLYQ7j0"
    assert fields.heading_deg == 210.0
    assert math.isnan(fields.height_m)
    assert fields.timestamp == "201311"


def test_fields_at_the_end_may_be_left_out():
    fields = read_name("@12.5@-3@.png")
    assert (fields.east_m, fields.north_m) == (12.5, -3.0)
    assert fields == ImageName(12.5, -3.0)._replace(
        **{name: getattr(fields, name) for name in fields._fields[2:]}
    )
    assert math.isnan(fields.heading_deg)
    assert fields.note == ""


def test_southern_zones_are_negative():
    columns = read_names(["@1@2@10@S@.jpg", "@1@2@56@H@.jpg", "@1@2@10@@.jpg", "@1@2@@@.jpg"])
    assert columns.signed_zone().tolist() == [10, -56, 10, 0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("photo.jpg", r"photo\.jpg: not an image name with '@' fields; the form is @utm_east"),
        ("a@1@2@.jpg", "not an image name"),
        ("@.jpg", "not an image name"),
        ("@east@2@.jpg", r"could not convert string to float: 'east'; rename the image"),
        ("@1@2@ten@S@.jpg", "'ten'"),
        ("@1@2@61@S@.jpg", "UTM zone '61' is not 1 to 60"),
        (f"@1@2@{'9' * 5000}@S@.jpg", "is not 1 to 60"),
        ("@1_000@2@.jpg", "'1_000' is not a number; rename the image"),
        ("@1@2@10@South@.jpg", "UTM zone letter 'South' is not one letter"),
    ],
)
def test_bad_names_are_refused_by_name(name, words):
    with pytest.raises(DataError, match=words):
        read_name(name)
    with pytest.raises(DataError, match=words):
        read_names(["@1@2@.jpg", name])


def test_text_that_would_break_the_name_is_refused():
    for note in ("a@b", "a/b"):
        with pytest.raises(UsageError, match="cannot hold '@' or '/'"):
            format_name(ImageName(1.0, 2.0, note=note))


def test_is_image_name():
    assert is_image_name(SAN_FRANCISCO)
    assert is_image_name("@1@2@.jpg")
    assert not is_image_name("@folder/photo.jpg")


@pytest.mark.parametrize(
    ("timestamp", "stamp_ns"),
    [
        ("20130704_101112", 1_372_932_672_000_000_000),
        ("20130704101112", 1_372_932_672_000_000_000),
        ("", 0),
        ("201307", 0),
        ("20130704_1011", 0),
        ("20131399_101112", 0),
        ("00010101_000000", 0),
        ("23000101_000000", 0),
        ("2013070410111²", 0),
        ("9" * 5000, 0),
        ("a summer's day", 0),
    ],
)
def test_only_whole_timestamps_are_times(timestamp, stamp_ns):
    assert stamp_from_timestamp(timestamp) == stamp_ns
