import numpy as np
import pytest

from progeo_core.images.codec import read_image
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.places import Places
from progeo_core.records.image_source import source_of_records
from progeo_core.verification.place_feature_cache import KnownPlace, PlaceFeatureCache, view_of


@pytest.fixture(scope="module")
def extractor():
    return FeatureExtractor("cpu")


def test_features_of_the_map_with_their_landmarks(office_map, extractor):
    with PlaceMap.open(office_map) as place_map:
        cache = PlaceFeatureCache(place_map, extractor)
        place = cache.of([1])[0]
        view = place_map.views([1])[0]
        assert cache.of([2, 1])[1] is place
    np.testing.assert_array_equal(place.points, view.features.points)
    np.testing.assert_allclose(np.linalg.norm(place.descriptors, axis=1), 1.0, atol=1e-5)
    descriptors, landmarks, spread = place.with_landmarks
    deviations = np.linalg.norm(spread, axis=1) / view.features.sigma_m[view.features.has_landmark]
    np.testing.assert_allclose(deviations, 2.0, rtol=1e-5)
    assert len(descriptors) == len(landmarks) == view.features.has_landmark.sum() > 100
    assert place.focal_px == pytest.approx(view.intrinsics.focal_x)


def test_a_map_without_features_has_those_of_its_thumbnails(
    office, small_encoder, tmp_path, extractor
):
    path = tmp_path / "plain.progeo"
    build_map(path, source_of_records(office / "map.csv"), small_encoder)
    with PlaceMap.open(path) as place_map:
        place = PlaceFeatureCache(place_map, extractor).of([1])[0]
    assert len(place.points) > 50
    assert max(place.size) < 540
    assert not len(place.landmark_rows)
    assert place.focal_px is None


def test_a_place_without_a_picture_is_unknown(tmp_path, fingerprint, extractor):
    with PlaceMap.create(tmp_path / "bare.progeo", fingerprint) as place_map:
        names = ("", "")
        columns = np.zeros((2, 3)), np.zeros(2), np.zeros(2, np.int64)
        descriptors = np.eye(2, fingerprint.dimension, dtype=np.float32)
        place_map.append(Places(*columns, names, names, names, (None, None)), descriptors)
        assert PlaceFeatureCache(place_map, extractor).of([1, 2]) == [None, None]


def test_features_of_another_extractor_are_not_compared(office_map, caplog):
    other = FeatureExtractor("cpu")
    other.name = "xfeat-other"
    with PlaceMap.open(office_map) as place_map:
        place = PlaceFeatureCache(place_map, other).of([1])[0]
    assert not len(place.landmark_rows)
    assert "cannot be compared with those of xfeat-other" in caplog.text
    assert "progeo map structure" in caplog.text


def test_the_features_of_a_query_are_found_once(office, office_map, extractor):
    image = read_image(office / "images" / "0355.jpg")
    with PlaceMap.open(office_map) as place_map:
        cache = PlaceFeatureCache(place_map, extractor)
        assert not cache.triangulated
        assert cache.query(image, None) is cache.query(image, None)
        assert cache.query(image.copy(), None) is not cache.query(image, None)


def test_a_place_is_looked_for_by_the_features_that_it_has():
    random = np.random.default_rng(0)
    points = random.uniform(0.0, 40.0, (5, 2)).astype(np.float32)
    descriptors = random.normal(size=(5, 64)).astype(np.float32)
    place = KnownPlace(points, descriptors, (64, 48), np.full((5, 3), np.nan), None)
    view = view_of(place)
    assert view.image.shape == (48, 64, 3)
    assert view.camera is None
    np.testing.assert_array_equal(view.features.points, points)
