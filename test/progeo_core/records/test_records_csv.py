import math

import pytest

from progeo_core.errors import DataError
from progeo_core.geo import Frame
from progeo_core.records.records_csv import read_rows, write_rows


@pytest.fixture
def written(tmp_path):
    for number in range(1, 4):
        (tmp_path / f"{number}.jpg").touch()

    def write(text, encoding="utf-8", name="records.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_cells_become_values(written, tmp_path):
    frame, (row,), _ = read_rows(
        written(
            "image,x_m,y_m,z_m,yaw_rad,stamp_ns,camera,traverse,mood\n1.jpg,1,2.5,-3,.5,7,c,t,m"
        )
    )
    assert frame is Frame.LOCAL
    assert row[:6] == (tmp_path / "1.jpg", (1.0, 2.5, -3.0), 0.5, 7, "c", "t")
    assert all(map(math.isnan, row.orientation))
    assert row.depth is None


def test_orientation_and_depth_are_read_where_they_are_given(written, tmp_path):
    (tmp_path / "depth").mkdir()
    (tmp_path / "depth" / "1.png").touch()
    text = "image,x_m,y_m,qx,qy,qz,qw,depth\n1.jpg,1,2,0,0,.6,.805,depth/1.png\n2.jpg,1,2,,,,,\n"
    _, (given, blank), _ = read_rows(written(text))
    assert given.orientation == pytest.approx((0.0, 0.0, 0.5976, 0.8018), abs=1e-4)
    assert given.depth == tmp_path / "depth" / "1.png"
    assert all(map(math.isnan, blank.orientation))
    assert blank.depth is None


def test_odometry_is_read_where_it_is_given(written, tmp_path):
    (tmp_path / "1.jpg").touch()
    text = "image,x_m,y_m,odom_x_m,odom_y_m,odom_yaw_rad\n1.jpg,1,2,3,4,0.5\n2.jpg,1,2,,,\n"
    first, second = read_rows(written(text)).rows
    assert first.odometry == (3.0, 4.0, 0.5)
    assert all(map(math.isnan, second.odometry))


def test_rows_are_written_for_people_and_spreadsheets(written, tmp_path):
    _, (row,), _ = read_rows(written("image,x_m,y_m,traverse\n1.jpg,1,2,=x\n"))
    (tmp_path / "@2.jpg").touch()
    other = row._replace(image=tmp_path / "@2.jpg", stamp_ns=7)
    for name, separator in (("out.csv", ","), ("out.tsv", "\t")):
        write_rows(tmp_path / name, Frame.LOCAL, [row, other])
        assert (tmp_path / name).read_text().replace(separator, ",").splitlines() == [
            "image,x_m,y_m,z_m,stamp_ns,traverse",
            "1.jpg,1.0,2.0,0.0,,'=x",
            "./@2.jpg,1.0,2.0,0.0,7,'=x",
        ]
        assert read_rows(tmp_path / name).rows[1].image == other.image


def test_cells_of_a_tsv_are_separated_by_tabs(written, tmp_path):
    text = "image\tx_m\ty_m\tz_m\tcamera\n1.jpg\t1\t2\t\tleft, front\n"
    (row,) = read_rows(written(text, name="records.TSV")).rows
    assert row.image == tmp_path / "1.jpg"
    assert row.position == (1.0, 2.0, 0.0)
    assert row.camera == "left, front"


def test_a_repeated_row_counts_once(written, caplog):
    header = "image,x_m,y_m,stamp_ns,traverse\n"
    text = header + "1.jpg,1,2,7,a\n2.jpg,1,2,7,a\n1.jpg,1,2,7,a\n1.jpg,1,2,8,a\n1.jpg,5,2,7,b\n"
    rows = read_rows(written(text)).rows
    assert [(row.image.name, row.stamp_ns, row.traverse) for row in rows] == [
        ("1.jpg", 7, "a"),
        ("2.jpg", 7, "a"),
        ("1.jpg", 8, "a"),
        ("1.jpg", 7, "b"),
    ]
    assert (
        "1 of 5 rows name an image and its position again and are left out, first: " in caplog.text
    )


def test_an_image_at_two_positions_is_refused(written):
    text = "image,lat_deg,lon_deg\n1.jpg,48.1,11.5\n2.jpg,48.1,11.5\n1.jpg,48.2,11.5\n"
    with pytest.raises(DataError, match=r"1\.jpg is in two rows with different positions, \(48\.1"):
        read_rows(written(text))


TURNS = "image,x_m,y_m,qx,qy,qz,qw\n1.jpg,1,2,"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,x_m,y_m,qx,qz,qw\n1.jpg,1,2,0,0,1", "line 1, column qy: is missing"),
        (TURNS + "0,,0,1", "line 2, column qy: is blank; give all of qx,qy,qz,qw or none"),
        ("image,x_m,y_m,odom_x_m\n1.jpg,1,2,0", "line 1, column odom_y_m: is missing; odometry"),
        (
            "image,x_m,y_m,odom_x_m,odom_y_m,odom_yaw_rad\n1.jpg,1,2,3,,0",
            "line 2, column odom_y_m: is blank; give all of odom_x_m,odom_y_m,odom_yaw_rad",
        ),
        (TURNS + "0,0,0,0", "line 2, column qx,qy,qz,qw: the length is 0, but"),
        (TURNS + "0,0,0.2,1", "line 2, column qx,qy,qz,qw: the length is 1.0198"),
        (TURNS + "0,0,1e300,1e300", "line 2, column qx,qy,qz,qw: the length is"),
        (TURNS + "0,0,nan,1", "line 2, column qz: nan must be finite"),
        (TURNS + "0,0,up,1", "line 2, column qz: 'up' is not a number"),
        ("image,x_m,y_m,depth\n1.jpg,1,2,2.png", "line 2, column depth: no such file .*2.png"),
    ],
)
def test_bad_orientations_and_depths_are_refused_by_column(written, text, words):
    with pytest.raises(DataError, match=words):
        read_rows(written(text))


def test_byte_order_marks_blanks_quotes_and_blank_lines(written):
    text = '\ufeffimage, lat_deg , lon_deg\r\n"1.jpg", 48.1, 11.5\r\n\r\n'
    frame, (row,), _ = read_rows(written(text))
    assert frame is Frame.WGS84
    assert row.position[:2] == (48.1, 11.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1, column image: is missing; the columns must be .* and are none"),
        ("x_m,y_m\n", "line 1, column image: is missing"),
        ("image,x_m\n1.jpg,1", "line 1, column y_m: is missing"),
        ("image,lat_deg\n1.jpg,1", "line 1, column lon_deg: is missing"),
        ("image;x_m;y_m\n1.jpg;1;2", "and are image;x_m;y_m; separate cells by commas"),
        ("a.jpg,0,0\nb.jpg,1,0", "column image: is missing; the columns must be .* are a.jpg,0,0"),
        (
            "image,x_m,y_m,lat_deg,lon_deg\n",
            "columns x_m and lat_deg: metres and degrees are mixed",
        ),
        ("image,x_m,y_m,heading_deg\n", "columns x_m and heading_deg: metres and degrees"),
        ("image,x_m,y_m,x_m\n", "column x_m: appears twice; keep one"),
        ("image,x_m,y_m\n", "no records below the header"),
        ("image,x_m,y_m\n1.jpg,1,\n", "line 2, column y_m: is blank; every image needs a position"),
        ("image,x_m,y_m\n1.jpg,1\n", "line 2, column y_m: is blank"),
        ("image,x_m,y_m\n1.jpg,1,2\n1.jpg,1,2,3", "line 3: more cells than columns"),
        ("image,x_m,y_m\n1.jpg,1,two\n", "line 2, column y_m: 'two' is not a number"),
        ("image,x_m,y_m\n1.jpg,nan,2\n", "line 2, column x_m: nan must be finite"),
        ("image,x_m,y_m,yaw_rad\n1.jpg,1,2,inf\n", "column yaw_rad: inf must be finite"),
        ("image,lat_deg,lon_deg\n1.jpg,91,2\n", "column lat_deg: 91 must be from -90 to 90"),
        ("image,lat_deg,lon_deg\n1.jpg,9,181\n", "column lon_deg: 181 must be from -180 to 180"),
        (
            "image,x_m,y_m,stamp_ns\n1.jpg,1,2,1.5\n",
            r"column stamp_ns: '1\.5' is not a whole number",
        ),
        ("image,x_m,y_m,stamp_ns\n1.jpg,1,2,-5\n", "column stamp_ns: '-5'"),
        (f"image,x_m,y_m,stamp_ns\n1.jpg,1,2,{2**63}\n", "column stamp_ns"),
        (
            f"image,x_m,y_m,stamp_ns\n1.jpg,1,2,{'9' * 5000}\n",
            "column stamp_ns: '5000 characters' is not a whole number of nanoseconds$",
        ),
        ("image,x_m,y_m,stamp_ns\n1.jpg,1,2,１２\n", "column stamp_ns: '１２' is not a whole"),
        ("image,x_m,y_m\n1.jpg,1_000,2\n", "column x_m: '1_000' is not a number"),
        ("image,lat_deg,lon_deg\n1.jpg,0,0.0\n", "all 1 records are at latitude 0, longitude 0"),
        (f"image,x_m,y_m\n{'x' * 5000},1,2\n", r"line 2, column image: no such file .*x"),
        ("image,x_m,y_m\n,1,2\n", "line 2, column image: is blank; name an image file"),
        ("image,x_m,y_m\n1.jpg,1,2\n4.jpg,1,2\n", r"line 3, column image: no such file .*4\.jpg"),
        ('image,x_m,y_m\n"1.jpg,1,2\n', "not a CSV file"),
    ],
)
def test_bad_cells_are_refused_by_file_line_and_column(written, text, words):
    with pytest.raises(DataError, match=rf"records\.csv.*{words}"):
        read_rows(written(text))


def test_other_encodings_and_missing_files_are_refused(written, tmp_path):
    with pytest.raises(DataError, match=r"records\.csv: not a CSV file in UTF-8"):
        read_rows(written("image,x_m,y_m\ncafé.jpg,1,2", encoding="latin-1"))
    with pytest.raises(DataError, match=r"gone\.csv: the records cannot be read \(No such file"):
        read_rows(tmp_path / "gone.csv")


def test_rows_without_a_fix_are_skipped_and_counted(written, tmp_path, caplog):
    text = "image,lat_deg,lon_deg\n1.jpg,0,0\n1.jpg,48,11\n1.jpg,0.0,-0\n2.jpg,0,11\n"
    _, rows, unplaced = read_rows(written(text))
    assert [row.position[:2] for row in rows] == [(48.0, 11.0), (0.0, 11.0)]
    assert unplaced == (f"{tmp_path / '1.jpg'}: no GPS fix (latitude 0, longitude 0)",) * 2
    assert "2 of 4 records skipped, first: " in caplog.text


def test_the_origin_of_local_metres_is_a_place(written):
    _, rows, unplaced = read_rows(written("image,x_m,y_m\n1.jpg,0,0\n"))
    assert (len(rows), unplaced) == (1, ())


def test_degrees_of_yaw_are_said_and_full_turns_are_not(written, caplog):
    read_rows(written("image,x_m,y_m,yaw_rad\n1.jpg,1,2,6.28\n"))
    assert not caplog.records
    read_rows(written("image,x_m,y_m,yaw_rad\n1.jpg,1,2,90\n2.jpg,1,2,1\n3.jpg,1,2,-270\n"))
    (said,) = (record.getMessage() for record in caplog.records)
    assert "2 of 3 values of yaw_rad are more than a full turn, up to 270; yaw is in rad" in said
    caplog.clear()
    read_rows(written("image,lat_deg,lon_deg,heading_deg\n1.jpg,1,2,270\n"))
    assert not caplog.records


def test_no_data_is_no_altitude_and_may_be_a_height(written):
    text = "image,lat_deg,lon_deg,alt_m\n1.jpg,48,11,-9999\n2.jpg,48,11,-9998\n"
    _, rows, _ = read_rows(written(text))
    assert math.isnan(rows[0].position[2])
    assert rows[1].position[2] == -9998.0
    _, (row,), _ = read_rows(written("image,x_m,y_m,z_m\n1.jpg,48,11,-9999\n"))
    assert row.position[2] == -9999.0


@pytest.mark.parametrize(("per_s", "name"), [(1, "seconds"), (1000, "millis"), (10**6, "micros")])
def test_stamps_of_another_unit_are_recognized_and_said(written, caplog, per_s, name):
    lines = "".join(f"1.jpg,{second},0,{(1_700_000_000 + second) * per_s}\n" for second in range(4))
    _, rows, _ = read_rows(written("image,x_m,y_m,stamp_ns\n" + lines))
    assert [row.stamp_ns for row in rows] == [(1_700_000_000 + s) * 10**9 for s in range(4)]
    assert f"the stamps are {name}" in caplog.text
