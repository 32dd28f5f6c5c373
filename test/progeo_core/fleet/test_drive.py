import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.fleet.drive import Drive
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.map.place_map import PlaceMap


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    return FeatureExtractor("cpu")


@pytest.mark.slow
def test_without_yaw_places_look_where_the_drive_goes(
    extractor, make_map, make_places, unit_vectors
):
    path = make_map("drive", make_places(6), unit_vectors(6))
    with PlaceMap.open(path) as place_map:
        drive = Drive(place_map, extractor)
        np.testing.assert_allclose(drive.pose[:, 2], np.arctan2(0.5, 1.0))
        assert drive.usable.tolist() == [0, 1, 2, 3, 4, 5]
        assert drive.spacing_m == pytest.approx(np.hypot(1.0, 0.5))
        # Every place is most similar to itself.
        similar = drive.most_similar(drive.descriptors(np.arange(6)), 2)
        assert similar.rows[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
        assert similar.rows.shape == similar.similarity.shape == (6, 2)
        assert drive.distinct(np.arange(6), 2.0, 10).tolist() == [0, 2, 4]
        assert drive.distinct(np.arange(6), 0.5, 3).tolist() == [0, 2, 5]
        assert drive.known(0) is None


@pytest.mark.slow
def test_a_map_that_tells_no_direction_is_refused(extractor, make_map, make_places, unit_vectors):
    for count, message in ((0, "holds no places"), (1, "nothing tells where its places look")):
        path = make_map(f"of{count}", make_places(count), unit_vectors(count))
        with PlaceMap.open(path) as place_map, pytest.raises(DataError, match=message):
            Drive(place_map, extractor)
