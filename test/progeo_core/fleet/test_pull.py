"""Maps of regions: what several robots saw, in one frame."""

import json
import resource

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.pull import export_region, pull_region
from progeo_core.fleet.region import Region
from progeo_core.geo import Datum, wgs84_from_enu
from progeo_core.map.export import ExportFormat
from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from test.fleet_places import MODEL, PLACES, SESSION, some_places

pytestmark = pytest.mark.slow

# A kilometre east and north of the other's, and 20 m higher.
BOB = SESSION._replace(
    robot="bob", datum=Datum(*wgs84_from_enu([[1000.0, 1000.0, 20.0]], SESSION.datum)[0])
)

NOTE = StructureNote("xfeat", "depth", (0.05, 0.01))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = open_fleet(str(tmp_path_factory.mktemp("pull") / "fleet"), MODEL)
    for session in (SESSION._replace(structure=NOTE), BOB):
        store.append(session, some_places(session))
    return store


def test_a_region_of_two_robots_is_one_map_in_one_frame(store, tmp_path):
    target = tmp_path / "yard.progeo"
    report = pull_region(store, Region.near(48.105, 11.508, 3000.0), target)
    assert report == (2 * PLACES, ("ada/site", "bob/site"), SESSION.datum)
    with PlaceMap.open(target) as place_map:
        place_map.verify()
        assert place_map.structure == NOTE
        table = place_map.places()
        of_bob = np.array([name == "bob/site/lap" for name in table.traverse])
        wanted = some_places().places.position
        np.testing.assert_allclose(table.position[~of_bob], wanted, atol=1e-6)
        np.testing.assert_allclose(table.position[of_bob] - [1000, 1000, 20], wanted, atol=0.2)
        view = place_map.views(table.ids[of_bob][[1]])[0]
        offset = view.pose.position - table.position[of_bob][1]
        np.testing.assert_allclose(offset, 0.0, atol=1e-6)
        index = PlaceIndex.open(place_map)
        assert len(index) == 2 * PLACES
    with pytest.raises(DataError, match="exists already"):
        pull_region(store, Region.near(48.1, 11.5, 300.0), target)


def test_an_empty_region_names_the_nearest_session_and_leaves_no_file(store, tmp_path):
    with pytest.raises(DataError, match=r"no place within 100 m .* 'ada/site', starts 11\.1 km"):
        pull_region(store, Region.near(48.0, 11.5, 100.0), tmp_path / "none.progeo")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_half_map(store, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DataError, match=r"yard.progeo: the disk failed or its limit"):
            pull_region(store, Region.near(48.105, 11.508, 3000.0), tmp_path / "yard.progeo")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_export_writes_degrees(store, tmp_path):
    target = tmp_path / "fleet.geojson"
    assert export_region(store, None, target, ExportFormat.GEOJSON) == 2 * PLACES
    first = json.loads(target.read_text())["features"][0]
    np.testing.assert_allclose(first["geometry"]["coordinates"], [11.5, 48.1, 500.0], atol=1e-6)
