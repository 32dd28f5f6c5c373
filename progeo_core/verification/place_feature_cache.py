"""Local features of a map's places, ready to be matched with those of an image."""

from __future__ import annotations

import collections
import dataclasses
import functools
import logging
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.images.codec import Image, decode_image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.feature_extractor import (
    QUERY_FEATURES,
    FeatureExtractor,
    Keypoints,
    working_side,
)
from progeo_core.map.place_features import PlaceView, unit_descriptors
from progeo_core.map.place_map import PlaceMap
from progeo_core.verification.landmark_spread import landmark_spread
from progeo_core.verification.query_view import QueryView

_log = logging.getLogger(__name__)

# Places that are kept: 512 features of each are 150 kB.
_KEPT = 500


@dataclasses.dataclass(frozen=True)
class KnownPlace:
    """Local features of a place's image [n], and where in the map they are.

    points: [n, 2] pixels of an image of `size` (width, height). descriptors: [n, 64] of unit
    length. landmarks: [n, 3] metres, NaN unknown. intrinsics: of its camera, None unknown.
    yaw_rad: direction of its camera, which need not be that of the place, NaN unknown. spread:
    [n, 3] of `landmark_spread`, None unknown.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    size: tuple[int, int]
    landmarks: FloatArray
    intrinsics: Intrinsics | None
    yaw_rad: float = math.nan
    spread: FloatArray | None = None

    @functools.cached_property
    def rays(self) -> FloatArray | None:
        """Return where the ray of each feature meets its camera's plane z = 1 [n, 2].

        NaN where there is no such ray. None without a calibration.
        """
        if self.intrinsics is None:
            return None
        return self.intrinsics.scaled(*self.size).normalized(self.points)

    @functools.cached_property
    def landmark_rows(self) -> NDArray[np.int64]:
        """Return the rows of features whose landmark is known."""
        return np.flatnonzero(~np.isnan(self.landmarks).any(axis=1))

    @functools.cached_property
    def with_landmarks(self) -> tuple[NDArray[np.float32], FloatArray, FloatArray]:
        """Return descriptors [m, 64], landmarks and their spread [m, 3] of `landmark_rows`."""
        rows = self.landmark_rows
        spread = np.zeros((len(rows), 3)) if self.spread is None else self.spread[rows]
        return self.descriptors[rows], self.landmarks[rows], spread

    @property
    def focal_px(self) -> float | None:
        """Return the focal length (pixels) at which its features were found, None unknown."""
        if self.intrinsics is None:
            return None
        width = self.size[0] * working_side(self.size) / max(self.size)
        return self.intrinsics.focal_x * width / self.intrinsics.width


def view_of(place: KnownPlace) -> QueryView:
    """Return a place as an image that is looked for among other places."""
    features = Keypoints(place.points, place.descriptors, place.size)
    width, height = place.size
    # Its features are known, so nobody looks at the pixels.
    image = np.broadcast_to(np.uint8(0), (height, width, 3))
    return QueryView(image, place.intrinsics, lambda _image, _side: features)


class PlaceFeatureCache:
    """Cache of the local features of the places of one map, and of the last query's.

    Places without features of this extractor in the map get those of their thumbnail, where the map
    has one: these are fewer, and have no landmarks.
    """

    def __init__(self, place_map: PlaceMap, extractor: FeatureExtractor) -> None:
        """Take an open map; nothing is read yet."""
        self._map, self._extractor = place_map, extractor
        note = place_map.structure
        self._uses_views = note is not None and note.extractor == extractor.name
        if note is not None and not self._uses_views:
            _log.warning(
                "%s: its local features are of %s and cannot be compared with those of %s;"
                " 'progeo map structure' finds them again; until then poses are those of places",
                place_map.path,
                note.extractor,
                extractor.name,
            )
        self._kept: collections.OrderedDict[int, KnownPlace | None] = collections.OrderedDict()
        self._query: QueryView | None = None

    @property
    def triangulated(self) -> bool:
        """Whether landmarks of the map are triangulated, not measured by depth."""
        note = self._map.structure
        return note is not None and "triangulated" in note.source

    @property
    def pose_errors(self) -> tuple[float, float]:
        """Return how wrong the map's poses are by themselves (m, rad), 0 where they are not."""
        note = self._map.structure
        return (0.0, 0.0) if note is None else note.pose_errors

    def query(self, image: Image, intrinsics: Intrinsics | None) -> QueryView:
        """Return the view of a query; that of the same image as before has its features ready."""
        last = self._query
        if last is None or last.image is not image or last.intrinsics != intrinsics:
            last = QueryView(image, intrinsics, self._find)
            self._query = last
        return last

    def of(self, ids: Sequence[int]) -> list[KnownPlace | None]:
        """Return the features of places; None where neither features nor a thumbnail are kept."""
        missing = [place_id for place_id in ids if place_id not in self._kept]
        views = self._map.views(missing) if missing and self._uses_views else [None] * len(missing)
        for place_id, view in zip(missing, views, strict=True):
            self._kept[place_id] = self._known(place_id, view)
        places = [self._kept[place_id] for place_id in ids]
        for place_id in ids:
            self._kept.move_to_end(place_id)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return places

    def _find(self, image: Image, side: int | None) -> Keypoints:
        return self._extractor.find([image], QUERY_FEATURES, side)[0]

    def _known(self, place_id: int, view: PlaceView | None) -> KnownPlace | None:
        intrinsics = None if view is None else view.intrinsics
        if view is not None and view.features is not None:
            points, kept, landmarks, sigma_m, size = view.features
            descriptors = unit_descriptors(kept)
            if view.pose is None:
                return KnownPlace(points, descriptors, size, landmarks, intrinsics)
            spread = landmark_spread(landmarks, sigma_m, view.pose.position)
            yaw_rad = view.pose.yaw_rad
            return KnownPlace(points, descriptors, size, landmarks, intrinsics, yaw_rad, spread)
        jpeg = self._map.thumbnail(place_id)
        if not jpeg:
            return None
        image = decode_image(jpeg, f"{self._map.path}: thumbnail of place {place_id}")
        found = self._find(image, None)
        unknown = np.full((len(found.points), 3), np.nan)
        return KnownPlace(found.points, found.descriptors, found.size, unknown, intrinsics)
