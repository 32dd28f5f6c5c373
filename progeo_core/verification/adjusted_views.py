"""Places of a neighbourhood with poses that fit what their images see of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray
from progeo_core.verification.bundle_adjustment import Observations, adjust
from progeo_core.verification.feature_tracks import FeatureTracks, Tracks
from progeo_core.verification.known_view import NO_MATCHES, KnownView
from progeo_core.verification.triangulation import MAX_ERROR_PX, triangulate

# Half of the matches are nearer (pixels) to where right poses expect them than the first. Where
# they are not, matches are looked for within so many times that, in so many rounds; beyond the last
# (pixels), they are not of the same points.
_MAX_ERROR_PX, _BAND_ERRORS, _ROUNDS, _MAX_ROUGH_PX = 2.0, 4.0, 3, 16.0
# Points of one place that take part, those first that most places see.
_POINTS = 80


def adjusted_tracks(
    given: FeatureTracks, rows: list[int]
) -> tuple[dict[int, Tracks], dict[int, KnownView]]:
    """Return the tracks of places, and adjusted views of these and of those they go through.

    Where the given poses are rough, matches are looked for farther from where these expect them
    first, and again by the poses that come of that.
    """
    views: dict[int, KnownView] = {}
    tracks = given.of_all(rows)
    for _ in range(_ROUNDS):
        rough_px = _error_px(tracks)
        if not _MAX_ERROR_PX < rough_px < _MAX_ROUGH_PX:
            break
        band_px = _BAND_ERRORS * rough_px
        wide = given.moved(views, band_px)
        views |= adjusted_views(wide.view, wide.of_all(rows), band_px)
        tracks = given.moved(views).of_all(rows)
    return tracks, views | adjusted_views(given.moved(views).view, tracks)


def _error_px(tracks: Mapping[int, Tracks]) -> float:
    """Return how far matches are from where the poses of places expect them, NaN unknown."""
    errors = np.concatenate([NO_MATCHES.error_px, *(one.error_px for one in tracks.values())])
    errors = errors[np.isfinite(errors)]
    return float(np.median(errors)) if errors.size else float("nan")


def adjusted_views(
    view: Callable[[int], KnownView],
    tracks: Mapping[int, Tracks],
    max_error_px: float = MAX_ERROR_PX,
) -> dict[int, KnownView]:
    """Return adjusted views of the places [row] that tracks are of, and of those they go through.

    Poses stay near the given ones. Places that see too little of the others are left out.
    max_error_px: of `triangulate`.
    """
    rows: list[int] = []
    points, rays, point = [], [], []
    count = 0
    for row, track in tracks.items():
        others = [*map(view, track.places)]
        found = triangulate(view(row), others, track.features, max_error_px)
        seen = found.agree.sum(axis=0)
        chosen = np.argsort(-seen, kind="stable")[:_POINTS]
        chosen = chosen[seen[chosen] > 0]
        points.append(found.landmarks[chosen])
        for other, features, agree in zip(
            (row, *track.places),
            (np.arange(len(seen)), *track.features),
            (seen > 0, *found.agree),
            strict=True,
        ):
            sees = np.flatnonzero(agree[chosen])
            rows += [other] * len(sees)
            point.append(count + sees)
            rays.append(view(other).rays[features[chosen[sees]]])
        count += len(chosen)
    if not count:
        return {}
    places, numbers = np.unique(rows, return_inverse=True)
    seen_by = Observations(numbers, np.concatenate(point), np.concatenate(rays))
    adjusted = adjust([view(row) for row in places], np.concatenate(points), seen_by)
    return dict(zip(places.tolist(), adjusted, strict=True))


class PoseErrors(NamedTuple):
    """How far the poses of a map are from those that its images tell, as if all were equally wrong.

    position_m, turn_rad: standard deviation on each axis.
    """

    position_m: float
    turn_rad: float


def pose_errors(adjusted: Sequence[KnownView], given: Sequence[KnownView]) -> PoseErrors:
    """Return how far given poses are from adjusted ones, wherever these are as a whole."""
    turn, center, goal = _between(adjusted, given)
    moved = np.stack([view.pose.position for view in adjusted])
    offset = (moved - center) @ turn.T + goal - np.stack([view.pose.position for view in given])
    turns = [
        view.rotation @ (turn @ other.rotation).T
        for view, other in zip(given, adjusted, strict=True)
    ]
    turned = Rotation.from_matrix(np.stack(turns)).as_rotvec()
    return PoseErrors(*(float(np.sqrt((one**2).mean())) for one in (offset, turned)))


def moved_back(
    points: FloatArray, adjusted: Sequence[KnownView], given: Sequence[KnownView]
) -> FloatArray:
    """Return points [n, 3] (m) among adjusted views where they are among the given poses.

    Small errors that all images share, as of a calibration, make an adjustment drift. The given
    poses of a neighbourhood are right on average: views are moved and turned as one to these.
    """
    turn, center, goal = _between(adjusted, given)
    return np.asarray((points - center) @ turn.T + goal)


def _between(
    adjusted: Sequence[KnownView], given: Sequence[KnownView]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the turn [3, 3] of adjusted views to given ones, and the centres [3] (m) of both."""
    turns = [view.rotation @ other.rotation.T for view, other in zip(given, adjusted, strict=True)]
    turn = Rotation.from_matrix(np.stack(turns)).mean().as_matrix()
    center, goal = (
        np.mean([view.pose.position for view in views], axis=0) for views in (adjusted, given)
    )
    return turn, center, goal
