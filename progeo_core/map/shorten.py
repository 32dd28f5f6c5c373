"""Shorter descriptors for a map: learned from its own, and kept in their place."""

from __future__ import annotations

import numpy as np

from progeo_core.descriptors.projection import learn_projection
from progeo_core.errors import UsageError
from progeo_core.map.place_map import PlaceMap

# Places that components are learned from, evenly taken: a minute for 8,448 values.
_LEARNED_FROM = 4_000


def require_fitting(place_map: PlaceMap, dimension: int) -> None:
    """Raise `UsageError` unless a map keeps so many values or can be made to."""
    long = place_map.fingerprint.dimension
    if place_map.projection is not None and dimension != place_map.dimension:
        raise UsageError(
            f"{place_map.path}: the map keeps {place_map.dimension} values of a descriptor, which"
            f" cannot become {dimension}; leave --dimension out, or build the map again"
        )
    if not 0 < dimension < long:
        raise UsageError(
            f"{place_map.fingerprint.name or 'the model'}: its descriptors have {long} values,"
            f" which cannot be shortened to {dimension}; give --dimension fewer, or leave it out"
        )


def shorten_map(place_map: PlaceMap, dimension: int) -> None:
    """Shorten all descriptors of a writable map, unless they are; raises as `require_fitting`.

    Queries are shortened in the same way from then on. One transaction: a kill leaves the map with
    whole descriptors, or with shortened ones.
    """
    require_fitting(place_map, dimension)
    if place_map.projection is not None or not len(place_map):
        return
    ids = place_map.ids()
    evenly = np.linspace(0, len(ids) - 1, min(len(ids), _LEARNED_FROM)).astype(np.int64)
    sample = place_map.descriptors(ids[evenly])
    place_map.shorten(learn_projection(sample, dimension))
    place_map.compact()
