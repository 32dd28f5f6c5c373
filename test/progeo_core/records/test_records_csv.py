import pytest

from progeo_core.errors import DataError
from progeo_core.geo import Frame
from progeo_core.records.records_csv import read_rows


@pytest.fixture
def written(tmp_path):
    (tmp_path / "1.jpg").touch()

    def write(text, encoding="utf-8"):
        path = tmp_path / "records.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_cells_become_values(written, tmp_path):
    frame, (row,) = read_rows(
        written(
            "image,x_m,y_m,z_m,yaw_rad,stamp_ns,camera,traverse,mood\n1.jpg,1,2.5,-3,.5,7,c,t,m"
        )
    )
    assert frame is Frame.LOCAL
    assert row == (tmp_path / "1.jpg", (1.0, 2.5, -3.0), 0.5, 7, "c", "t")


def test_byte_order_marks_blanks_quotes_and_blank_lines(written):
    text = '\ufeffimage, lat_deg , lon_deg\r\n"1.jpg", 48.1, 11.5\r\n\r\n'
    frame, (row,) = read_rows(written(text))
    assert frame is Frame.WGS84
    assert row.position[:2] == (48.1, 11.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1, column image: is missing; the columns must be .* and are none"),
        ("x_m,y_m\n", "line 1, column image: is missing"),
        ("image,x_m\n1.jpg,1", "line 1, column y_m: is missing"),
        ("image,lat_deg\n1.jpg,1", "line 1, column lon_deg: is missing"),
        ("image;x_m;y_m\n1.jpg;1;2", "and are image;x_m;y_m"),
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
        ("image,x_m,y_m\n,1,2\n", "line 2, column image: is blank; name an image file"),
        ("image,x_m,y_m\n1.jpg,1,2\n2.jpg,1,2\n", r"line 3, column image: no such file .*2\.jpg"),
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
