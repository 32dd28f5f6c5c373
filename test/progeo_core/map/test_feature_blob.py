import numpy as np
import pytest

from progeo_core.map.feature_blob import BYTES_PER_FEATURE, pack_features, unpack_features
from progeo_core.map.sqlite_file import DamageError
from test.place_views import make_features

ORIGIN = np.array([1e5, -2e5, 300.0])


def test_features_come_back_as_they_were_in_82_bytes_each():
    features = make_features(ORIGIN, 50)
    blob = pack_features(features, ORIGIN)
    assert len(blob.data) == 50 * BYTES_PER_FEATURE == 50 * 82
    back = unpack_features(blob, ORIGIN)
    np.testing.assert_array_equal(back.points, features.points)
    np.testing.assert_array_equal(back.descriptors, features.descriptors)
    # Far from the origin of the map, a point near its place is kept to micrometres.
    np.testing.assert_allclose(back.landmarks, features.landmarks, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(back.sigma_m, features.sigma_m)
    assert back.size == features.size == (640, 480)


def test_points_of_a_large_image_become_those_of_a_smaller_one():
    features = make_features(ORIGIN)
    large = features._replace(points=features.points * np.float32(12.5), size=(8000, 6000))
    back = unpack_features(pack_features(large, ORIGIN), ORIGIN)
    assert back.size == (4095, 3071)
    scale = np.divide(back.size, large.size)
    np.testing.assert_allclose(back.points, large.points * scale, atol=1 / 32 + 1e-3)


def test_bytes_that_are_no_features_are_refused():
    blob = pack_features(make_features(ORIGIN), ORIGIN)
    for bad in (
        blob._replace(data=blob.data[:-1]),
        blob._replace(data=bytes(82 * 70_000)),
        blob._replace(data=blob.data * 2),
        blob._replace(width=0),
        blob._replace(height=10**9),
        blob._replace(landmarks=10**9),
    ):
        with pytest.raises(DamageError, match=r"length|size|3-D points"):
            unpack_features(bad, ORIGIN)
