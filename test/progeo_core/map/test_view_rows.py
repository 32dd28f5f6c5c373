"""Views of places: kept and read with their places, and no damage to them goes unseen."""

import contextlib
import json
import os
import sqlite3
import zlib
from typing import Any

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.map.checksums import fields_checksum, label_checksum
from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.place_rows import Label
from progeo_core.map.view_rows import ViewCounts
from test.map_content import assert_damaged, check, content_of
from test.place_views import CAMERA, make_view

CHANGED = [
    ("UPDATE place_view SET x_m = x_m + 1 WHERE place_id = 3", "place 3: its view does not match"),
    ("UPDATE place_view SET qw = NULL WHERE place_id = 3", "place 3: its view does not match"),
    ("UPDATE place_view SET intrinsics_id = 2 WHERE place_id = 3", "place 3: its view does not"),
    ("UPDATE place_view SET width = 641 WHERE place_id = 3", "place 3: its view does not match"),
    ("UPDATE place_view SET features = x'00' WHERE place_id = 3", "place 3: its view does not"),
    ("UPDATE place_view SET place_id = 6 WHERE place_id = 3", "its view does not match"),
    ("DELETE FROM place_view WHERE place_id = 3", "place 3: its view does not match"),
    ("INSERT INTO place_view (place_id) VALUES (6)", "place 6: its view does not match"),
    ("UPDATE place SET view_crc32 = NULL WHERE id = 3", "place 3: its names and stamp do not"),
    ("UPDATE intrinsics SET crc32 = 0", "calibration 1 does not match its checksum"),
    ("UPDATE intrinsics SET json = '{}'", "calibration 1 does not match its checksum"),
    ("UPDATE intrinsics SET id = 9", "calibration 1 is missing"),
    ("UPDATE map SET structure_source = 'guesses'", "does not match its checksum"),
]


@pytest.mark.parametrize(("statement", "message"), CHANGED)
def test_changed_views_are_one_error_that_names_the_place(full_map, edited, statement, message):
    edited(full_map, "PRAGMA foreign_keys = OFF", statement)
    assert_damaged(full_map, message)


def test_the_check_sees_views_and_calibrations_that_nobody_refers_to(full_map, edited):
    edited(full_map, "INSERT INTO place_view (place_id) VALUES (1000)")
    with pytest.raises(DataError, match="1 views are of places that it lacks"):
        check(full_map)
    edited(full_map, "DELETE FROM place_view WHERE place_id = 1000")
    edited(full_map, "INSERT INTO intrinsics VALUES (7, '[]', 0)")
    with pytest.raises(DataError, match="calibration 7 does not match"):
        check(full_map)


def forge(path, **changes):
    """Change values of the view of place 3 and make the checksums right again."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for column, value in changes.items():
            connection.execute(f"UPDATE place_view SET {column} = ? WHERE place_id = 3", (value,))
        query = "SELECT * FROM place_view WHERE place_id = 3"
        *fields, features = connection.execute(query).fetchone()
        crc32 = zlib.crc32(features or b"", fields_checksum(*fields))
        names = "id, stamp_ns, camera, traverse, image, thumbnail_crc32"
        query = f"SELECT {names} FROM place WHERE id = 3"
        label = Label(*[*connection.execute(query).fetchone(), crc32])
        connection.execute(
            "UPDATE place SET view_crc32 = ?, label_crc32 = ? WHERE id = 3",
            (crc32, label_checksum(*label)),
        )
        connection.commit()


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "claims more points than there are": ({"landmarks": 10**9}, "number of 3-D points than it"),
    "claims less than none": ({"landmarks": -1}, "number of 3-D points than it claims"),
    "claims nothing": ({"landmarks": None}, "its local features are incomplete"),
    "has no features": ({"features": None}, "its local features are incomplete"),
    "is a byte short": ({"features": bytes(81)}, "another length than they should"),
    "is huge": ({"features": bytes(82 * 65_537)}, "another length than they should"),
    "is not a number": ({"features": b"\xff" * 82, "landmarks": 0}, "not all in its image"),
    "is infinitely far": (
        {"features": bytes(68) + b"\0\0\x80\x7f" * 3 + bytes(2), "landmarks": 1},
        "its 3-D points are not finite",
    ),
    "is of a huge image": ({"width": 10**9}, "the size of its image cannot be read"),
    "is of no image": ({"height": -1}, "the size of its image cannot be read"),
    "has an infinite pose": ({"x_m": 9e999}, "the pose of its camera is not finite"),
    "is beyond the moon": ({"x_m": -1e300}, "the pose of its camera is not finite, too far"),
    "does not rotate": ({"qx": 0.0, "qy": 0.0, "qz": 0.0, "qw": 0.0}, "has no rotation"),
    "has half a pose": ({"z_m": None}, "the pose of its camera is incomplete"),
    "has half a rotation": ({"qz": None}, "the pose of its camera is incomplete"),
    "has a calibration that is missing": ({"intrinsics_id": 77}, "its calibration 77 is missing"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_views_that_somebody_made_are_checked_behind_right_checksums(full_map, what):
    changes, message = HOSTILE[what]
    forge(full_map, **changes)
    with PlaceMap.open(full_map) as place_map:
        with pytest.raises(DataError, match=f"full.progeo.*place 3: .*{message}"):
            place_map.views([1, 2, 3])
        # Nothing else suffers from it.
        assert len(place_map.places().ids) == 60
        assert place_map.views([1, 2, 4])[1] is not None


@pytest.mark.parametrize(
    "text",
    ["[]", "7", "[" * 5000, json.dumps(CAMERA.to_json() | {"focal_x": 0.0}), '{"width": 640}'],
)
def test_calibrations_that_somebody_made_are_one_error(full_map, edited, text):
    crc32 = fields_checksum(1, text)
    edited(full_map, f"UPDATE intrinsics SET json = '{text}', crc32 = {crc32}")
    wrong = pytest.raises(DataError, match="calibration 1 cannot be used")
    with PlaceMap.open(full_map) as place_map, wrong:
        place_map.views([2])


def test_views_are_read_as_they_were_written(tmp_path, fingerprint, make_places, unit_vectors):
    places = make_places(4)
    views = [make_view(places.position[0], seed=1), None, make_view(places.position[2], seed=2)]
    views.append(views[0]._replace(pose=None, features=None))
    views[0] = views[0]._replace(pose=views[0].pose._replace(orientation=np.full(4, np.nan)))
    path = tmp_path / "a.progeo"
    with PlaceMap.create(path, fingerprint) as place_map:
        assert not place_map.has_views
        ids = place_map.append(places._replace(views=views), unit_vectors(4))
    with PlaceMap.open(path) as place_map:
        assert place_map.has_views
        third, none, first, only_camera = place_map.views([3, 2, 1, 4])
        assert none is None
        assert (only_camera.pose, only_camera.intrinsics, only_camera.features) == (
            None,
            CAMERA,
            None,
        )
        for found, wanted in ((first, views[0]), (third, views[2])):
            np.testing.assert_array_equal(found.pose.position, wanted.pose.position)
            np.testing.assert_array_equal(found.pose.orientation, wanted.pose.orientation)
            np.testing.assert_array_equal(found.features.points, wanted.features.points)
            np.testing.assert_array_equal(found.features.descriptors, wanted.features.descriptors)
            np.testing.assert_allclose(
                found.features.landmarks, wanted.features.landmarks, atol=1e-5
            )
            assert found.intrinsics == CAMERA
        # One calibration for three places.
        assert place_map.view_counts() == ViewCounts(2, 2, 2 * 20 * 82, 1)
        with pytest.raises(DataError, match="place 9 is not in the map"):
            place_map.views([1, 9])
        place_map.verify()
    assert ids.tolist() == [1, 2, 3, 4]


def test_setting_views_replaces_them_and_nothing_else(full_map):
    with PlaceMap.open(full_map, writable=True) as place_map:
        revision, before = place_map.revision, content_of(place_map)
        position = place_map.poses().position
        other = make_view(
            position[5], seed=99, camera=CAMERA.__class__(320, 240, 90.0, 90.0, 160.0, 120.0)
        )
        place_map.set_views([6, 3], [other, None])
        assert place_map.revision == revision
        new, gone = place_map.views([6, 3])
        assert gone is None
        assert new.intrinsics == other.intrinsics
        assert content_of(place_map)[:-1] == before[:-1]
        assert place_map.view_counts().calibrations == 2
        place_map.set_views([6], [None])
        place_map.compact()
        assert place_map.view_counts().calibrations == 1
        place_map.verify()


def test_setting_views_refuses_what_is_none_and_changes_nothing(full_map, make_places):
    with PlaceMap.open(full_map, writable=True) as place_map:
        before = content_of(place_map)
        view = make_view(np.zeros(3))
        bad = view._replace(features=view.features._replace(size=(0, 0)))
        for ids, views, message in (
            ([1, 99], [view, view], "place 99 is not in the map"),
            ([1, 1], [view, None], "a place is named twice"),
            ([1, 2], [view, bad], r"full\.progeo: place 2: the size of its image"),
        ):
            with pytest.raises(DataError, match=message):
                place_map.set_views(ids, views)
        with pytest.raises(DataError, match="leave its view out"):
            place_map.append(make_places(1)._replace(views=[bad]), np.ones((1, 8)))
        assert content_of(place_map) == before


def test_deleted_places_take_their_views_along(full_map):
    with PlaceMap.open(full_map, writable=True) as place_map:
        before = os.path.getsize(full_map)
        place_map.delete(range(1, 51))
        place_map.compact()
        assert place_map.view_counts().places == 8
        place_map.verify()
        place_map.delete(range(51, 61))
        place_map.compact()
        assert not place_map.has_views
        assert place_map.view_counts() == ViewCounts(0, 0, 0, 0)
        place_map.verify()
    assert os.path.getsize(full_map) < before


def test_features_without_landmarks_are_views_without_landmarks(full_map):
    with PlaceMap.open(full_map, writable=True) as place_map:
        assert place_map.has_landmarks
        ids = place_map.view_table().ids
        views = place_map.views(ids)
        flat = [
            view._replace(features=view.features and view.features.without_landmarks())
            for view in views
        ]
        place_map.set_views(ids, flat)
        assert (place_map.has_views, place_map.has_landmarks) == (True, False)


def test_the_note_about_the_structure_is_one_step(full_map):
    with PlaceMap.open(full_map, writable=True) as place_map:
        assert place_map.structure == StructureNote("tiny-features", "depth")
        place_map.set_structure(None)
        assert place_map.structure is None
    with PlaceMap.open(full_map) as place_map:
        assert place_map.structure is None
        place_map.verify()


def test_no_view_is_read_until_it_is_asked_for(full_map, edited):
    edited(full_map, "UPDATE place_view SET features = zeroblob(7)", "DELETE FROM intrinsics")
    with PlaceMap.open(full_map) as place_map:
        place_map.places()
        place_map.descriptors()
        assert place_map.has_views
        with pytest.raises(DataError, match="place 2: its view does not match its checksum"):
            place_map.views([2])


def test_the_table_of_views_shows_what_there_is(full_map, edited):
    with PlaceMap.open(full_map) as place_map:
        table, ids = place_map.view_table(), place_map.ids()
        views = [(place_id, view) for place_id, view in zip(ids, place_map.views(ids), strict=True)]
    known = [(place_id, view) for place_id, view in views if view is not None]
    assert table.ids.tolist() == [place_id for place_id, _ in known]
    for row, (_, view) in enumerate(known):
        np.testing.assert_array_equal(table.position[row], view.pose.position)
        np.testing.assert_array_equal(table.orientation[row], view.pose.orientation)
        assert table.calibrated[row] == (view.intrinsics is not None)
        assert table.features[row] == (20 if view.features else 0)
        assert table.landmarks[row] == (15 if view.features else 0)
    edited(full_map, "UPDATE place_view SET qx = NULL, landmarks = NULL, y_m = NULL")
    with PlaceMap.open(full_map) as place_map:
        table = place_map.view_table()
    assert np.isnan(table.orientation[:, 0]).all()
    assert np.isnan(table.position[:, 1]).all()
    assert not table.landmarks.any()
