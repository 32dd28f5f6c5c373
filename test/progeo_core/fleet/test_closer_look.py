import numpy as np
import pytest

from progeo_core.fleet.closer_look import CloserLook
from progeo_core.fleet.drive import Drive
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.map.place_map import PlaceMap


@pytest.mark.slow
def test_only_the_right_transform_has_places_agree(corridor_drives):
    right = np.array([*corridor_drives.frame.position, float(corridor_drives.frame.heading_rad)])
    with PlaceMap.open(corridor_drives.first) as one, PlaceMap.open(corridor_drives.second) as two:
        extractor = FeatureExtractor("cpu")
        look = CloserLook(Drive(one, extractor), Drive(two, extractor), {})
        found = look.at(right)
        assert found.compared > 20
        assert found.proven.suffices
        assert found.proven.total <= found.alike.total
        assert found.proven.agreeing <= len(found.shared.moved) <= found.compared
        assert found.located == 0
        wrong = look.at(right + np.array([28.0, 0.0, 0.0, 0.0]))
        assert wrong.compared > 10
        assert not wrong.alike.suffices
        assert wrong.proven.total < 0.0
        nowhere = look.at(right + np.array([1e4, 0.0, 0.0, 0.0]))
        assert (nowhere.compared, nowhere.alike.suffices) == (0, False)
