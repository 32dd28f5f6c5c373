"""3-D points for the places of a map whose cameras are calibrated and have full poses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from progeo_core.map.place_features import PLACE_FEATURES, PlaceView
from progeo_core.map.place_map import IdArray, PlaceMap
from progeo_core.map.view_rows import ViewTable
from progeo_core.poses.camera_pose import rotation_of
from progeo_core.progress import Advance, no_progress
from progeo_core.verification.adjusted_views import (
    PoseErrors,
    adjusted_tracks,
    moved_back,
    pose_errors,
)
from progeo_core.verification.checked_landmarks import refuse_contradicted
from progeo_core.verification.feature_tracks import FeatureTracks, Tracks
from progeo_core.verification.known_view import MIN_AGREEMENT, KnownView
from progeo_core.verification.known_views import KnownViews
from progeo_core.verification.landmark_note import (
    LandmarkReport,
    is_unchecked,
    reason_for_none,
    refusals,
    say_done,
    say_unchecked,
)
from progeo_core.verification.triangulation import triangulate
from progeo_core.verification.view_neighbors import ViewNeighbors

# Places that are written at a time.
_BLOCK = 32
# Why a place cannot be triangulated between its neighbours.
_CONTRADICT = "their poses contradict what the images of others show"


def add_landmarks(
    place_map: PlaceMap,
    new: IdArray | None = None,
    features: int = PLACE_FEATURES,
    advance: Advance = no_progress,
) -> LandmarkReport:
    """Triangulate the features of all places without 3-D points between their views.

    These, and the places `new`, lose 3-D points that the images of other places contradict.
    features: how many a place keeps, those first whose landmark is surest. The map's note says what
    was done. A kill loses the work on at most 32 places, and the same call goes on from there;
    `advance` counts places.
    """
    table = _usable_views(place_map)
    places = _Places(place_map, table, features)
    results: list[_Result] = []
    lacks = table.landmarks == 0
    asked = lacks | np.isin(table.ids, [] if new is None else new) | is_unchecked(place_map)
    advance(len(place_map) - int(np.count_nonzero(asked)))
    rows = np.flatnonzero(lacks)
    if rows.size:
        say_unchecked(place_map)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        done = places.completed(block.tolist())
        place_map.set_views(table.ids[block], [one.view for one in done])
        advance(len(block))
        results += [one._replace(view=None) for one in done]
    if (table.features[rows] > features).any():
        place_map.compact()
    found = dict(zip(rows.tolist(), results, strict=True))
    return _checked(place_map, np.flatnonzero(asked), found, advance)


def _checked(
    place_map: PlaceMap, asked: IdArray, found: dict[int, _Result], advance: Advance
) -> LandmarkReport:
    """Compare places with others, say in the map what was done, and report it.

    asked: rows of the usable places. found: what triangulation gave those that had no landmarks.
    """
    table = _usable_views(place_map)
    rows = asked[table.landmarks[asked] > 0]
    lost = refuse_contradicted(place_map, table, rows, lambda row: advance(row not in found))
    moved = {int(table.ids[row]): _CONTRADICT for row, one in found.items() if one.refused}
    refused = dict(sorted((moved | lost).items()))
    report = LandmarkReport(
        len(asked),
        len(rows) - len(lost.keys() & {*table.ids[rows].tolist()}),
        tuple(refused),
        reason_for_none(place_map, table, [one.agreement for one in found.values()], refused),
        refusals(refused),
    )
    say_done(place_map, report, _errors(found.values()))
    return report


class _Result(NamedTuple):
    """View of a place, how many landmarks it has, and how that came.

    agreement: median share of the matches with its neighbours that fit the poses, NaN unknown.
    errors: of the poses around it, None unknown.
    """

    view: PlaceView | None
    landmarks: int
    triangulated: bool
    refused: bool
    agreement: float
    errors: PoseErrors | None = None


class _Places:
    """Places of one map that can have landmarks."""

    def __init__(self, place_map: PlaceMap, table: ViewTable, features: int) -> None:
        self._map, self._ids, self._features = place_map, table.ids, features
        neighbors = ViewNeighbors(table.position, rotation_of(table.orientation))
        self._known = KnownViews(place_map, table.ids).known
        self._tracks = FeatureTracks(neighbors.of, self._known)

    def completed(self, rows: list[int]) -> list[_Result]:
        """Return the views of places without landmarks that lie together, with landmarks."""
        views = self._map.views(self._ids[rows])
        known = [row for row in rows if self._known(row)]
        tracks, adjusted = adjusted_tracks(self._tracks, known)
        return [
            self._triangulated(row, view, tracks[row], adjusted)
            if view is not None and row in tracks
            else _Result(view, 0, False, False, np.nan)
            for row, view in zip(rows, views, strict=True)
        ]

    def _triangulated(
        self, row: int, view: PlaceView, tracks: Tracks, adjusted: Mapping[int, KnownView]
    ) -> _Result:
        given = [self._sure(place) for place in (row, *tracks.places)]
        own, *others = views = [
            adjusted.get(place, known)
            for place, known in zip((row, *tracks.places), given, strict=True)
        ]
        found = triangulate(own, others, tracks.features)
        assert view.features is not None
        landmarks = moved_back(found.landmarks, views, given)
        features = view.features._replace(landmarks=landmarks, sigma_m=found.sigma_m)
        surest = np.argsort(found.sigma_m / own.distance_to(found.landmarks), kind="stable")
        features = features.rows(surest[: self._features])
        count = int(features.has_landmark.sum())
        measured = tracks.agreement[np.isfinite(tracks.agreement)]
        agreement = float(np.median(measured)) if measured.size else np.nan
        return _Result(
            view._replace(features=features),
            count,
            count > 0,
            not count and agreement < MIN_AGREEMENT,
            agreement,
            pose_errors(views, given) if count else None,
        )

    def _sure(self, row: int) -> KnownView:
        """Return what is known of a place of which something is."""
        known = self._known(row)
        assert known is not None
        return known


def _usable_views(place_map: PlaceMap) -> ViewTable:
    """Return the rows of places with features, calibration and full pose."""
    table = place_map.view_table()
    posed = np.isfinite(rotation_of(table.orientation)).all(axis=(1, 2))
    posed &= np.isfinite(table.position).all(axis=1)
    rows = np.flatnonzero(posed & table.calibrated & (table.features > 0))
    return ViewTable(
        table.ids[rows],
        table.position[rows],
        table.orientation[rows],
        table.calibrated[rows],
        table.features[rows],
        table.landmarks[rows],
    )


def _errors(results: Iterable[_Result]) -> PoseErrors | None:
    """Return how wrong the poses of triangulated places are, None where there are none."""
    errors = [one.errors for one in results if one.triangulated and one.errors]
    return PoseErrors(*np.median(errors, axis=0).tolist()) if errors else None
