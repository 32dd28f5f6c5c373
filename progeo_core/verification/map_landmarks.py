"""3-D points for the places of a map whose cameras are calibrated and have full poses."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from progeo_core.map.place_features import (
    PLACE_FEATURES,
    PlaceFeatures,
    PlaceView,
    StructureNote,
    rough_poses,
)
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
from progeo_core.verification.feature_tracks import FeatureTracks, Tracks
from progeo_core.verification.known_view import MIN_AGREEMENT, KnownView, known_view
from progeo_core.verification.landmark_check import contradicts, rows_to_ask
from progeo_core.verification.triangulation import triangulate
from progeo_core.verification.view_neighbors import ViewNeighbors

# Places that are written at a time, and places in memory: 512 features are 0.2 MB.
_BLOCK, _KEPT = 32, 400
# The parts of a map's note that say what was done here.
_NONE, _REFUSED = "none", "refused"
TRIANGULATED = "triangulated between known poses"


class LandmarkReport(NamedTuple):
    """Places that were looked at, and those of them with 3-D points now.

    contradicting: ids of places without points because their poses contradict the images.
    reason: why no place of the map has any points, "" where some have.
    """

    places: int
    with_landmarks: int
    contradicting: tuple[int, ...]
    reason: str


def add_landmarks(
    place_map: PlaceMap,
    new: IdArray | None = None,
    features: int = PLACE_FEATURES,
    advance: Advance = no_progress,
) -> LandmarkReport:
    """Triangulate the features of all places without 3-D points between their views.

    new: places with 3-D points by depth, which lose them where the images of other places
    contradict them. features: how many a place keeps, those first whose landmark is surest. The
    map's note says what was done. A kill loses the work on at most 32 places,
    and the same call goes on from there; `advance` counts places.
    """
    table = _usable(place_map.view_table())
    places = _Places(place_map, table, features)
    results: list[_Result] = []
    rows = np.flatnonzero((table.landmarks == 0) | np.isin(table.ids, [] if new is None else new))
    advance(len(place_map) - len(rows))
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        done = places.completed(block.tolist())
        place_map.set_views(table.ids[block], [one.view for one in done])
        advance(len(block))
        results += [one._replace(view=None) for one in done]
    if (table.features[rows] > features).any():
        place_map.compact()
    report = LandmarkReport(
        len(rows),
        sum(one.landmarks > 0 for one in results),
        tuple(
            int(place) for place, one in zip(table.ids[rows], results, strict=True) if one.refused
        ),
        _reason(place_map, table, results),
    )
    _write_note(place_map, report, _how(results))
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
    """Places of one map that can have landmarks; the views used last are kept in memory."""

    def __init__(self, place_map: PlaceMap, table: ViewTable, features: int) -> None:
        self._map, self._ids, self._features = place_map, table.ids, features
        self._neighbors = ViewNeighbors(table.position, rotation_of(table.orientation))
        self._tracks = FeatureTracks(self._neighbors.of, self._known)
        self._kept: collections.OrderedDict[int, KnownView | None] = collections.OrderedDict()

    def completed(self, rows: list[int]) -> list[_Result]:
        """Return the views of places that lie together, with their landmarks."""
        views = self._map.views(self._ids[rows])
        lacking = [
            row
            for row, view in zip(rows, views, strict=True)
            if view and view.features and not view.features.has_landmark.any() and self._known(row)
        ]
        tracks, adjusted = adjusted_tracks(self._tracks, lacking)
        known = {row: view for row, view in zip(rows, views, strict=True) if view is not None}
        results = {
            row: self._triangulated(row, view, tracks[row], adjusted)
            for row, view in known.items()
            if row in tracks
        }
        results |= _unless_most_refused(
            {row: self._checked(row, view) for row, view in known.items() if row not in tracks}
        )
        return [results[row] for row in known]

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

    def _checked(self, row: int, view: PlaceView) -> _Result:
        """Return a view that has landmarks without them where other places contradict them."""
        known, features = self._known(row), view.features
        if known is None or features is None:
            return _Result(view, 0, False, False, np.nan)
        rows = rows_to_ask(row, len(self._ids), self._neighbors.of(row)).tolist()
        others = [other for other in map(self._known, rows) if other is not None]
        if contradicts(known, features.landmarks, others):
            return _refused(view, features)
        return _Result(view, int(features.has_landmark.sum()), False, False, np.nan)

    def _sure(self, row: int) -> KnownView:
        """Return what is known of a place of which something is."""
        known = self._known(row)
        assert known is not None
        return known

    def _known(self, row: int) -> KnownView | None:
        """Return what is known of a place, None where that is of no use."""
        if row not in self._kept:
            (view,) = self._map.views(self._ids[[row]])
            self._kept[row] = None if view is None else known_view(view)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(row)
        return self._kept[row]


def _refused(view: PlaceView, features: PlaceFeatures) -> _Result:
    """Return a view whose features lose their landmarks, as other places contradict them."""
    return _Result(view._replace(features=features.without_landmarks()), 0, False, True, np.nan)


def _unless_most_refused(checked: dict[int, _Result]) -> dict[int, _Result]:
    """Return what a check of landmarks by depth says; where it refuses most of them, it is all.

    Depth in another unit is wrong, too, where few other places see it.
    """
    with_depth = [row for row, one in checked.items() if one.landmarks or one.refused]
    if 2 * sum(checked[row].refused for row in with_depth) <= len(with_depth):
        return checked
    views = {row: checked[row].view for row in with_depth}
    return checked | {
        row: _refused(view, view.features)
        for row, view in views.items()
        if view is not None and view.features is not None
    }


def _usable(table: ViewTable) -> ViewTable:
    """Return the rows of places with features, calibration and full pose."""
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


def _reason(place_map: PlaceMap, usable: ViewTable, results: list[_Result]) -> str:
    """Return why no place of a map has 3-D points, "" where some have."""
    table = place_map.view_table()
    known = [one.agreement for one in results if np.isfinite(one.agreement)]
    reasons = (
        (table.landmarks.any(), ""),
        (not table.features.any(), "no place has local features"),
        (not table.calibrated.any(), "the calibration of the camera is unknown"),
        (~np.isfinite(table.orientation).any(), "the orientation of the camera is unknown"),
        (not len(usable.ids), "no place has features, a calibration and a full pose"),
        (
            known and np.median(known) < MIN_AGREEMENT,
            "images contradict the poses and the calibration (poses of another frame than the"
            " camera's, or rectified images with the calibration of raw ones)",
        ),
        (
            any(one.refused for one in results),
            "images contradict the depth (another unit, or not registered to them) or the poses",
        ),
        (True, "too few places overlap and were seen from points apart"),
    )
    return next(reason for applies, reason in reasons if applies)


def _how(results: list[_Result]) -> str:
    """Return how places were triangulated, "" where none was."""
    errors = [one.errors for one in results if one.triangulated and one.errors]
    if not errors:
        return ""
    rough = PoseErrors(*np.median(errors, axis=0).tolist())
    return rough_poses(TRIANGULATED, *rough)


def _write_note(place_map: PlaceMap, report: LandmarkReport, how: str) -> None:
    """Say in a map what was done, in the place of what was said before.

    how: it was triangulated, "" where it was not.
    """
    note = place_map.structure
    if note is None:
        return
    parts = [one for one in note.source.split("; ") if not one.startswith((_NONE, _REFUSED))]
    parts.append(how)
    if report.reason:
        parts = [f"{_NONE}: {report.reason}"]
    elif report.contradicting:
        parts.append(f"{_REFUSED} in {len(report.contradicting)} places that contradict others")
    source = "; ".join(dict.fromkeys(filter(None, parts)))
    if source != note.source:
        place_map.set_structure(StructureNote(note.extractor, source))
