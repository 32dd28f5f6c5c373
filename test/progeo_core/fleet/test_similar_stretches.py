import numpy as np
import pytest

from progeo_core.fleet.drive import Drive
from progeo_core.fleet.frame_fit import moved_by
from progeo_core.fleet.similar_stretches import (
    apart_m,
    locate,
    propose_transforms,
    similarity_log_odds,
    tolerance_m,
)
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.map.merge import merge_maps
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.transform import Transform, level_quaternion


@pytest.mark.slow
def test_drives_of_equal_descriptors_are_put_on_each_other(make_map, make_places, unit_vectors):
    vectors = unit_vectors(40, dimension=8)
    frame = np.array([5.0, 9.0, 0.0, -1.0])
    first = make_places(40)._replace(yaw_rad=np.zeros(40))
    x, y, z, yaw = moved_by(frame, np.column_stack([first.position, first.yaw_rad])).T
    second = first._replace(position=np.column_stack([x, y, z]), yaw_rad=yaw)
    paths = make_map("fixed", second, vectors), make_map("moved", first, vectors)
    with PlaceMap.open(paths[0]) as one, PlaceMap.open(paths[1]) as other:
        extractor = FeatureExtractor("cpu")
        fixed, moved = Drive(one, extractor), Drive(other, extractor)
        assert locate(fixed, moved) == {}
        assert tolerance_m(fixed, moved) == pytest.approx(2.0 * np.hypot(1.0, 0.5))
        best, *others = propose_transforms(fixed, moved, {})
        places = moved.places(moved.usable)
        assert apart_m(best, frame, places) < 0.5
        assert all(apart_m(one, best, places) > 4.0 for one in others)


def test_similarity_counts_for_and_against():
    assert similarity_log_odds(np.array([-1.0, 0.12, 1.0])).tolist() == [-6.0, 0.0, 6.0]


@pytest.mark.slow
def test_landmarks_locate_the_places_of_another_drive(office_map, tmp_path):
    frame = Transform(np.array([4.0, 1.0, 0.3]), level_quaternion(0.7))
    merge_maps([office_map], tmp_path / "moved.progeo", frames=[frame.inverse()])
    with PlaceMap.open(office_map) as one, PlaceMap.open(tmp_path / "moved.progeo") as other:
        extractor = FeatureExtractor("cpu")
        fixed, moved = Drive(one, extractor), Drive(other, extractor)
        found = locate(fixed, moved)
    assert len(found) > 3
    for row, place in found.items():
        assert place.row == row
        np.testing.assert_allclose(place.pose, fixed.places([row])[0], atol=0.05)
        assert 0.0 < place.sigma_m < 0.5
