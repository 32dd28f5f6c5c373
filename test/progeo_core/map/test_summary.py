import numpy as np

from progeo_core.map.place_map import PlaceMap
from progeo_core.map.summary import structure_lines, summarize_map


def test_a_map_at_a_glance(full_map):
    with PlaceMap.open(full_map) as place_map:
        summary = summarize_map(place_map)
        position = place_map.poses().position
    document, lines = summary.to_json(), summary.to_lines()
    assert document["places"] == 60
    assert document["places_with_yaw"] == 40
    assert document["datum"] == {"lat_deg": 48.0, "lon_deg": 11.0, "alt_m": 500.0}
    assert document["extent_m"]["min"] == tuple(position.min(axis=0))
    assert document["cameras"] == {"front": 30, "rear": 30}
    assert document["traverses"] == {"monday": 30, "tuesday": 30}
    assert document["model"]["dimension"] == 8
    assert document["bytes"] == full_map.stat().st_size
    # Every fifth of 60 places has no features.
    assert document["views"] == {
        "places": 48,
        "with_landmarks": 48,
        "bytes_per_place": 20 * 82,
        "calibrations": 1,
        "extractor": "tiny-features",
        "source": "depth",
    }
    assert lines["local features"] == "in 48 places of tiny-features, 1.6 kB per place"
    assert lines["3-D points"] == "in 48 places, depth"
    without = structure_lines(summary.views._replace(with_landmarks=0), summary.structure)
    assert without["3-D points"] == (
        "none (depth): 'progeo map structure' finds them, or says why not"
    )
    assert lines["places"] == "60, 40 of them with a direction"
    assert lines["datum"] == "latitude 48.0000000°, longitude 11.0000000°, altitude 500.0 m"
    assert lines["cameras"] == "front (30), rear (30)"


def test_what_is_unknown_is_said(tmp_path, fingerprint, make_places, unit_vectors):
    path = tmp_path / "a.progeo"
    with PlaceMap.create(path, fingerprint) as place_map:
        empty = summarize_map(place_map)
        assert empty.to_json()["extent_m"] is None
        assert empty.to_lines()["extent"] == "none"
        assert empty.to_lines()["local features"] == empty.to_lines()["3-D points"] == "none"
        assert empty.to_json()["views"]["bytes_per_place"] == 0
        assert empty.to_json()["views"]["extractor"] is None
        named = make_places(12)._replace(traverse=[str(n) for n in range(12)])
        place_map.append(named._replace(stamp_ns=np.arange(12) * 10**9), unit_vectors(12))
        lines = summarize_map(place_map).to_lines()
    assert lines["cameras"] == "unnamed (12)"
    assert lines["traverses"].endswith("and 4 more")
    assert lines["datum"] == "none (metres only)"
    assert lines["recorded"] == "1970-01-01 00:00:01+00:00 to 1970-01-01 00:00:11+00:00"
