import shutil

import pytest

from progeo_core.errors import DataError
from progeo_core.map.place_map import PlaceMap

PLANTED = {
    "its table 'cake' does not belong in a map": ["CREATE TABLE cake (layers)"],
    "its view 'seen' does not belong in a map": ["CREATE VIEW seen AS SELECT 1"],
    "its trigger 'moved' does not belong in a map": [
        "CREATE TRIGGER moved AFTER INSERT ON place BEGIN DELETE FROM place; END"
    ],
    "its index 'cameras' does not belong in a map": ["CREATE INDEX cameras ON place (camera)"],
    "its table 'place' is not as this program made it": ["ALTER TABLE place ADD COLUMN w_m REAL"],
    "its view 'place' is not as this program made it": [
        "PRAGMA foreign_keys = OFF",
        "DROP TABLE place",
        "CREATE VIEW place AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
        " SELECT id, 0.0 AS x_m, 0.0 AS y_m, 0.0 AS z_m, 0.0 AS yaw_rad, 0 AS stamp_ns,"
        " '' AS camera, '' AS traverse, '' AS image FROM n",
    ],
    "its table thumbnail is missing": ["DROP TABLE thumbnail"],
    "schema 0 never was one": ["PRAGMA user_version = 0"],
    "has schema 7, this program reads up to 6; update progeo": ["PRAGMA user_version = 7"],
}


@pytest.mark.parametrize("message", PLANTED)
@pytest.mark.parametrize("writable", [False, True])
def test_what_does_not_belong_in_a_map_is_one_error(
    filled_map, schema1_map, edited, message, writable
):
    for path in (filled_map, schema1_map):
        edited(path, *PLANTED[message])
        with pytest.raises(DataError) as raised:
            PlaceMap.open(path, writable=writable)
        assert message in str(raised.value)
        assert str(path) in str(raised.value)


def test_a_schema_under_the_version_of_another_is_refused(filled_map, schema1_map, edited):
    edited(filled_map, "PRAGMA user_version = 1")
    edited(schema1_map, "PRAGMA user_version = 2")
    for path in (filled_map, schema1_map):
        with pytest.raises(DataError, match=r"is not as this program made it|not belong in a map"):
            PlaceMap.open(path)


def test_a_table_of_another_name_or_type_is_noticed_in_the_bytes(filled_map, tmp_path):
    good = filled_map.read_bytes()
    for found, instead in ((b"x_m REAL", b"x_m TEXT"), (b") STRICT", b")       ")):
        path = tmp_path / "changed.progeo"
        shutil.copy(filled_map, path)
        path.write_bytes(good.replace(found, instead))
        with pytest.raises(DataError, match=r"changed\.progeo"):
            PlaceMap.open(path)
