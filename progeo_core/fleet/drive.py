"""Map of one drive as alignment reads it: poses, standardized descriptors, local features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.descriptors.standardization import Standardization, sample_of
from progeo_core.errors import DataError
from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.localization.map_spacing import measure_spacing
from progeo_core.map.place_map import PlaceMap, PlaceTable
from progeo_core.verification.metric_localizer import MetricLocalizer
from progeo_core.verification.place_feature_cache import KnownPlace, PlaceFeatureCache

IntArray = NDArray[np.int64]

# Descriptors that are compared at a time.
_BLOCK = 4096
# Places of a large map that are examined.
_EXAMINED = 4000
# Places turned this far (rad) against each other do not show the same.
_TURN_RAD = 0.3


class SimilarPlaces(NamedTuple):
    """Rows [q, k] of the places most similar to each of q, best first, and similarities [q, k]."""

    rows: IntArray
    similarity: FloatArray


class Drive:
    """Places of an open map, named by their row in `PlaceMap.poses`.

    pose: [n, 3] x, y (m) and yaw (rad); where the map has no yaw, it is the direction of travel.
    height_m: [n]. usable: rows of the places whose yaw is known either way. spacing_m: of the map.
    """

    def __init__(self, place_map: PlaceMap, extractor: FeatureExtractor) -> None:
        """Read a map that stays the caller's to close; `DataError` where it holds no places."""
        table = place_map.places()
        if not len(table.ids):
            raise DataError(f"{place_map.path}: the map holds no places; build it first")
        self.place_map, self._poses = place_map, table.poses
        self.pose = np.column_stack([table.position[:, :2], _yaw_or_travel(table)])
        self.height_m = table.position[:, 2]
        self.usable = np.flatnonzero(np.isfinite(self.pose[:, 2]))
        if not len(self.usable):
            raise DataError(
                f"{place_map.path}: nothing tells where its places look; build it with yaw_rad or"
                " from the images of a drive in their order"
            )
        self._standardization = Standardization.of_descriptors(
            place_map.descriptors(sample_of(table.ids))
        )
        spacing = measure_spacing(table.poses, place_map, self._standardization)
        self.spacing_m = spacing.spacing_m
        self._features = PlaceFeatureCache(place_map, extractor)
        self.metric = MetricLocalizer(table.poses, self._features)

    @property
    def ids(self) -> IntArray:
        """Return the ids of the places [n]."""
        return self._poses.ids

    def places(self, rows: ArrayLike) -> FloatArray:
        """Return x, y, z (m) and yaw (rad) [k, 4] of places."""
        chosen = np.asarray(rows, np.int64)
        x, y, yaw = self.pose[chosen].T
        return np.column_stack([x, y, self.height_m[chosen], yaw])

    def descriptors(self, rows: IntArray) -> NDArray[np.float32]:
        """Return the standardized descriptors [k, D] of places."""
        return self._standardization.apply(self.place_map.descriptors(self._poses.ids[rows]))

    def known(self, row: int) -> KnownPlace | None:
        """Return the local features of a place, None where it has neither these nor a thumbnail."""
        return self._features.of([int(self._poses.ids[row])])[0]

    def most_similar(self, descriptors: NDArray[np.float32], count: int) -> SimilarPlaces:
        """Return the places most similar to standardized descriptors [q, D] of another drive."""
        rows = np.empty((len(descriptors), 0), np.int64)
        similarity = np.empty((len(descriptors), 0))
        for ids, block in self.place_map.descriptor_blocks(_BLOCK):
            of_block = self._poses.rows_of(ids)
            usable = np.isfinite(self.pose[of_block, 2])
            if not usable.any():
                continue
            found = descriptors @ self._standardization.apply(block[usable]).T
            # Sorting all of a block would take ten times as long.
            few = np.argpartition(-found, min(count, found.shape[1]) - 1, axis=1)[:, :count]
            rows = np.hstack([rows, of_block[usable][few]])
            similarity = np.hstack([similarity, np.take_along_axis(found, few, axis=1)])
            best = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
            rows = np.take_along_axis(rows, best, axis=1)
            similarity = np.take_along_axis(similarity, best, axis=1)
        return SimilarPlaces(rows, similarity)

    def distinct(self, rows: IntArray, apart_m: float, count: int) -> IntArray:
        """Return of places those that differ from each other, at most `count`, evenly taken."""
        chosen: list[int] = []
        for row in _evenly(rows, _EXAMINED).tolist():
            offset = self.pose[chosen] - self.pose[row]
            turned = np.abs(wrap_angle(offset[:, 2])) > _TURN_RAD
            if ((np.hypot(offset[:, 0], offset[:, 1]) >= apart_m) | turned).all():
                chosen.append(row)
        return _evenly(np.array(chosen, np.int64), count)

    def sample(self) -> IntArray:
        """Return the rows of usable places, of a large map of some thousand, evenly taken."""
        return _evenly(self.usable, _EXAMINED)


def _evenly(rows: IntArray, count: int) -> IntArray:
    """Return at most `count` of some rows, evenly taken, the first and the last among them."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)]


def _yaw_or_travel(table: PlaceTable) -> FloatArray:
    """Return the yaw of places (rad) [n]; where that is unknown, the direction of travel.

    NaN for a single place of a traverse, and for one where the robot stood.
    """
    yaw_rad = table.yaw_rad.copy()
    traverse = np.array(table.traverse)
    for name in np.unique(traverse[np.isnan(yaw_rad)]):
        rows = np.flatnonzero(traverse == name)
        if len(rows) > 1:
            east, north = np.gradient(table.position[rows, :2], axis=0).T
            travel = np.where((east != 0.0) | (north != 0.0), np.arctan2(north, east), np.nan)
            yaw_rad[rows] = np.where(np.isnan(yaw_rad[rows]), travel, yaw_rad[rows])
    return yaw_rad
