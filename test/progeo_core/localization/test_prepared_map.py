import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.geo import Datum
from progeo_core.localization import prepared_map
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from test.progeo_core.localization.conftest import FINGERPRINT, random_descriptors


def test_search_returns_rows_of_the_most_similar_places(prepare):
    vectors = random_descriptors(30)
    prepared = prepare(vectors)
    assert prepared.search(vectors[7], 3)[0] == 7
    assert sorted(prepared.search(vectors[7], 1000)) == list(range(30))


def test_similarity_is_one_for_the_place_itself_and_about_zero_elsewhere(prepare):
    vectors = random_descriptors(300)
    prepared = prepare(vectors)
    standardized = prepared.standardization.apply(vectors[7][None])[0]
    similarity = prepared.similarity(standardized, np.arange(300))
    assert similarity[7] > 0.85
    assert abs(np.delete(similarity, 7).mean()) < 0.02


def test_a_similarity_is_ranked_among_places_far_apart(prepare):
    prepared = prepare(random_descriptors(60))
    shares = [prepared.share_less_alike(one) for one in (-1.0, 0.0, 1.0)]
    assert shares[0] == 0.0
    assert 0.4 < shares[1] < 0.6
    assert shares[2] == 1.0
    assert np.isnan(prepare(random_descriptors(1)).share_less_alike(0.5))


def test_look_alikes_are_measured_before_the_first_answer_and_once(prepare, monkeypatch):
    asked = []

    def measure(_, radius_m):
        asked.append(radius_m)
        return 0.25

    monkeypatch.setattr(prepared_map, "share_of_look_alikes", measure)
    prepared = prepare(random_descriptors(30))
    verifiers = [PlaceVerifier(prepared, radius_m) for radius_m in (15.0, 15.0, 20.0)]
    assert asked == [15.0, 20.0]
    assert [verifier.look_alikes for verifier in verifiers] == [0.25] * 3
    assert asked == [15.0, 20.0]


def test_spacing_and_calibration_are_those_of_the_map(prepare):
    prepared = prepare(random_descriptors(30))
    assert prepared.spacing.spacing_m == pytest.approx(10.0)
    assert prepared.calibration.sequence.slope == pytest.approx(1.3)
    assert not prepared.has_rig


def test_pose_of_a_rig_is_as_similar_as_its_best_image(prepare):
    vectors = random_descriptors(40)
    line = np.tile(np.arange(20)[:, None] * [10.0, 0.0, 0.0], (2, 1))
    prepared = prepare(vectors, line, ["front"] * 20 + ["left"] * 20)
    assert prepared.has_rig
    standardized = prepared.standardization.apply(vectors[25][None])[0]
    of_poses = prepared.similarity_of_poses(standardized, np.array([5, 6, 25]))
    own = prepared.similarity(standardized, np.array([25]))
    np.testing.assert_allclose(of_poses[[0, 2]], own[0])
    assert of_poses[1] < 0.5


def test_image_of_a_rig_is_the_one_that_looks_the_same_way(prepare):
    vectors = random_descriptors(40)
    line = np.tile(np.arange(20)[:, None] * [10.0, 0.0, 0.0], (2, 1))
    rig = prepare(vectors, line, ["front"] * 20 + ["left"] * 20)
    standardized = rig.standardization.apply(vectors[25][None])[0]
    assert rig.most_similar_images(standardized, np.array([5, 25])).tolist() == [25, 25]
    alone = prepare(vectors)
    assert alone.most_similar_images(standardized, np.array([5, 25])).tolist() == [5, 25]


def test_matches_say_what_the_map_knows(prepare):
    prepared = prepare(random_descriptors(30))
    first, second = prepared.matches(np.array([4, 2]), np.array([0.9, 0.5]))
    assert (first.image, first.similarity, second.image) == ("4.jpg", 0.9, "2.jpg")
    np.testing.assert_array_equal(second.position, [20.0, 0.0, 0.0])


def test_position_is_geodetic_where_the_map_has_a_datum(prepare):
    vectors = random_descriptors(3)
    assert prepare(vectors).geodetic(np.zeros(3)) is None
    at_datum = prepare(vectors, datum=Datum(48.0, 11.0, 500.0)).geodetic(np.zeros(3))
    assert at_datum == pytest.approx((48.0, 11.0, 500.0))


def test_map_without_places_is_refused(tmp_path):
    with PlaceMap.create(tmp_path / "empty.progeo", FINGERPRINT) as place_map:
        index = PlaceIndex.open(place_map)
        with pytest.raises(DataError, match="holds no places"):
            PreparedMap(place_map, index)
