import numpy as np
import pytest

from progeo_core.images.codec import load_images, make_thumbnail
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import read_records
from progeo_core.verification.geometric_verifier import GeometricVerifier, count_inliers
from progeo_core.verification.local_features import find_features


@pytest.fixture
def campus_images(campus_loop):
    """Return real images of a robot's drive: neighbours overlap, distant ones do not."""
    return list(load_images(read_records(campus_loop / "records.csv").images))


@pytest.fixture
def thumbnail_map(tmp_path, campus_images, fingerprint, make_places, unit_vectors):
    """Return a map of images 0, 20, 40 and of one place without a thumbnail."""
    with PlaceMap.create(tmp_path / "thumbnails.progeo", fingerprint) as place_map:
        pictures = [make_thumbnail(campus_images[row]) for row in (0, 20, 40)]
        columns = make_places(4)._replace(thumbnail=[*pictures, None])
        place_map.append(columns, unit_vectors(4))
        yield place_map


def test_overlapping_views_have_more_inliers_than_others(campus_images):
    first, neighbour, other = (find_features(campus_images[row]) for row in (20, 21, 55))
    assert count_inliers(first, neighbour) > 2 * count_inliers(first, other)


def log_odds(place_map, image, rows=slice(None)):
    places = place_map.places()
    return GeometricVerifier(place_map).log_odds(
        image, places.ids[rows], places.position[rows], 1.0, 1000
    )


def test_image_speaks_for_its_neighbour_and_not_for_the_others(thumbnail_map, campus_images):
    odds = log_odds(thumbnail_map, campus_images[21])
    assert odds.argmax() == 1
    assert odds[1] > 2.0
    assert max(odds[0], odds[2]) < -1.0


def test_place_without_a_thumbnail_says_nothing(thumbnail_map, campus_images):
    assert log_odds(thumbnail_map, campus_images[21], slice(3, None)).tolist() == [0.0]
    assert log_odds(thumbnail_map, campus_images[21])[3] == 0.0


def test_image_that_shows_nothing_speaks_for_no_place(thumbnail_map):
    blank = np.full((120, 160, 3), 90, np.uint8)
    assert (log_odds(thumbnail_map, blank, slice(3)) < -1.0).all()


def test_identical_points_are_no_scene():
    features = find_features(np.full((120, 160, 3), 90, np.uint8))
    assert len(features.points) == 0
    same = features._replace(
        points=np.zeros((20, 2), np.float32), descriptors=np.eye(20, 128, dtype=np.float32)
    )
    assert count_inliers(same, same) <= 20


def test_evidence_is_bounded(thumbnail_map, campus_images):
    odds = log_odds(thumbnail_map, campus_images[20])
    assert odds.max() == 3.0
    assert odds.min() >= -6.0
