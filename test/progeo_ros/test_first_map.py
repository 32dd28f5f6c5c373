"""What the node begins with: its own map, the region that an earlier run left, or none yet."""

from types import SimpleNamespace

import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.fleet.region_cache import RegionCache
from progeo_core.geo import Datum
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.places import Places
from progeo_core.model.built_in import DEFAULT_MODEL
from progeo_ros.first_map import FirstMap, first_map
from progeo_ros.settings import NodeSettings

MODEL = ModelFingerprint("site", 4, "none", "00" * 32, name="CLIP-RN50:none")
DATUM = Datum(48.1, 11.5)


def make_map(path, fingerprint=MODEL):
    places = Places(np.zeros((1, 3)), np.zeros(1), np.zeros(1, np.int64), [""], [""], [""], [None])
    with PlaceMap.create(path, fingerprint, DATUM) as place_map:
        place_map.append(places, np.ones((1, 4)))
    return str(path)


@pytest.fixture
def fleet(tmp_path):
    cache = RegionCache(tmp_path / "cache", "/mnt/fleet", "ada", 100.0)
    cache.folder.mkdir(parents=True)
    return SimpleNamespace(cache=cache, model=None, uri="/mnt/fleet")


def test_the_map_of_the_parameter_comes_first(fleet, tmp_path):
    own = make_map(tmp_path / "own.progeo")
    make_map(fleet.cache.target(None))
    wanted = FirstMap(own, MODEL.name, DATUM)
    assert first_map(NodeSettings(map=own), fleet) == wanted
    assert first_map(NodeSettings(map=own), None) == wanted
    with pytest.raises(UsageError, match="parameter map is empty"):
        first_map(NodeSettings(), None)


def test_the_region_of_an_earlier_run_is_used_if_it_fits(fleet, caplog):
    assert first_map(NodeSettings(), fleet) == FirstMap("", DEFAULT_MODEL)
    fleet.model = MODEL
    assert first_map(NodeSettings(), fleet) == FirstMap("", MODEL.name)
    kept = make_map(fleet.cache.target(None))
    assert first_map(NodeSettings(), fleet) == FirstMap(kept, MODEL.name, DATUM)
    fleet.model = ModelFingerprint("other", 4, "none", "11" * 32, name="megaloc")
    assert first_map(NodeSettings(), fleet) == FirstMap("", "megaloc")
    assert first_map(NodeSettings(model="folder"), fleet) == FirstMap("", "folder")
    fleet.cache.newest().write_bytes(b"damaged")
    assert first_map(NodeSettings(), fleet).path == ""
    assert "the region of an earlier run is not used" in caplog.text
