"""Places of a neighbourhood with poses that fit what their images see of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray
from progeo_core.verification.bundle_adjustment import Observations, adjust
from progeo_core.verification.feature_tracks import Tracks
from progeo_core.verification.known_view import KnownView
from progeo_core.verification.triangulation import triangulate

# Points of one place that take part, those first that most places see.
_POINTS = 80


def adjusted_views(
    view: Callable[[int], KnownView], tracks: Mapping[int, Tracks]
) -> dict[int, KnownView]:
    """Return adjusted views of the places [row] that tracks are of, and of those they go through.

    Poses stay near the given ones. Places that see too little of the others are left out.
    """
    rows: list[int] = []
    points, rays, point = [], [], []
    count = 0
    for row, track in tracks.items():
        others = [*map(view, track.places)]
        found = triangulate(view(row), others, track.features)
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


def moved_back(
    points: FloatArray, adjusted: Sequence[KnownView], given: Sequence[KnownView]
) -> FloatArray:
    """Return points [n, 3] (m) among adjusted views where they are among the given poses.

    Small errors that all images share, as of a calibration, make an adjustment drift. The given
    poses of a neighbourhood are right on average: views are moved and turned as one to these.
    """
    turns = [view.rotation @ other.rotation.T for view, other in zip(given, adjusted, strict=True)]
    turn = Rotation.from_matrix(np.stack(turns)).mean().as_matrix()
    center, goal = (
        np.mean([view.pose.position for view in views], axis=0) for views in (adjusted, given)
    )
    return np.asarray((points - center) @ turn.T + goal)
