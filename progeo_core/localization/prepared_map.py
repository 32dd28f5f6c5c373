"""A map made ready to localize in: what the rankers read of it."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import Standardization, sample_of
from progeo_core.errors import DataError
from progeo_core.geo import Datum, FloatArray, wgs84_from_enu
from progeo_core.localization.answer import Match
from progeo_core.localization.descriptor_cache import DescriptorCache
from progeo_core.localization.look_alikes import share_of_look_alikes
from progeo_core.localization.map_spacing import measure_spacing
from progeo_core.localization.place_grid import PlaceGrid
from progeo_core.map.confidence_calibration import Calibration
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap

if TYPE_CHECKING:
    from progeo_core.inference.feature_extractor import FeatureExtractor
    from progeo_core.verification.metric_localizer import MetricLocalizer
    from progeo_core.verification.place_feature_cache import PlaceFeatureCache

IntArray = NDArray[np.int64]

# Places that stand for the whole map where an image is compared with it.
_SAMPLE = 256
# Places farther apart than this many spacings show different things.
_FAR_SPACINGS = 3.0
# Fewer pairs of far places do not tell how alike they look; then all pairs do. Spreads are larger
# than this, of similarities and of plain cosines.
_MIN_PAIRS, _MIN_SPREAD, _MIN_PLAIN_SPREAD = 20, 0.02, 1e-4
# That of most maps, for one of a single place.
_USUAL_SPREAD = 0.08
# Places within this share of the map's spacing are one pose of a rig of cameras.
_SAME_POSE = 0.3


class PreparedMap:
    """An open map with its index and all that is measured on it once.

    Places are named by their row in `places` (`PlaceMap.poses`). spacing: of the places.
    calibration: of confidences. has_rig: whether several cameras made the map, so that several
    places may show one pose.
    """

    def __init__(
        self, place_map: PlaceMap, index: PlaceIndex, extractor: FeatureExtractor | None = None
    ) -> None:
        """Measure a map; `DataError` if it holds no places. The map stays the caller's to close.

        extractor: finds local features; None for this process's own one.
        """
        self.place_map, self._index = place_map, index
        self._extractor = extractor
        self.places = place_map.poses()
        if not len(self.places.ids):
            raise DataError(f"{place_map.path}: the map holds no places; build it first")
        self.standardization = Standardization.of_descriptors(
            place_map.descriptors(sample_of(self.places.ids))
        )
        self._descriptors = DescriptorCache(place_map, self.places.ids, self.standardization)
        self.spacing = measure_spacing(self.places, place_map, self.standardization)
        self.calibration = place_map.calibration() or Calibration()
        self.has_rig = place_map.has_several_cameras()
        self._look_alikes: dict[float, float] = {}
        self._pose_radius_m = _SAME_POSE * (self.spacing.spacing_m or 1.0)
        self._poses = PlaceGrid(self.places.position, self._pose_radius_m) if self.has_rig else None

    @functools.cached_property
    def sample(self) -> NDArray[np.float32]:
        """Return the standardized descriptors [m, D] of places taken evenly from the whole map."""
        return self.standardization.apply(
            self.place_map.descriptors(self.places.ids[self._sampled])
        )

    @functools.cached_property
    def far_spread(self) -> float:
        """Return the standard deviation of the similarity of places that are far apart."""
        if not self._far_similarities.size:
            return _USUAL_SPREAD
        return max(float(self._far_similarities.std()), _MIN_SPREAD)

    def look_alikes(self, radius_m: float) -> float:
        """Return the share of places that look like some elsewhere, measured once per radius (m).

        radius_m: of one place.
        """
        if radius_m not in self._look_alikes:
            self._look_alikes[radius_m] = share_of_look_alikes(self, radius_m)
        return self._look_alikes[radius_m]

    def share_less_alike(self, similarity: float) -> float:
        """Return which share of pairs of places far apart is less alike; NaN for one place."""
        far = self._far_similarities
        return float(np.mean(far < similarity)) if far.size else math.nan

    @functools.cached_property
    def _far_similarities(self) -> NDArray[np.float32]:
        """Return the similarities [p] of pairs of places that are far apart."""
        position = self.places.position[self._sampled]
        distance = np.linalg.norm(position[:, None] - position[None], axis=-1)
        pairs = np.triu(np.ones(distance.shape, np.bool_), 1)
        far = pairs & (distance > _FAR_SPACINGS * self.spacing.spacing_m)
        if np.count_nonzero(far) < _MIN_PAIRS:
            far = pairs
        similarities: NDArray[np.float32] = (self.sample @ self.sample.T)[far]
        return similarities

    @property
    def _sampled(self) -> slice:
        return slice(None, None, -(-len(self.places.ids) // _SAMPLE))

    @functools.cached_property
    def features(self) -> PlaceFeatureCache:
        """Return the local features of the places."""
        # Only comparisons of images need the network of the local features.
        from progeo_core.inference.feature_extractor import shared_extractor
        from progeo_core.verification.place_feature_cache import PlaceFeatureCache

        return PlaceFeatureCache(self.place_map, self._extractor or shared_extractor())

    @functools.cached_property
    def metric(self) -> MetricLocalizer:
        """Return the localizer against the landmarks of the places."""
        from progeo_core.verification.metric_localizer import MetricLocalizer

        return MetricLocalizer(self.places, self.features)

    def search(self, descriptor: NDArray[np.float32], count: int) -> IntArray:
        """Return the rows of the `count` places most similar to a descriptor [D]."""
        found = self._index.search(descriptor[None], min(count, len(self.places.ids)))
        return self.places.rows_of(found.place_ids[0][found.place_ids[0] >= 0])

    def similarity(self, standardized: NDArray[np.float32], rows: IntArray) -> FloatArray:
        """Return the similarity [k] of places to a standardized descriptor [D]."""
        similarity: FloatArray = (self._descriptors.of_rows(rows) @ standardized).astype(np.float64)
        return similarity

    def plain_similarity(self, descriptor: NDArray[np.float32], rows: IntArray) -> FloatArray:
        """Return the plain cosines [k] of places and a descriptor [D], on the scale of similarity.

        Near 0 for unrelated places of the map, with the spread that similarities have.
        """
        cosine = self.place_map.descriptors(self.places.ids[rows]).astype(np.float32) @ descriptor
        usual = self._plain_sample @ descriptor
        scaled: FloatArray = (cosine - usual.mean()) * self._plain_scale
        return scaled

    @functools.cached_property
    def _plain_sample(self) -> NDArray[np.float32]:
        """Return the descriptors [m, D] of the sample as they are."""
        return self.place_map.descriptors(self.places.ids[self._sampled]).astype(np.float32)

    @functools.cached_property
    def _plain_scale(self) -> float:
        """Return what one unit of cosine is in units of similarity."""
        pairs = np.triu_indices(len(self._plain_sample), 1)
        if not pairs[0].size:
            return 1.0
        plain = float((self._plain_sample @ self._plain_sample.T)[pairs].std())
        return float((self.sample @ self.sample.T)[pairs].std()) / max(plain, _MIN_PLAIN_SPREAD)

    def similarity_of_poses(self, standardized: NDArray[np.float32], rows: IntArray) -> FloatArray:
        """Return the similarity [k] of the best image at each place's pose: a rig has several."""
        if self._poses is None:
            return self.similarity(standardized, rows)
        pairs = self._poses.near(self.places.position[rows], self._pose_radius_m)
        there, back = np.unique(pairs.row, return_inverse=True)
        best = np.full(len(rows), -1.0)
        np.maximum.at(best, pairs.point, self.similarity(standardized, there)[back])
        return best

    def most_similar_images(self, standardized: NDArray[np.float32], rows: IntArray) -> IntArray:
        """Return for each place [k] the image at its pose that is most similar: a rig has several.

        A robot that drives back looks ahead where another camera of its rig looked behind.
        """
        if self._poses is None:
            return rows
        pairs = self._poses.near(self.places.position[rows], self._pose_radius_m)
        there, back = np.unique(pairs.row, return_inverse=True)
        order = np.argsort(self.similarity(standardized, there)[back], kind="stable")
        best = rows.copy()
        best[pairs.point[order]] = pairs.row[order]
        return best

    def matches(self, rows: IntArray, similarity: FloatArray) -> tuple[Match, ...]:
        """Return what the map knows of places [k], in their order."""
        ids = self.places.ids[rows].tolist()
        columns = zip(rows, ids, similarity, self.place_map.images(ids), strict=True)
        return tuple(
            Match(
                place_id=place_id,
                similarity=float(value),
                position=self.places.position[row],
                yaw_rad=float(self.places.yaw_rad[row]),
                image=image,
            )
            for row, place_id, value, image in columns
        )

    def geodetic(self, position: FloatArray) -> tuple[float, float, float] | None:
        """Return latitude, longitude (degrees), altitude (m) of a position [3]; None: no datum."""
        return geodetic_of(self.place_map.datum, position)


def geodetic_of(datum: Datum | None, position: FloatArray) -> tuple[float, float, float] | None:
    """Return latitude, longitude (degrees), altitude (m) of metres [3] from a datum, if any."""
    if datum is None:
        return None
    lat, lon, alt = wgs84_from_enu(position[None], datum)[0]
    return float(lat), float(lon), float(alt)
