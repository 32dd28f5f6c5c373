import numpy as np
import pytest

from progeo_core.errors import UsageError
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.shorten import shorten_map
from progeo_core.map.summary import summarize_map


def test_places_are_found_by_whole_descriptors_in_a_shortened_map(
    full_map, make_places, unit_vectors
):
    with PlaceMap.open(full_map, writable=True) as place_map:
        PlaceIndex.open(place_map)
        shorten_map(place_map, 6)
        assert summarize_map(place_map).shortened_to == 6
        (added,) = place_map.append(make_places(1), unit_vectors(61)[60:])
        shorten_map(place_map, 6)  # which it is already
    with PlaceMap.open(full_map) as place_map:
        index = PlaceIndex.open(place_map)
        assert index.plan.dimension == 6
        found = index.search(unit_vectors(61)[[3, 60]], 1).place_ids
        assert found[:, 0].tolist() == [place_map.ids()[3], added]
        again = index.search(place_map.descriptors([added]), 1).place_ids
        assert again.tolist() == [[added]]


def test_lengths_that_do_not_fit_are_refused(full_map):
    with PlaceMap.open(full_map, writable=True) as place_map:
        with pytest.raises(UsageError, match="have 8 values, which cannot be shortened to 8"):
            shorten_map(place_map, 8)
        shorten_map(place_map, 4)
        with pytest.raises(UsageError, match="keeps 4 values of a descriptor, which cannot become"):
            shorten_map(place_map, 6)
        assert place_map.descriptors().dtype == np.float16
