"""Join the places of several maps into one."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Datum, FloatArray, enu_from_wgs84, wgs84_from_enu
from progeo_core.map.leftovers import remove_leftovers
from progeo_core.map.place_features import PlaceView, StructureNote, joined_structure
from progeo_core.map.place_map import PlaceMap, Places, PlaceTable
from progeo_core.map.places import IdArray
from progeo_core.map.sqlite_file import check_name, finish_file, move_file, scratch_folder
from progeo_core.map.write_lock import MapLock
from progeo_core.poses.camera_pose import CameraPose, quaternion_of, rotation_of
from progeo_core.poses.transform import IDENTITY, Transform
from progeo_core.progress import Advance, no_progress

_log = logging.getLogger(__name__)

_COPY_BLOCK = 256
# Maps this far apart (m) are hardly of one site.
_FAR_M = 10_000.0
# Length (m) of the axes whose ends show how one frame is turned against another.
_AXIS_M = 10_000.0


class MergeReport(NamedTuple):
    """Number of places of the joined map, and the datum that its metres start from."""

    places: int
    datum: Datum | None


def merge_maps(
    sources: Sequence[str | Path],
    target: str | Path,
    *,
    frames: Sequence[Transform] = (),
    advance: Advance = no_progress,
) -> MergeReport:
    """Copy the places of several maps into a new one, in the order given.

    Maps of another datum than the first have positions, yaw, and the poses and 3-D points of views
    re-expressed from the first one's. A map far from all others is warned about, with the distance:
    one of the datums may be wrong. The new map appears whole or not at all. Raises
    `ModelMismatchError` for maps of different models, `UsageError` where one is named twice (but
    for `frames`), only some have a datum, or their local features are of different extractors,
    `DataError` where the target exists.

    frames: pose of each map's frame in the first one's, where these are known otherwise: then no
    datum is needed, and only the first one's counts.
    """
    target = Path(target)
    check_name(target)
    if not sources:
        raise UsageError("there is no map to merge: name one or more")
    files = Counter(Path(path).resolve() for path in sources)
    doubled = [file for file, count in files.items() if count > 1]
    if doubled and not frames:
        raise UsageError(f"{doubled[0]}: named twice, and its places would be there twice")
    with contextlib.ExitStack() as opened:
        maps = [opened.enter_context(PlaceMap.open(path)) for path in sources]
        require_comparable(maps)
        if not frames:
            _require_one_frame(maps)
        structure = _joined_structure(maps)
        first = maps[0]
        with whole_map(target, first.fingerprint, first.datum) as merged:
            if structure is not None:
                merged.set_structure(structure)
            if first.projection is not None:
                merged.shorten(first.projection)
            corners = np.empty((0, 3))
            for place_map, frame in zip(maps, frames or _frames_of(maps), strict=True):
                table = place_map.places()
                position, _ = _moved_poses(table.position, table.yaw_rad, frame)
                _warn_if_far(place_map, position, corners)
                _copy_places(place_map, table, frame, merged, advance)
                corners = _box(np.concatenate([corners, position]))
            return MergeReport(len(merged), merged.datum)


@contextlib.contextmanager
def whole_map(
    target: Path, fingerprint: ModelFingerprint, datum: Datum | None
) -> Iterator[PlaceMap]:
    """Yield a new map to write, which takes its name when the block ends well, and never else.

    Raises `DataError` where the target exists.
    """
    check_name(target)
    with contextlib.ExitStack() as opened:
        if target.exists():
            raise DataError(f"{target} exists already: choose another name for the new map")
        lock = MapLock(target)
        opened.callback(lock.release)
        remove_leftovers(target)
        folder = opened.enter_context(scratch_folder(target))
        unfinished = folder / target.name
        opened.enter_context(_named(target, unfinished))
        with PlaceMap.create(unfinished, fingerprint, datum) as place_map:
            place_map.leave_out_log()
            yield place_map
        finish_file(unfinished)
        move_file(unfinished, target)


@contextlib.contextmanager
def _named(target: Path, unfinished: Path) -> Iterator[None]:
    """Let errors name the map that is made, not the file that is to become it."""
    try:
        yield
    except DataError as error:
        raise DataError(str(error).replace(str(unfinished), str(target))) from error


def require_comparable(maps: Sequence[PlaceMap]) -> None:
    """Raise `ModelMismatchError` or `UsageError` for maps whose descriptors do not compare."""
    first = maps[0]
    for other in maps[1:]:
        other.require_model(first.fingerprint)
        if not _shorten_alike(first, other):
            raise UsageError(
                f"{other.path} shortens descriptors otherwise than {first.path}: build one map of"
                " both, or both without --dimension"
            )


def _require_one_frame(maps: Sequence[PlaceMap]) -> None:
    first = maps[0]
    for other in maps[1:]:
        if (other.datum is None) != (first.datum is None):
            local, placed = (other, first) if other.datum is None else (first, other)
            raise UsageError(
                f"{local.path} has no datum, but {placed.path} has one: build the first again with"
                " --datum, or merge local maps only with each other"
            )


def _shorten_alike(one: PlaceMap, other: PlaceMap) -> bool:
    ours, theirs = one.projection, other.projection
    if ours is None or theirs is None:
        return ours is theirs
    return np.array_equal(ours.components, theirs.components)


def _joined_structure(maps: Sequence[PlaceMap]) -> StructureNote | None:
    """Return what made the views of all maps; `UsageError` names the map that does not fit."""
    joined = None
    for place_map in maps:
        if place_map.structure is not None:
            try:
                joined = joined_structure(joined, place_map.structure)
            except UsageError as error:
                raise UsageError(f"{place_map.path}: {error}") from None
    return joined


def frame_of_datum(moved: Datum, fixed: Datum) -> Transform:
    """Return the pose of the frame that starts at one datum in that of another.

    Metres of both are of one size, so that this is a rotation and a shift, the same everywhere.
    """
    if moved == fixed:
        return IDENTITY
    axes = np.concatenate([np.zeros((1, 3)), _AXIS_M * np.eye(3)])
    seen = enu_from_wgs84(wgs84_from_enu(axes, moved), fixed)
    # Of the rotations, the one that comes closest.
    return Transform(seen[0], quaternion_of((seen[1:] - seen[0]).T / _AXIS_M))


def _frames_of(maps: Sequence[PlaceMap]) -> list[Transform]:
    """Return the pose of each map's frame in the first one's, by their datums."""
    fixed = maps[0].datum
    return [
        IDENTITY if one.datum is None or fixed is None else frame_of_datum(one.datum, fixed)
        for one in maps
    ]


def _moved_poses(
    position: FloatArray, yaw_rad: FloatArray, frame: Transform
) -> tuple[FloatArray, FloatArray]:
    """Return positions [n, 3] and yaw [n] as seen from where a frame is given."""
    if frame is IDENTITY:
        return position, yaw_rad
    rotation = rotation_of(frame.orientation)
    ahead = np.stack([np.cos(yaw_rad), np.sin(yaw_rad), np.zeros_like(yaw_rad)], axis=-1)
    direction = ahead @ rotation.T
    return position @ rotation.T + frame.position, np.arctan2(direction[:, 1], direction[:, 0])


def _box(position: FloatArray) -> FloatArray:
    """Return two corners [2, 3] of the box around positions [n, 3], none around none."""
    return np.stack([position.min(axis=0), position.max(axis=0)]) if len(position) else position


def _warn_if_far(source: PlaceMap, added: FloatArray, merged: FloatArray) -> None:
    """Warn where positions [n, 3] (m) are far from others [m, 3], or from a box around them."""
    if not len(added) or not len(merged):
        return
    # Between the boxes around both, 0 where these overlap.
    after = added.min(axis=0) - merged.max(axis=0)
    before = merged.min(axis=0) - added.max(axis=0)
    gap_m = float(np.linalg.norm(np.maximum(np.maximum(after, before), 0.0)))
    if gap_m > _FAR_M:
        _log.warning(
            "%s: its places are %.1f km from those of the other maps; check that it is of the same"
            " site and its datum is right",
            source.path,
            gap_m / 1000.0,
        )


def _copy_places(
    source: PlaceMap, table: PlaceTable, frame: Transform, target: PlaceMap, advance: Advance
) -> None:
    for ids, descriptors in source.descriptor_blocks(_COPY_BLOCK):
        target.append(moved_places(read_places(source, table, ids), frame), descriptors)
        advance(len(ids))


def read_places(source: PlaceMap, table: PlaceTable, ids: IdArray) -> Places:
    """Return all that a map knows of places [n] but their descriptors.

    table: its places, of which positions and yaw may be those of another frame. Raises `DataError`
    naming an id that is not in the map.
    """
    rows = table.poses.rows_of(ids)
    return Places(
        position=table.position[rows],
        yaw_rad=table.yaw_rad[rows],
        stamp_ns=table.stamp_ns[rows],
        camera=[table.camera[row] for row in rows],
        traverse=[table.traverse[row] for row in rows],
        image=[table.image[row] for row in rows],
        thumbnail=[source.thumbnail(place_id) for place_id in ids],
        views=source.views(ids),
    )


def moved_places(places: Places, frame: Transform) -> Places:
    """Return places of a frame as seen from where that frame's pose is given."""
    if frame is IDENTITY:
        return places
    position, yaw_rad = _moved_poses(places.position, places.yaw_rad, frame)
    views = [view and _moved_view(view, frame) for view in places.views]
    return places._replace(position=position, yaw_rad=yaw_rad, views=views)


def _moved_view(view: PlaceView, frame: Transform) -> PlaceView:
    """Return a view as seen from where a frame is given: a camera sees what it saw."""
    rotation = rotation_of(frame.orientation)
    pose, features = view.pose, view.features
    if pose is not None:
        orientation = pose.orientation
        if not np.isnan(orientation).any():
            orientation = quaternion_of(rotation @ pose.rotation)
        pose = CameraPose(rotation @ pose.position + frame.position, orientation)
    if features is not None:
        landmarks = features.landmarks @ rotation.T + frame.position
        features = features._replace(landmarks=landmarks)
    return view._replace(pose=pose, features=features)
