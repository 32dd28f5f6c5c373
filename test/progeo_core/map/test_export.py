import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Datum, heading_from_yaw, wgs84_from_enu
from progeo_core.map.export import ExportFormat, export_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import read_records

DATUM = Datum(48.0, 11.0, 500.0)
KML = {"kml": "http://www.opengis.net/kml/2.2"}


@pytest.fixture
def odd_map(tmp_path, fingerprint, make_places, unit_vectors):
    """Return an open map with names, directions and stamps, some unknown."""
    places = make_places(3)._replace(
        yaw_rad=np.array([0.5, np.nan, -3.0]),
        stamp_ns=np.array([1_700_000_000_250_000_000, 0, 5]),
        camera=["front, left", "", "b"],
        image=['a "1" & <2>.jpg', "ü/2.jpg", "3.jpg"],
    )
    with PlaceMap.create(tmp_path / "odd.progeo", fingerprint, DATUM) as place_map:
        place_map.append(places, unit_vectors(3))
        yield place_map


def test_geojson(tmp_path, odd_map):
    target = tmp_path / "odd.geojson"
    assert export_map(odd_map, target, ExportFormat.GEOJSON) == 3
    collection = json.loads(target.read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    first, second, _ = collection["features"]
    table = odd_map.places()
    geodetic = wgs84_from_enu(table.position, DATUM)
    np.testing.assert_allclose(
        [feature["geometry"]["coordinates"] for feature in collection["features"]],
        geodetic[:, [1, 0, 2]],
        rtol=1e-12,
    )
    assert first["id"] == 1
    assert first["properties"] == {
        "image": 'a "1" & <2>.jpg',
        "camera": "front, left",
        "traverse": "",
        "time": "2023-11-14T22:13:20.250+00:00",
        "heading_deg": float(heading_from_yaw(0.5)),
    }
    assert second["properties"]["heading_deg"] is None
    assert second["properties"]["time"] is None


def test_kml(tmp_path, odd_map):
    target = tmp_path / "odd.kml"
    assert export_map(odd_map, target, ExportFormat.KML) == 3
    marks = ElementTree.parse(target).getroot().findall(".//kml:Placemark", KML)
    assert [mark.findtext("kml:name", namespaces=KML) for mark in marks] == list(
        odd_map.places().image
    )
    points = [mark.findtext("kml:Point/kml:coordinates", "", KML) for mark in marks]
    lon, lat, alt = np.array([point.split(",") for point in points], np.float64).T
    geodetic = wgs84_from_enu(odd_map.places().position, DATUM)
    np.testing.assert_allclose(np.stack([lat, lon], -1), geodetic[:, :2], atol=1e-9)
    np.testing.assert_allclose(alt, geodetic[:, 2], atol=1e-3)
    assert [mark.find("kml:TimeStamp", KML) is None for mark in marks] == [False, True, False]
    assert [mark.find("kml:Style", KML) is None for mark in marks] == [False, True, False]


@pytest.mark.parametrize("datum", [DATUM, None])
def test_csv_reads_back_as_records(tmp_path, fingerprint, unit_vectors, make_places, datum):
    images = [tmp_path / name for name in ("a, b.jpg", 'say "c".jpg', "ü.jpg")]
    for image in images:
        image.touch()
    places = make_places(3)._replace(
        yaw_rad=np.array([0.5, np.nan, -3.0]),
        stamp_ns=np.array([1_700_000_000_250_000_000, 0, 5]),
        camera=["front, left", "", "b"],
        image=[str(image) for image in images],
    )
    target = tmp_path / "odd.csv"
    with PlaceMap.create(tmp_path / "odd.progeo", fingerprint, datum) as place_map:
        place_map.append(places, unit_vectors(3))
        assert export_map(place_map, target, ExportFormat.CSV) == 3
    records = read_records(target).to_local(datum)
    np.testing.assert_allclose(records.position, places.position, atol=1e-6)
    np.testing.assert_allclose(records.yaw_rad, places.yaw_rad, atol=1e-9)
    assert records.stamp_ns.tolist() == places.stamp_ns.tolist()
    assert list(records.images) == images
    assert list(records.camera) == places.camera
    with target.open(newline="", encoding="utf-8") as file:
        assert [row["place_id"] for row in csv.DictReader(file)] == ["1", "2", "3"]


def test_no_cell_is_a_formula(tmp_path, fingerprint, unit_vectors, make_places):
    starts = ["=1+1", "+1", "-1", "@E@N.jpg", "\tx", "\rx", "\nx", "a=1"]
    places = make_places(8)._replace(image=starts, camera=starts, traverse=starts)
    target = str(tmp_path / "odd.csv")
    with PlaceMap.create(tmp_path / "odd.progeo", fingerprint) as place_map:
        place_map.append(places, unit_vectors(8))
        export_map(place_map, target, ExportFormat.CSV)
    with open(target, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row, text in zip(rows[:-1], starts, strict=False):
        assert row["image"] == f"./{text}"
        assert row["camera"] == row["traverse"] == f"'{text}"
    assert rows[-1]["image"] == rows[-1]["camera"] == "a=1"
    # Numbers stay numbers.
    assert [row["x_m"] for row in rows[:2]] == ["0.0", "1.0"]


def test_kml_and_geojson_of_any_text_are_well_formed(
    tmp_path, fingerprint, unit_vectors, make_places
):
    odd = "".join(map(chr, [*range(1, 32), 0x7F, 0xFFFE, 0xFFFF])) + "]]>&<\"'ü𝄞"
    with PlaceMap.create(tmp_path / "a & <b>.progeo", fingerprint, DATUM) as place_map:
        place_map.append(make_places(1)._replace(image=[odd], camera=[odd]), unit_vectors(1))
        for form in (ExportFormat.KML, ExportFormat.GEOJSON):
            export_map(place_map, tmp_path / form.value, form)
    root = ElementTree.parse(tmp_path / "kml").getroot()
    names = [name.text for name in root.findall(".//kml:name", KML)]
    assert names[0] == "a & <b>"
    assert names[1].endswith("]]>&<\"'ü𝄞")
    (feature,) = json.loads((tmp_path / "geojson").read_text())["features"]
    assert feature["properties"]["image"] == odd


def test_no_datum_no_earth(tmp_path, fingerprint):
    with PlaceMap.create(tmp_path / "a.progeo", fingerprint) as place_map:
        for form in (ExportFormat.GEOJSON, ExportFormat.KML):
            with pytest.raises(UsageError, match=r"no datum.*export it as csv"):
                export_map(place_map, tmp_path / "a.out", form)
        assert not (tmp_path / "a.out").exists()


def test_empty_map(tmp_path, fingerprint):
    with PlaceMap.create(tmp_path / "a.progeo", fingerprint, DATUM) as place_map:
        for form in ExportFormat:
            assert export_map(place_map, tmp_path / f"a.{form.value}", form) == 0
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []
    assert ElementTree.parse(tmp_path / "a.kml").getroot().tag.endswith("kml")
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1


def test_target_that_cannot_be_written(tmp_path, odd_map):
    with pytest.raises(DataError, match=r"cannot be written \(No such file or directory\)"):
        export_map(odd_map, tmp_path / "none" / "a.csv", ExportFormat.CSV)


def test_places_that_are_nowhere_on_earth(make_map, make_places, unit_vectors):
    position = np.array([[0.0, 0.0, 0.0], [1e308, 0.0, 0.0]])
    with pytest.raises(DataError, match=r"far.progeo: the position of 1.jpg is .* too large"):
        make_map("far", make_places(2, position), unit_vectors(2), DATUM)
