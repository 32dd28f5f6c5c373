"""Measure a map by its own places: how far apart neighbours are, and how alike they look."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from progeo_core.descriptor_contrast import DescriptorContrast
from progeo_core.place_map import PlaceMap, PlaceTable

# Places that are asked for their neighbours; the medians need no more.
_ASKED = 100


class MapScale(NamedTuple):
    """Hold the medians over places and their nearest place elsewhere.

    spacing_m: their distance, 0 where all places are in one spot. neighbour_similarity: their
    similarity in the map's contrast, 0 then.
    """

    spacing_m: float
    neighbour_similarity: float


def measure_scale(
    places: PlaceTable, place_map: PlaceMap, contrast: DescriptorContrast
) -> MapScale:
    """Measure a map on a hundred of its places, evenly taken, so that large maps open quickly."""
    asked, nearest, distances = [], [], []
    for row in range(0, len(places.ids), -(-len(places.ids) // _ASKED)):
        distance = np.linalg.norm(places.position - places.position[row], axis=1)
        distance[distance == 0.0] = np.inf
        other = int(np.argmin(distance))
        if np.isfinite(distance[other]):
            asked.append(row)
            nearest.append(other)
            distances.append(distance[other])
    if not asked:
        return MapScale(0.0, 0.0)
    views = contrast.apply(place_map.descriptors(places.ids[asked]))
    others = contrast.apply(place_map.descriptors(places.ids[nearest]))
    similarity = np.sum(views * others, axis=1)
    return MapScale(float(np.median(distances)), float(np.median(similarity)))
