"""Camera poses for the places of a map of which only positions are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from progeo_core.errors import UsageError
from progeo_core.geo import FloatArray
from progeo_core.map.place_features import PlaceView, unit_descriptors
from progeo_core.map.place_map import PlaceMap
from progeo_core.progress import Advance, no_progress
from progeo_core.verification.known_view import feature_pixel
from progeo_core.verification.landmark_note import POSES_FOUND
from progeo_core.verification.proven_poses import proven_poses
from progeo_core.verification.view_pairs import RoughView

# Places that are solved together, in the order of the map: the time grows with the cube.
_TOGETHER = 300


class PoseReport(NamedTuple):
    """Numbers of places without a camera pose, and how many of them have one now."""

    places: int
    posed: int


def add_poses(place_map: PlaceMap, advance: Advance = no_progress) -> PoseReport:
    """Find the camera poses of calibrated places whose orientation is unknown.

    Their positions may be as rough as those of GPS. What is not sure keeps its position alone, and
    the map's note says how many are. `advance` counts places that were compared with others.
    """
    table = place_map.view_table()
    lacking = ~np.isfinite(table.orientation).all(axis=1) & table.calibrated & (table.features > 0)
    ids = table.ids[lacking]
    advance(len(place_map) - len(ids))
    poses = place_map.poses()
    apart, turn, posed = [], [], 0
    blocks = np.array_split(ids, max(1, -(-len(ids) // _TOGETHER)))
    for block in blocks:
        rough = [
            (place_id, view, known)
            for place_id, view, position in zip(
                block.tolist(),
                place_map.views(block),
                poses.position[poses.rows_of(block)],
                strict=True,
            )
            if view is not None and (known := _rough(view, position)) is not None
        ]
        advance(len(block) - len(rough))
        if not rough:
            continue
        found = proven_poses([known for _, _, known in rough], advance)
        changed = {rough[row][0]: rough[row][1] for row in found.poses}
        views = [
            view._replace(pose=pose)
            for view, pose in zip(changed.values(), found.poses.values(), strict=True)
        ]
        place_map.set_views(list(changed), views)
        posed += len(changed)
        apart += [found.apart_m] * len(changed)
        turn += [found.turn_rad] * len(changed)
    if len(ids):
        halves = (float(np.median(apart)), float(np.median(turn))) if posed else None
        _write_note(place_map, posed, len(ids), halves)
    return PoseReport(len(ids), posed)


def _rough(view: PlaceView, position: FloatArray) -> RoughView | None:
    """Return what is known of a place, None where its calibration is of other images."""
    if view.intrinsics is None or view.features is None or not np.isfinite(position).all():
        return None
    try:
        camera = view.intrinsics.scaled(*view.features.size)
    except UsageError:
        return None
    rays = camera.normalized(view.features.points)
    usable = np.isfinite(rays).all(axis=1)
    descriptors = unit_descriptors(view.features.descriptors[usable])
    pixel = feature_pixel(camera, view.features.size)
    return RoughView(np.asarray(position, np.float64), rays[usable], descriptors, pixel)


def _write_note(
    place_map: PlaceMap, posed: int, places: int, halves: tuple[float, float] | None
) -> None:
    """Say in the map how many poses were found; halves: median difference (m, rad), if any was."""
    note = place_map.structure
    if note is None:
        return
    parts = [one for one in note.source.split("; ") if one and not one.startswith(POSES_FOUND)]
    proof = "half of the images alone give none of them again"
    if halves is not None:
        apart_m, turn_rad = halves
        differ = f"{apart_m:.2f} m, {np.degrees(turn_rad):.1f}° median"
        proof = f"half of the images alone give the same within {differ}"
    done = f"{POSES_FOUND}{posed} of {places} places found between their positions ({proof})"
    place_map.set_structure(note._replace(source="; ".join([done, *parts])))
