"""Landmarks of a map's places, compared with what the images of other places show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from progeo_core.map.place_map import IdArray, PlaceMap
from progeo_core.map.view_rows import ViewTable
from progeo_core.poses.camera_pose import CameraPose, rotation_of
from progeo_core.verification.known_views import KnownViews
from progeo_core.verification.landmark_check import rows_to_ask, sightings
from progeo_core.verification.landmark_judge import LandmarkJudge
from progeo_core.verification.view_finder import is_by_depth
from progeo_core.verification.view_neighbors import ViewNeighbors

# Places that are written at a time.
_BLOCK = 32


def refuse_contradicted(
    place_map: PlaceMap, table: ViewTable, rows: IdArray, done: Callable[[int], object]
) -> dict[int, str]:
    """Take the landmarks from places of a map that others contradict; return the reason of each id.

    table: of the places with calibration and full pose. rows: of it, those that are compared with
    others; all other places with landmarks stood already. done: is called with each of the rows.
    """
    if not len(rows):
        return {}
    standing = np.setdiff1d(np.flatnonzero(table.landmarks > 0), rows).tolist()
    judge = LandmarkJudge(
        {row: CameraPose(table.position[row], table.orientation[row]) for row in standing}
    )
    neighbors = ViewNeighbors(table.position, rotation_of(table.orientation))
    views = KnownViews(place_map, table.ids)
    for row in rows.tolist():
        view, known = views.of(row)
        if view is not None and known is not None and view.features is not None:
            asked = rows_to_ask(row, len(table.ids), neighbors.of(row)).tolist()
            seen = sightings(
                known, view.features.landmarks, {other: views.known(other) for other in asked}
            )
            judge.add(row, known.pose, is_by_depth(view), seen)
        done(row)
    refused = {int(table.ids[row]): why for row, why in judge.refused().items()}
    ids = np.array([*refused], np.int64)
    for block in np.array_split(ids, range(_BLOCK, len(ids), _BLOCK)):
        kept = [view and view.without_landmarks() for view in place_map.views(block)]
        place_map.set_views(block, kept)
    return refused
