import cv2
import numpy as np
import pytest

from progeo_core.evaluation.map_view import pictures
from progeo_core.evaluation.map_view.pictures import Pictures, choose_pictures
from progeo_core.images.codec import decode_image, encode_jpeg, read_image
from progeo_core.map.place_map import PlaceMap


@pytest.fixture
def pictured(make_map, make_places, unit_vectors, campus_loop):
    """Return a map of 20 places with thumbnails, one without, and one that is no picture."""
    image = read_image(campus_loop / "dataset/image_0.png")
    jpeg = encode_jpeg(np.asarray(cv2.resize(image, (240, 180)), np.uint8))
    thumbnails: list[bytes | None] = [jpeg] * 20
    thumbnails[3], thumbnails[7] = None, b"no picture"
    places = make_places(20)._replace(thumbnail=thumbnails)
    return make_map("pictured", places, unit_vectors(20)), jpeg


def test_few_pictures_stay_as_they_are(pictured):
    path, jpeg = pictured
    with PlaceMap.open(path) as place_map:
        found = choose_pictures(place_map, place_map.ids(), [])
    assert found.rows.tolist() == [row for row in range(20) if row != 3]
    assert found.files[0] == jpeg


def test_many_pictures_get_smaller_until_they_fit(pictured, monkeypatch):
    path, jpeg = pictured
    monkeypatch.setattr(pictures, "_MAX_BYTES", 8 * len(jpeg))
    with PlaceMap.open(path) as place_map:
        found = choose_pictures(place_map, place_map.ids(), [])
    assert sum(map(len, found.files)) <= 8 * len(jpeg)
    # What cannot be read is left out.
    assert found.rows.tolist() == [row for row in range(20) if row not in {3, 7}]
    height, width, _ = decode_image(found.files[0], "picture").shape
    assert width < 240
    assert width / height == pytest.approx(4 / 3, rel=0.02)


def test_of_too_many_places_some_have_pictures_and_those_wanted(pictured, monkeypatch):
    path, _ = pictured
    monkeypatch.setattr(pictures, "MAX_PICTURES", 5)
    advanced: list[int] = []
    with PlaceMap.open(path) as place_map:
        found = choose_pictures(place_map, place_map.ids(), [13, 14], advanced.append)
    assert found.rows.tolist() == [0, 4, 8, 12, 13, 14, 16]
    assert sum(advanced) == len(found.rows)


def test_places_show_the_nearest_picture_in_order():
    some = Pictures(np.array([0, 4, 5]), [b"a", b"b", b"c"])
    assert some.nearest_in_order(8).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert Pictures(np.array([2]), [b"a"]).nearest_in_order(4).tolist() == [0, 0, 0, 0]
    assert Pictures(np.empty(0, np.int64), []).nearest_in_order(2).tolist() == [-1, -1]
