"""Local features, calibrations and camera poses for the places of a map that lack them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ImageError, UsageError
from progeo_core.images.codec import Image, decode_image
from progeo_core.images.depth import FloatArray32
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.place_features import PlaceView
from progeo_core.map.place_keys import rows_of_moved_records
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.progress import Advance, no_progress
from progeo_core.records.image_source import ImageSource
from progeo_core.verification.view_finder import DepthViewFinder

IntArray = NDArray[np.int64]

# Places whose images are in memory at a time.
_BLOCK = 16
# A place that is farther (m) than this from where its record says was moved since, and turned.
_SAME_M = 0.01


class ViewReport(NamedTuple):
    """Counts of places given features: from images of a source, and from thumbnails.

    skipped: why each image that cannot be used is left out.
    """

    from_images: int
    from_thumbnails: int
    skipped: tuple[str, ...]


class _Picture(NamedTuple):
    """Row of a place, an image of it to find features in, and its depth (m), None unknown."""

    row: int
    image: Image | ImageError
    depth: FloatArray32 | None


def complete_views(
    place_map: PlaceMap,
    finder: DepthViewFinder,
    source: ImageSource | None = None,
    calibration: Intrinsics | None = None,
    advance: Advance = no_progress,
) -> ViewReport:
    """Find what a map lacks of its places' images; `advance` counts images.

    Features come from the images of a source, for the places that it has and that lack 3-D points,
    else from the map's thumbnails, for places that lack features. Features of another extractor are
    found again. Cameras without a calibration get that of the source, or `calibration`, and those
    without an orientation that of the source's records, unless the place was moved since.
    Raises `UsageError` for a source that has no image of the map.
    """
    _drop_others(place_map, finder.note.extractor)
    place_map.add_structure(finder.note)
    completion = _Completion(place_map, finder, source, calibration)
    from_images, first = completion.add(completion.pictures(), advance)
    from_thumbnails, second = completion.add(completion.thumbnails(), advance)
    completion.add_calibrations()
    return ViewReport(from_images, from_thumbnails, (*first, *second))


def _drop_others(place_map: PlaceMap, extractor: str) -> None:
    """Remove features that cannot be compared with those of an extractor."""
    note = place_map.structure
    if note is None or note.extractor == extractor:
        return
    ids = place_map.view_table().ids
    for block in np.array_split(ids, range(_BLOCK, len(ids), _BLOCK)):
        views = [view and view._replace(features=None) for view in place_map.views(block)]
        place_map.set_views(block, views)
    place_map.set_structure(None)


class _Completion:
    """One run over the places of a map."""

    def __init__(
        self,
        place_map: PlaceMap,
        finder: DepthViewFinder,
        source: ImageSource | None,
        calibration: Intrinsics | None,
    ) -> None:
        self._map, self._finder = place_map, finder
        self._places = place_map.places()
        self._had_features = self._with(landmarks=False)
        self._orientation = np.full((len(self._places.ids), 4), np.nan)
        self._intrinsics = {} if source is None else source.intrinsics
        self._calibration = calibration
        self._source, self._rows = source, np.empty(0, np.int64)
        if source is not None:
            self._match(source)

    def _match(self, source: ImageSource) -> None:
        """Keep of a source the images of places that lack 3-D points, and all orientations."""
        local = source.records.to_local(self._map.datum)
        rows = rows_of_moved_records(self._places, local)
        found = np.flatnonzero(rows >= 0)
        if not found.size:
            raise UsageError(
                f"{self._map.path}: none of the {len(rows)} images given is of a place of this map"
            )
        offset = local.position[found] - self._places.position[rows[found]]
        still = found[np.linalg.norm(offset, axis=1) <= _SAME_M]
        self._orientation[rows[still]] = local.orientation[still]
        lacking = found[~self._with(landmarks=True)[rows[found]]]
        self._source, self._rows = source.select(lacking), rows[lacking]

    def _with(self, landmarks: bool) -> NDArray[np.bool_]:
        """Return which places have landmarks, or at least features."""
        table = self._map.view_table()
        counts = table.landmarks if landmarks else table.features
        return np.isin(self._places.ids, table.ids[counts > 0])

    def pictures(self) -> Iterator[_Picture]:
        """Yield the images of the source."""
        if self._source is not None:
            images = self._source.images(self._finder.image_side)
            columns = (self._rows.tolist(), images, self._source.depths())
            yield from itertools.starmap(_Picture, zip(*columns, strict=True))

    def thumbnails(self) -> Iterator[_Picture]:
        """Yield the thumbnails of places that have no features."""
        for row in np.flatnonzero(~self._with(landmarks=False)).tolist():
            place_id = int(self._places.ids[row])
            jpeg = self._map.thumbnail(place_id)
            if jpeg is not None:
                try:
                    image = decode_image(jpeg, f"thumbnail of place {place_id}")
                    yield _Picture(row, image, None)
                except ImageError as error:
                    yield _Picture(row, error, None)

    def add(self, pictures: Iterator[_Picture], advance: Advance) -> tuple[int, list[str]]:
        """Write the views of places; return how many, and why each other one is left out."""
        added, skipped = 0, []
        while batch := list(itertools.islice(pictures, _BLOCK)):
            skipped += [str(one.image) for one in batch if isinstance(one.image, ImageError)]
            usable = [
                (row, image, depth)
                for row, image, depth in batch
                if not isinstance(image, ImageError)
            ]
            added += self._add_batch(usable)
            advance(len(batch))
        return added, skipped

    def _add_batch(self, pictures: Sequence[tuple[int, Image, FloatArray32 | None]]) -> int:
        rows = np.array([row for row, _, _ in pictures], np.int64)
        known = self._known(rows)
        found = self._finder.find(
            [image for _, image, _ in pictures],
            [depth for _, _, depth in pictures],
            [view.pose for view in known],
            [view.intrinsics for view in known],
        )
        self._map.add_structure(self._finder.note)
        self._map.set_views(self._places.ids[rows], found)
        return len(found)

    def _known(self, rows: IntArray) -> list[PlaceView]:
        """Return the views of places with all that is known of their cameras."""
        return [
            self._completed(row, view or PlaceView(None, None, None))
            for row, view in zip(
                rows.tolist(), self._map.views(self._places.ids[rows]), strict=True
            )
        ]

    def _completed(self, row: int, view: PlaceView) -> PlaceView:
        pose, intrinsics, features = view
        orientation = self._orientation[row]
        if pose is None and np.isfinite(orientation).all():
            pose = CameraPose(self._places.position[row], orientation)
        if intrinsics is None:
            intrinsics = self._intrinsics.get(self._places.camera[row], self._calibration)
        return PlaceView(pose, intrinsics, features)

    def add_calibrations(self) -> None:
        """Write calibrations and orientations to places that had features before."""
        table = self._map.view_table()
        lacking = ~table.calibrated | ~np.isfinite(table.orientation).all(axis=1)
        rows = np.searchsorted(self._places.ids, table.ids[lacking & (table.features > 0)])
        rows = rows[self._had_features[rows]]
        for block in np.array_split(rows, range(_BLOCK, len(rows), _BLOCK)):
            self._map.set_views(self._places.ids[block], [*map(self._fitting, self._known(block))])

    def _fitting(self, view: PlaceView) -> PlaceView:
        """Return a view without a calibration that is of other images."""
        pose, intrinsics, features = view
        if intrinsics is not None and features is not None:
            fits = self._finder.fitting(intrinsics, features.size) is not None
            intrinsics = intrinsics if fits else None
        return PlaceView(pose, intrinsics, features)
