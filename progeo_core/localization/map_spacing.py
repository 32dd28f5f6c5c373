"""Spacing of a map: how far apart neighbouring places are, and how similar they look."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import Standardization
from progeo_core.geo import FloatArray
from progeo_core.map.place_map import PlaceMap, PlacePoses

# Places whose neighbours are looked for; the medians need no more.
_SAMPLE = 100
# Nearer ones (m) are in the same spot: two drives from one table differ by how metres are rounded.
_SAME_SPOT_M = 1e-3
# Neighbours along one axis that are looked at first, to each side.
_FIRST_REACH = 64


class MapSpacing(NamedTuple):
    """Medians over places and their nearest place elsewhere.

    spacing_m: their distance, 0 where all places are in one spot. neighbour_similarity: their
    similarity in the map's standardization, 0 then.
    """

    spacing_m: float
    neighbour_similarity: float


class _Line(NamedTuple):
    """Positions [n, 3] in the order of one axis, and where each row stands in it."""

    position: FloatArray
    axis: int
    rows: NDArray[np.int64]
    rank: NDArray[np.int64]

    @classmethod
    def along_widest_axis(cls, position: FloatArray) -> _Line:
        axis = int(np.argmax(np.ptp(position, axis=0)))
        rows = np.argsort(position[:, axis], kind="stable")
        rank = np.empty_like(rows)
        rank[rows] = np.arange(len(rows))
        return cls(position[rows], axis, rows, rank)

    def nearest_elsewhere(self, row: int) -> tuple[int, float]:
        """Return the nearest row that is not in the same spot, and its distance (m, inf if none).

        Looks ever farther along the axis until nothing beyond can be nearer.
        """
        own, reach, count = int(self.rank[row]), _FIRST_REACH, len(self.rows)
        while True:
            first, last = max(0, own - reach), min(count, own + reach + 1)
            offset = self.position[first:last] - self.position[own]
            distance = np.linalg.norm(offset, axis=1)
            distance[distance < _SAME_SPOT_M] = np.inf
            best = int(np.argmin(distance))
            before = -offset[0, self.axis] if first else np.inf
            after = offset[-1, self.axis] if last < count else np.inf
            if distance[best] <= min(before, after):
                return int(self.rows[first + best]), float(distance[best])
            reach *= 4


def measure_spacing(
    places: PlacePoses, place_map: PlaceMap, standardization: Standardization
) -> MapSpacing:
    """Measure the spacing on a hundred places, evenly taken, so that large maps open quickly."""
    sample = _Sample.of(places.position)
    if not sample.rows:
        return MapSpacing(0.0, 0.0)
    own = standardization.apply(place_map.descriptors(places.ids[sample.rows]))
    others = standardization.apply(place_map.descriptors(places.ids[sample.nearest]))
    similarity = np.sum(own * others, axis=1)
    return MapSpacing(sample.spacing_m, float(np.median(similarity)))


def spacing_of(position: FloatArray) -> float:
    """Return the spacing (m) of places at positions [n, 3], as `MapSpacing` has it."""
    return _Sample.of(position).spacing_m


class _Sample(NamedTuple):
    """Some places, evenly taken, the nearest place elsewhere of each, and its distance (m)."""

    rows: list[int]
    nearest: list[int]
    distance_m: list[float]

    @classmethod
    def of(cls, position: FloatArray) -> _Sample:
        sample = cls([], [], [])
        if not len(position):
            return sample
        line = _Line.along_widest_axis(position)
        for row in range(0, len(position), -(-len(position) // _SAMPLE)):
            other, distance = line.nearest_elsewhere(row)
            if np.isfinite(distance):
                sample.rows.append(row)
                sample.nearest.append(other)
                sample.distance_m.append(distance)
        return sample

    @property
    def spacing_m(self) -> float:
        return float(np.median(self.distance_m)) if self.rows else 0.0
