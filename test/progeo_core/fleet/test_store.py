"""Ids of a fleet's places, and the names that make them."""

from collections import Counter

import numpy as np
import pytest

from progeo_core.errors import UsageError
from progeo_core.fleet.store import checked_name, fleet_places
from test.fleet_places import SESSION, some_places


def test_ids_are_those_of_the_place_whatever_the_batch():
    whole = some_places()
    counts: Counter[str] = Counter()
    assert fleet_places(SESSION, whole.places, whole.descriptors, counts).ids == whole.ids
    again = fleet_places(SESSION, whole.places, whole.descriptors, counts)
    assert not set(again.ids) & set(whole.ids)  # other places of the same names
    bob = SESSION._replace(robot="bob")
    assert not set(some_places(bob).ids) & set(whole.ids)
    np.testing.assert_allclose(whole.geodetic[0], SESSION.datum)


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * 300])
def test_names_that_no_store_keeps_are_refused(name):
    with pytest.raises(UsageError, match="robot"):
        checked_name("robot", name)
