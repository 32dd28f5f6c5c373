import csv
import dataclasses
import math
import os
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Datum, Frame, utm_from_wgs84, yaw_from_heading
from progeo_core.poses.camera_pose import yaw_of
from progeo_core.records.cosplace_names import ImageName, format_name
from progeo_core.records.image_source import FileSource, source_of_records
from progeo_core.records.records import (
    Heading,
    Records,
    join_records,
    read_image_folder,
    read_placed_records,
    read_records,
    write_records,
)
from test.progeo_core.images import bombs

PHOTO = Path(__file__).parents[2] / "data/rtabmap_corridor_loop/images/1.jpg"
OTHER = PHOTO.with_name("2.jpg")


@pytest.fixture
def folder(tmp_path):
    """Make a folder of images by name; what they show does not matter."""
    path = tmp_path / "images"
    path.mkdir()

    def make(*names):
        for name in names:
            shutil.copyfile(PHOTO, path / name)
        return path

    return make


def name_at(lat, lon, **fields):
    utm = utm_from_wgs84(lat, lon)
    return format_name(ImageName(*utm, **fields))


def write_geotagged(path, lat, lon):
    exif = PIL.Image.Exif()
    exif.get_ifd(0x8825).update(
        {
            1: "NS"[lat < 0],
            2: (abs(lat), 0, 0),
            3: "EW"[lon < 0],
            4: (abs(lon), 0, 0),
            16: "T",
            17: 90,
        }
    )
    with PIL.Image.open(PHOTO) as image:
        image.save(path, exif=exif)


def test_reads_the_shipped_corridor(corridor):
    records = read_records(corridor / "ref.csv")
    with (corridor / "ref.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(records) == len(rows) == 111
    assert records.frame is Frame.LOCAL
    assert records.images[5] == corridor / rows[5]["image"]
    assert records.position[:, 0].tolist() == [float(row["x_m"]) for row in rows]
    assert records.stamp_ns.tolist() == [int(row["stamp_ns"]) for row in rows]
    assert set(records.camera) == {"front"}
    assert set(records.traverse) == {"ref"}


def test_reads_the_shipped_campus_loop(campus_loop):
    records = read_records(campus_loop / "records.csv")
    assert len(records) == 72
    assert records.yaw_rad[0] == pytest.approx(-1.4902230114779733)
    assert not records.stamp_ns.any()
    assert set(records.camera) == set(records.traverse) == {""}
    assert records.default_datum() is None
    assert records.to_local(None) is records


def test_blank_cells_are_unknown_and_absolute_paths_are_kept(tmp_path):
    path = tmp_path / "records.csv"
    path.write_text(
        "image,lat_deg,lon_deg,alt_m,heading_deg,stamp_ns\n"
        f"{PHOTO},48.1,11.5,,,\n{PHOTO},48.1,11.6,500,90,7\n"
    )
    records = read_records(path)
    assert records.images == (PHOTO, PHOTO)
    assert records.frame is Frame.WGS84
    assert records.yaw_rad == pytest.approx([math.nan, 0.0], nan_ok=True)
    assert records.position[:, 2] == pytest.approx([math.nan, 500.0], nan_ok=True)
    assert records.stamp_ns.tolist() == [0, 7]
    assert records.default_datum() == Datum(48.1, 11.5, 500.0)


def test_a_table_that_is_written_is_read_as_the_same_records(tmp_path):
    (tmp_path / "drive").mkdir()
    images = [tmp_path / "drive" / name for name in ("1,é.jpg", "2.jpg")]
    for image in images:
        image.touch()
    records = Records(
        images=tuple(images),
        position=np.array([[48.1, 11.0 / 3.0, 519.0], [-1e-7, 179.9, np.nan]]),
        frame=Frame.WGS84,
        yaw_rad=np.array([1.0, np.nan]),
        stamp_ns=np.array([1_700_000_000_000_000_001, 1_700_000_000_100_000_000], np.int64),
        camera=("front", ""),
        traverse=("monday, early", "tuesday"),
        orientation=np.array([[np.nan] * 4, [0.5, -0.5, 0.5, 0.5]]),
        depth=(images[1], None),
        odometry=np.array([[1e-9, -2e5, 3.0], [np.nan] * 3]),
    )
    write_records(tmp_path / "all.csv", records)
    read = read_records(tmp_path / "all.csv")
    records.yaw_rad[1] = yaw_of(records.orientation)[1]
    for field in dataclasses.fields(Records):
        expected, found = getattr(records, field.name), getattr(read, field.name)
        if isinstance(expected, np.ndarray):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        else:
            assert found == expected
    assert read.stamp_ns[0] == records.stamp_ns[0]


def test_yaw_is_wrapped(tmp_path):
    path = tmp_path / "records.csv"
    path.write_text(f"image,x_m,y_m,yaw_rad\n{PHOTO},0,0,{1.5 * math.pi}\n")
    assert read_records(path).yaw_rad == pytest.approx([-math.pi / 2])


def test_degrees_become_metres_from_a_datum(tmp_path):
    path = tmp_path / "records.csv"
    path.write_text(
        f"image,lat_deg,lon_deg,alt_m\n{PHOTO},48.137,11.575,519\n{OTHER},48.138,11.575,\n"
    )
    records = read_records(path)
    local = records.to_local(records.default_datum())
    assert local.frame is Frame.LOCAL
    assert local.position == pytest.approx(np.array([[0, 0, 0], [0, 111.2, 0]]), abs=0.02)
    with pytest.raises(UsageError, match="a datum LAT,LON"):
        records.to_local(None)


def test_select_takes_row_numbers_masks_and_slices(corridor):
    records = read_records(corridor / "query.csv")
    even = records.select(slice(0, None, 2))
    mask = np.arange(len(records)) % 2 == 0
    assert even.images == records.images[::2] == records.select(mask).images
    assert even.stamp_ns.tolist() == records.stamp_ns[::2].tolist()
    backwards = records.select(np.array([3, 1]))
    assert backwards.images == (records.images[3], records.images[1])
    assert backwards.position[:, 0].tolist() == [3.0, 1.0]
    assert len(records.select(np.zeros(len(records), bool))) == 0


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="every column must have 1 rows"):
        Records(
            (PHOTO,),
            np.zeros((1, 3)),
            Frame.LOCAL,
            np.zeros(2),
            np.zeros(1, np.int64),
            ("",),
            ("",),
        )


def test_names_of_several_zones_and_hemispheres_become_degrees(folder):
    # Either side of the border of zones 32 and 33, and of the equator.
    places = [(48.0, 11.999), (48.0, 12.001), (-0.5, 11.999), (0.5, 12.001)]
    records = read_image_folder(folder(*(name_at(*place) for place in places))).records
    assert records.frame is Frame.WGS84
    assert sorted(records.position[:, :2].round(6).tolist()) == sorted(map(list, places))
    assert np.isnan(records.position[:, 2]).all()


def test_a_heading_is_used_only_when_its_meaning_is_stated(folder):
    images = folder(name_at(48.0, 11.0, heading_deg=30.0, timestamp="20130704_101112"))
    unknown = read_image_folder(images).records
    assert np.isnan(unknown.yaw_rad).all()
    stated = read_image_folder(images, Heading.AZIMUTH).records
    assert stated.yaw_rad == pytest.approx(yaw_from_heading([30.0]))
    assert stated.stamp_ns.tolist() == [1_372_932_672_000_000_000]


def test_names_without_a_zone_are_local_metres(folder):
    records = read_image_folder(folder("@1.5@2@.jpg", "@3@4@@@@@@@@@@0.25@@@.jpg")).records
    assert records.frame is Frame.LOCAL
    assert records.position.tolist() == [[1.5, 2.0, 0.0], [3.0, 4.0, 0.25]]


def test_degrees_in_the_name_stand_in_for_a_missing_zone(folder):
    records = read_image_folder(folder("@1@2@@@48.5@11.25@.jpg")).records
    assert records.frame is Frame.WGS84
    assert records.position[0, :2].tolist() == [48.5, 11.25]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["@@@@.jpg"], r"@@@@\.jpg: the name holds no position"),
        (["@5e5@4e6@10@@.jpg"], "holds no position; it needs UTM metres with zone and letter"),
        (
            ["@1@2@.jpg", "@5e5@4e6@10@S@.jpg"],
            r"@1@2@\.jpg: no UTM zone in this name, but in others",
        ),
        (["@5e9@4e6@10@S@.jpg"], r"@5e9.*not metres of a UTM zone"),
        (["@1@2@.jpg", "photo.jpg"], r"photo\.jpg: not an image name"),
        (
            ["@334873@6252266@56@S@-33.86@151.21@.jpg"],
            "zone 56S is latitude 56.3861, which is not in band S; if S means south, write H, but"
            " its degrees are latitude -33.86000, longitude 151.21000",
        ),
        (
            ["@334873@6252266@56@H@-33.85@151.21@.jpg", "@334873@6252266@56@H@33.86@151.21@.jpg"],
            r"@33\.86@.*puts it at latitude -33\.85.*, but its degrees are latitude 33\.86.*1 of 2",
        ),
    ],
)
def test_names_without_a_usable_position_are_refused(folder, names, words):
    with pytest.raises(DataError, match=words):
        read_image_folder(folder(*names))


def test_photos_are_placed_by_their_tags(folder, caplog):
    images = folder("untagged.jpg")
    write_geotagged(images / "a.jpg", 48, 11)
    write_geotagged(images / "b.jpg", -33, -70)
    write_geotagged(images / "impossible.jpg", 95, 11)
    (images / "empty.jpg").touch()
    records, unplaced = read_image_folder(images)
    assert len(unplaced) == 3
    assert f"{images / 'untagged.jpg'}: no GPS position in its EXIF tags" in unplaced
    assert any("impossible.jpg: " in one and "is no place" in one for one in unplaced)
    assert records.images == (images / "a.jpg", images / "b.jpg")
    assert records.position[:, :2].tolist() == [[48.0, 11.0], [-33.0, -70.0]]
    assert records.yaw_rad == pytest.approx([0.0, 0.0])
    assert "3 of 5 photos skipped, first: " in caplog.text
    assert "empty.jpg" in caplog.text


def test_a_folder_without_positions_is_refused(corridor):
    with pytest.raises(DataError, match=r"none of 111 images has a position: give '@' names"):
        read_image_folder(corridor / "ref")


def test_joined_records_are_of_one_kind(corridor, folder):
    query, ref = (read_records(corridor / f"{name}.csv") for name in ("query", "ref"))
    joined = join_records([query, ref.select(slice(5))])
    assert len(joined) == len(query) + 5
    assert joined.images[-1] == ref.images[4]
    assert joined.traverse[-6:] == ("query", *["ref"] * 5)
    np.testing.assert_array_equal(joined.position[-5:], ref.position[:5])
    degrees = read_image_folder(folder(name_at(48.0, 11.0))).records
    with pytest.raises(UsageError, match="give sources of one kind only"):
        join_records([query, degrees])


def test_degrees_beside_metres_may_be_rounded(folder):
    records = read_image_folder(folder("@334873@6252266@56@H@-33.86@151.21@.jpg")).records
    assert records.position[0, :2] == pytest.approx([-33.857, 151.2145], abs=1e-3)


def test_one_odd_photo_does_not_stop_the_others(folder):
    images = folder()
    write_geotagged(images / "a.jpg", 48, 11)
    write_geotagged(images / "null.jpg", 0, 0)
    write_geotagged(images / os.fsdecode(b"caf\xe9.jpg"), 48, 12)
    with PIL.Image.open(PHOTO) as photo:
        photo.save(images / "damaged.avif")
    (images / "damaged.avif").write_bytes((images / "damaged.avif").read_bytes()[:99])
    (images / "bomb.png").write_bytes(bombs.png_with_a_damaged_length(PHOTO))
    records, unplaced = read_image_folder(images)
    assert [os.fsencode(path.name) for path in records.images] == [b"a.jpg", b"caf\xe9.jpg"]
    assert len(unplaced) == 3
    assert len(list(FileSource(records).images())) == 2


def test_rows_of_a_table_without_a_fix_are_named(tmp_path):
    path = tmp_path / "records.csv"
    path.write_text(f"image,lat_deg,lon_deg\n{PHOTO},48.1,11.5\n{PHOTO},0,0\n")
    records, unplaced = read_placed_records(path)
    assert len(records) == len(read_records(path)) == 1
    assert unplaced == source_of_records(path).unplaced
    assert "no GPS fix" in unplaced[0]


@pytest.mark.parametrize(
    "places",
    [
        [(48.0, 11.9999), (48.0, 12.0001)],  # UTM zones
        [(-0.0001, 9.0), (0.0001, 9.0)],  # the equator
        [(-17.0, 179.9999), (-17.0, -179.9999)],  # the antimeridian
    ],
)
def test_neighbours_across_a_border_are_neighbours_in_metres(folder, places):
    records = read_image_folder(folder(*(name_at(*place) for place in places))).records
    local = records.to_local(records.default_datum()).position
    assert 10.0 < np.linalg.norm(local[1] - local[0]) < 25.0


def test_metres_of_utm_without_a_zone_meet_the_map_that_has_one(folder, caplog):
    utm = utm_from_wgs84(48.001, 11.001)
    records = read_image_folder(folder(f"@{utm.east_m}@{utm.north_m}@.jpg")).records
    assert records.frame is Frame.LOCAL
    near = records.to_local(Datum(48.0, 11.0, 500.0))
    assert near.position[0] == pytest.approx([74.6, 111.2, 0.0], abs=0.1)
    assert "taken to be in zone 32U" in caplog.text
    # Elsewhere they are what they are.
    assert records.to_local(Datum(-33.0, 151.0)).position.tolist() == records.position.tolist()
    assert records.to_local(None) is records


def write_turns(folder, rows, header="image,x_m,y_m,yaw_rad,qx,qy,qz,qw"):
    for number in range(len(rows)):
        (folder / f"{number}.jpg").touch()
    lines = "".join(f"{number}.jpg,{row}\n" for number, row in enumerate(rows))
    (folder / "records.csv").write_text(f"{header}\n{lines}")
    return folder / "records.csv"


# Level cameras that look along x and along y, and one that looks straight down.
ALONG_X, ALONG_Y, DOWN = "0.5,-0.5,0.5,-0.5", "-0.70710678,0,0,0.70710678", "1,0,0,0"


def test_yaw_is_that_of_the_optical_axis_where_it_is_not_given(tmp_path, caplog):
    rows = [f"1,2,{yaw},{turn}" for yaw, turn in (("", ALONG_X), ("", ALONG_Y), ("", DOWN))]
    records = read_records(write_turns(tmp_path, [*rows, f"1,2,0.05,{ALONG_X}", "1,2,0.7,,,,"]))
    expected = [0.0, math.pi / 2, math.nan, 0.05, 0.7]
    np.testing.assert_allclose(records.yaw_rad, expected, atol=1e-6)
    assert np.isnan(records.orientation[4]).all()
    assert not caplog.records


def test_a_heading_and_an_orientation_agree_in_east_north_up(tmp_path, caplog):
    header = "image,lat_deg,lon_deg,heading_deg,qx,qy,qz,qw"
    rows = [f"48.1,11.5,0,{ALONG_Y}", f"48.1,11.5,,{ALONG_X}"]
    records = read_records(write_turns(tmp_path, rows, header))
    np.testing.assert_allclose(records.yaw_rad, [math.pi / 2, 0.0], atol=1e-6)
    assert not caplog.records


def test_directions_that_contradict_orientations_are_said_once(tmp_path, caplog):
    rows = [f"1,2,0,{turn}" for turn in (ALONG_Y, ALONG_Y, ALONG_X)]
    read_records(write_turns(tmp_path, rows))
    (message,) = caplog.messages
    assert "in 2 of 3 rows the direction is not that of the orientation, by 1.57 rad" in message
    caplog.clear()
    read_records(write_turns(tmp_path, rows[1:]))
    assert not caplog.records


def test_orientation_and_depth_stay_with_their_image(tmp_path):
    rows = [f"1,2,,{turn},{depth}" for turn, depth in ((ALONG_X, "0.jpg"), (DOWN, ""))]
    header = "image,x_m,y_m,yaw_rad,qx,qy,qz,qw,depth"
    records = read_records(write_turns(tmp_path, rows, header))
    plain = dataclasses.replace(records, orientation=np.empty((0, 4)), depth=())
    joined = join_records([plain, records]).select(np.array([3, 1, 2]))
    np.testing.assert_array_equal(joined.orientation[0], [1.0, 0.0, 0.0, 0.0])
    assert np.isnan(joined.orientation[1]).all()
    assert joined.depth == (None, None, tmp_path / "0.jpg")
    moved = joined.to_local(Datum(48.0, 11.0))
    np.testing.assert_array_equal(moved.orientation, joined.orientation)


def test_grid_north_is_turned_to_north_with_everything_that_points(tmp_path):
    utm = utm_from_wgs84(48.0, 11.0)
    row = f"{utm.east_m},{utm.north_m},,{ALONG_X}"
    records = read_records(write_turns(tmp_path, [row])).to_local(Datum(48.0, 11.0))
    np.testing.assert_allclose(records.position, 0.0, atol=1e-3)
    assert math.degrees(records.yaw_rad[0]) == pytest.approx(-1.486, abs=0.01)
    assert yaw_of(records.orientation)[0] == pytest.approx(records.yaw_rad[0])
