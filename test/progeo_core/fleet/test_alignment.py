import numpy as np
import pytest

from progeo_core.fleet.alignment import (
    AmbiguousAlignmentError,
    NoAlignmentError,
    align_maps,
)
from progeo_core.map.merge import merge_maps
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.transform import IDENTITY, Transform, level_quaternion

# Places of the corridor's drives are so far apart (m).
SPACING_M = 4.0


@pytest.mark.slow
def test_two_drives_of_a_corridor_are_aligned(corridor_drives):
    with PlaceMap.open(corridor_drives.first) as one, PlaceMap.open(corridor_drives.second) as two:
        found = align_maps(one, two, device="cpu")
        middle = two.places().position.mean(axis=0)
    aligned, right = (
        frame.then(Transform(middle, IDENTITY.orientation))
        for frame in (found.frame.transform, corridor_drives.frame)
    )
    assert np.linalg.norm(aligned.position - right.position) < 0.5 * SPACING_M
    assert abs(float(aligned.heading_rad - right.heading_rad)) < 0.05
    assert found.agreeing >= 0.5 * found.compared > 10
    assert 0.1 < found.position_sigma_m < SPACING_M


@pytest.mark.slow
def test_floors_that_are_built_alike_are_not_chosen_between(corridor_drives, tmp_path):
    # The same corridor twice in one map stands for two floors.
    upstairs = Transform(np.array([0.0, 60.0, 0.0]), level_quaternion(1.5))
    floors = [corridor_drives.first, corridor_drives.first]
    merge_maps(floors, tmp_path / "tower.progeo", frames=[IDENTITY, upstairs])
    with (
        PlaceMap.open(tmp_path / "tower.progeo") as tower,
        PlaceMap.open(corridor_drives.second) as drive,
    ):
        with pytest.raises(AmbiguousAlignmentError, match=r"built alike.* places\); --near"):
            align_maps(tower, drive, device="cpu")
        right = upstairs.then(corridor_drives.frame)
        near = np.array([*right.position[:2] + 4.0, float(right.heading_rad)])
        found = align_maps(tower, drive, near, device="cpu")
    assert np.linalg.norm(found.frame.pose[:2] - right.position[:2]) < 0.5 * SPACING_M


@pytest.mark.slow
def test_drives_of_different_sites_are_refused(corridor_drives, office_map):
    with (
        PlaceMap.open(corridor_drives.first) as one,
        PlaceMap.open(office_map) as two,
        pytest.raises(NoAlignmentError, match=r"ref.*office.*4 and half of those that should"),
    ):
        align_maps(one, two, device="cpu")


@pytest.mark.slow
def test_landmarks_align_to_centimetres(office_map, tmp_path):
    frame = Transform(np.array([4.0, 1.0, 0.3]), level_quaternion(0.7))
    merge_maps([office_map], tmp_path / "moved.progeo", frames=[frame.inverse()])
    with PlaceMap.open(office_map) as one, PlaceMap.open(tmp_path / "moved.progeo") as two:
        found = align_maps(one, two, device="cpu")
    assert found.located == found.agreeing > 3
    np.testing.assert_allclose(found.frame.pose, [4.0, 1.0, 0.3, 0.7], atol=0.02)
