import os
import re
from typing import Any

import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.geo import Datum, wgs84_from_enu
from progeo_core.map.merge import merge_maps
from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.transform import IDENTITY, Transform, level_quaternion
from test.place_views import make_view, reprojection


def test_merge_copies_everything(tmp_path, make_map, make_places, unit_vectors):
    places = make_places(3, camera="front")._replace(
        yaw_rad=np.array([0.5, np.nan, -3.0]),
        stamp_ns=np.array([1, 0, 2**62]),
        traverse=["dawn", "noon", "dusk"],
        thumbnail=[b"a", None, b"c"],
    )
    first = make_map("first", places, unit_vectors(3))
    second = make_map("second", make_places(2), unit_vectors(2, seed=1))
    steps: list[int] = []
    report = merge_maps([first, second], tmp_path / "both.progeo", advance=steps.append)
    assert report == (5, None)
    assert sum(steps) == 5
    with PlaceMap.open(tmp_path / "both.progeo") as merged:
        table = merged.places()
        np.testing.assert_array_equal(table.position[:3], places.position)
        np.testing.assert_array_equal(table.yaw_rad[:3], places.yaw_rad)
        assert table.stamp_ns.tolist() == [1, 0, 2**62, 0, 0]
        assert table.camera == ("front", "front", "front", "", "")
        assert table.traverse == ("dawn", "noon", "dusk", "", "")
        assert table.image == ("0.jpg", "1.jpg", "2.jpg", "0.jpg", "1.jpg")
        assert [merged.thumbnail(i) for i in table.ids] == [b"a", None, b"c", None, None]
        both = np.concatenate([unit_vectors(3), unit_vectors(2, seed=1)])
        np.testing.assert_array_equal(merged.descriptors(), both.astype(np.float16))
    assert sorted(os.listdir(tmp_path)) == ["both.progeo", "first.progeo", "second.progeo"]
    with PlaceMap.open(tmp_path / "both.progeo", writable=True) as merged:
        merged.append(make_places(1), unit_vectors(1))
        # As any other map, it is written to a log first.
        assert (tmp_path / "both.progeo-wal").stat().st_size


def test_merge_keeps_places_where_they_are_on_earth(tmp_path, make_map, make_places, unit_vectors):
    here, there = Datum(47.3769, 8.5417, 408.0), Datum(47.4, 9.3, 700.0)
    places = make_places(4)._replace(yaw_rad=np.array([0.0, 1.0, -2.0, np.nan]))
    first = make_map("first", make_places(1), unit_vectors(1), here)
    second = make_map("second", places, unit_vectors(4), there)
    assert merge_maps([first, second], tmp_path / "both.progeo").datum == here
    with PlaceMap.open(tmp_path / "both.progeo") as merged:
        table = merged.places()
    on_earth = wgs84_from_enu(table.position[1:], here)
    np.testing.assert_allclose(on_earth, wgs84_from_enu(places.position, there), atol=1e-7)
    # Going east on the northern half, east turns north by the longitude times sin(latitude).
    turn = np.radians(there.lon_deg - here.lon_deg) * np.sin(np.radians(47.39))
    np.testing.assert_allclose(table.yaw_rad[1:4] - places.yaw_rad[:3], turn, atol=1e-4)
    assert np.isnan(table.yaw_rad[4])


def test_merge_keeps_what_every_camera_sees(tmp_path, make_map, make_places, unit_vectors):
    here, there = Datum(47.3769, 8.5417, 408.0), Datum(47.4, 9.3, 700.0)
    places = make_places(3)
    views: list[Any] = [make_view(place, seed=row) for row, place in enumerate(places.position)]
    views[1] = views[1]._replace(pose=None)
    first = make_map("first", make_places(1), unit_vectors(1), here)
    second = make_map("second", places._replace(views=views), unit_vectors(3), there)
    merge_maps([first, second], tmp_path / "both.progeo")
    with PlaceMap.open(tmp_path / "both.progeo") as merged:
        read: list[Any] = merged.views([1, 2, 3, 4])
        position = merged.poses().position[1:]
        assert merged.view_counts().calibrations == 1
        merged.verify()
    assert read[0] is None
    assert read[2].pose is None
    for view, wanted, place in zip(read[1:], views, position, strict=True):
        on_earth = wgs84_from_enu(wanted.features.landmarks[1:4], there)
        landmarks = view.features.landmarks
        np.testing.assert_allclose(wgs84_from_enu(landmarks[1:4], here), on_earth, atol=2e-6)
        assert np.isnan(landmarks[::4]).all()
        if view.pose is not None:
            np.testing.assert_allclose(view.pose.position, place, atol=1e-5)
            # A rotation left out would move them by hundreds of pixels.
            np.testing.assert_allclose(
                reprojection(view)[1:4], wanted.features.points[1:4], atol=0.01
            )
            turned = view.pose.rotation - wanted.pose.rotation
            assert np.abs(turned).max() > 1e-3


def test_merge_joins_notes_and_refuses_features_that_cannot_be_compared(
    tmp_path, make_map, make_places, unit_vectors
):
    made = [make_map(name, make_places(1), unit_vectors(1)) for name in ("a", "b", "c")]
    for path, note in ((made[1], ("one", "depth")), (made[2], ("one", "triangulated"))):
        with PlaceMap.open(path, writable=True) as place_map:
            place_map.set_structure(StructureNote(*note))
    merge_maps(made, tmp_path / "all.progeo")
    with PlaceMap.open(tmp_path / "all.progeo") as merged:
        assert merged.structure == StructureNote("one", "depth; triangulated")
    with PlaceMap.open(made[2], writable=True) as place_map:
        place_map.set_structure(StructureNote("other", "depth"))
    with pytest.raises(UsageError, match=r"c\.progeo: local features of one and of other cannot"):
        merge_maps(made, tmp_path / "none.progeo")
    assert not (tmp_path / "none.progeo").exists()


def test_merge_refuses_what_does_not_fit(tmp_path, make_map, make_places, unit_vectors):
    local = make_map("local", make_places(1), unit_vectors(1))
    placed = make_map("placed", make_places(1), unit_vectors(1), Datum(1.0, 2.0))
    other = ModelFingerprint("large+GeM", 8, "64x64", "cd" * 32)
    foreign = make_map("foreign", make_places(1), unit_vectors(1), model=other)
    target = tmp_path / "both.progeo"
    with pytest.raises(UsageError, match=r"local\.progeo has no datum, but .*placed\.progeo has"):
        merge_maps([placed, local], target)
    with pytest.raises(ModelMismatchError, match=r"made with large.* in use is tiny"):
        merge_maps([local, foreign], target)
    with pytest.raises(DataError, match=r"placed\.progeo exists already"):
        merge_maps([local], placed)
    with pytest.raises(UsageError, match="name one or more"):
        merge_maps([], target)
    with pytest.raises(UsageError, match=r"local\.progeo: named twice"):
        merge_maps([local, placed, local.parent / "." / local.name], target)
    with pytest.raises(DataError, match="No such file or directory"):
        merge_maps([local], tmp_path / "none" / "both.progeo")
    assert not target.exists()


def test_merge_that_fails_leaves_nothing(tmp_path, make_map, make_places, unit_vectors):
    def interrupt(count):
        raise KeyboardInterrupt

    source = make_map("local", make_places(3), unit_vectors(3))
    with pytest.raises(KeyboardInterrupt):
        merge_maps([source], tmp_path / "both.progeo", advance=interrupt)
    assert os.listdir(tmp_path) == ["local.progeo"]


def test_maps_of_two_cities_are_merged_with_a_warning(
    tmp_path, make_map, make_places, unit_vectors, caplog
):
    munich, sydney = Datum(48.0, 11.0), Datum(-33.9, 151.2)
    near = make_map("near", make_places(3), unit_vectors(3), munich)
    beside = make_map("beside", make_places(3), unit_vectors(3), Datum(48.01, 11.0))
    far = make_map("far", make_places(3), unit_vectors(3), sydney)
    merge_maps([str(near), str(beside)], str(tmp_path / "site.progeo"))
    assert not caplog.records
    merge_maps([near, beside, far], tmp_path / "all.progeo")
    (record,) = caplog.records
    # Through the earth, as metres of the map are.
    (distance_km,) = re.findall(r"far\.progeo: its places are ([\d.]+) km from", record.message)
    assert float(distance_km) == pytest.approx(12_290, rel=0.02)


def test_maps_without_a_datum_are_joined_where_their_frames_are_told(
    tmp_path, make_map, make_places, unit_vectors
):
    places = make_places(3)._replace(yaw_rad=np.array([0.0, np.nan, 3.0]))
    first = make_map("first", make_places(1), unit_vectors(1), Datum(47.0, 8.0))
    second = make_map("second", places, unit_vectors(3))
    frame = Transform(np.array([10.0, 0.0, 2.0]), level_quaternion(np.pi / 2.0))
    merge_maps([first, second], tmp_path / "both.progeo", frames=[IDENTITY, frame])
    with PlaceMap.open(tmp_path / "both.progeo") as merged:
        table = merged.places()
    position = np.array([[10.0, 0.0, 2.0], [9.5, 1.0, 2.0], [9.0, 2.0, 2.0]])
    np.testing.assert_allclose(table.position[1:], position)
    yaw_rad = np.array([0.5, np.nan, 3.0 / np.pi - 1.5]) * np.pi
    np.testing.assert_allclose(table.yaw_rad[1:], yaw_rad)
