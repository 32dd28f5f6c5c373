import dataclasses

import numpy as np
import pytest

from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.codec import read_image
from progeo_core.inference.feature_extractor import FeatureExtractor, Keypoints
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import read_records
from progeo_core.verification.epipolar_inliers import count_inliers, overlap
from progeo_core.verification.place_feature_cache import KnownPlace, PlaceFeatureCache
from progeo_core.verification.query_view import QueryView


@pytest.fixture(scope="module")
def extractor():
    return FeatureExtractor("cpu")


@pytest.fixture(scope="module")
def campus(campus_loop, extractor):
    """Return some images of a robot's drive, by number: neighbours overlap, others do not."""
    rows = (20, 21, 55)
    paths = read_records(campus_loop / "records.csv").images
    return {row: QueryView(read_image(paths[row]), None, find(extractor)) for row in rows}


def find(extractor):
    return lambda image, side: extractor.find([image], side=side)[0]


def known(view):
    points, descriptors, size = view.features
    return KnownPlace(points, descriptors, size, np.full((len(points), 3), np.nan), None)


def test_overlapping_views_have_more_inliers_than_others(campus):
    neighbour, other = (count_inliers(campus[21], known(campus[row])) for row in (20, 55))
    assert neighbour > 60
    assert other < 0.3 * neighbour


def test_a_smaller_image_of_the_same_scene_fits_as_well(campus, extractor):
    half = QueryView(np.ascontiguousarray(campus[21].image[::2, ::2]), None, find(extractor))
    assert count_inliers(half, known(campus[20])) > 2 * count_inliers(half, known(campus[55]))


def test_what_is_seen_from_closer_is_magnified(campus, extractor):
    image = campus[21].image
    height, width = image.shape[:2]
    middle = image[height // 8 : -(height // 8), width // 8 : -(width // 8)]
    closer = QueryView(np.ascontiguousarray(middle), None, find(extractor))
    near, far = overlap(closer, known(campus[21])), overlap(campus[21], known(closer))
    assert near.inliers > 100
    assert near.log_magnification == pytest.approx(np.log(4 / 3), abs=0.02)
    assert far.log_magnification == pytest.approx(-np.log(4 / 3), abs=0.02)
    other = overlap(campus[21], known(campus[20]))
    assert other.inliers == count_inliers(campus[21], known(campus[20]))
    assert abs(other.log_magnification) < 0.5


@pytest.mark.slow
def test_calibrated_places_are_compared_by_rays(office, office_map, extractor):
    camera = read_calibration(office / "camera_info.yaml")
    records = read_records(office / "query.csv")
    image = read_image(records.images[0])
    with PlaceMap.open(office_map) as place_map:
        ids = place_map.places().ids.tolist()
        found = PlaceFeatureCache(place_map, extractor).of(ids)
    places = [place for place in found if place is not None]
    assert len(places) == len(ids)
    by_rays, by_pixels = (
        [count_inliers(QueryView(image, one, find(extractor)), place) for place in places]
        for one in (camera, None)
    )
    assert max(by_rays) > 60
    assert np.argmax(by_rays) == np.argmax(by_pixels)
    strange = dataclasses.replace(camera, width=camera.height, height=camera.width)
    view = QueryView(image, strange, find(extractor))
    assert [count_inliers(view, place) for place in places] == by_pixels


@pytest.mark.parametrize("count", [0, 5, 40])
def test_points_without_a_scene_are_no_inliers(count):
    points = np.zeros((count, 2), np.float32)
    descriptors = np.eye(count, 64, dtype=np.float32)
    same = Keypoints(points, descriptors, (160, 120))
    view = QueryView(np.zeros((120, 160, 3), np.uint8), None, lambda image, side: same)
    assert count_inliers(view, known(view)) in range(count + 1)
    assert np.isnan(overlap(view, known(view)).log_magnification)
