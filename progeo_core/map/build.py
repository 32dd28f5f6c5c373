"""Make a map file from a source of images, or add to one, so that nothing done is lost."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Described, Encoder, Skipped, describe
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Datum
from progeo_core.images.codec import make_thumbnail
from progeo_core.images.depth import FloatArray32
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.place_features import PlaceView, ViewFinder
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_keys import rows_of_records
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.map.shorten import require_fitting, shorten_map
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.progress import Advance, no_progress
from progeo_core.records.image_source import ImageSource
from progeo_core.records.records import Records

_log = logging.getLogger(__name__)

# Images between two commits: a kill costs at most these, and their memory does not grow.
_TRANSACTION = 128
# Images in memory at a time while their local features are found.
_VIEW_BATCH = 16


class MapReport(NamedTuple):
    """Counts of images that were added or in the map already, and why each other was skipped.

    places: how many the map has now. datum: what its metres start from, None if nowhere on earth.
    """

    added: int
    known: int
    skipped: tuple[str, ...]
    places: int
    datum: Datum | None


def build_map(
    path: str | Path,
    source: ImageSource,
    encoder: Encoder,
    *,
    datum: Datum | None = None,
    append: bool = False,
    structure: ViewFinder | None = None,
    dimension: int | None = None,
    advance: Advance = no_progress,
) -> MapReport:
    """Put all images of a source into a new map, or with `append` into one that exists, and index.

    datum: None takes the first position of WGS84 records. With `append` the images that the map has
    already (same image, traverse and stamp) are left alone, so an interrupted run is continued by
    appending the same source. Images go through the encoder in batches and into the map every 128,
    so memory stays flat and a kill loses no more than that; `advance` counts images, skipped ones
    included. A new map in which nothing was committed is removed again. structure: finds local
    features and 3-D points of the images, which become part of their places. dimension: how many
    values the map keeps of each descriptor, once all images are in it; None keeps all.

    Raises `UsageError` for a map that exists (without `append`), a datum other than the map's,
    features of another extractor or a dimension that does not fit, `ModelMismatchError` for a map
    of another model, and `DataError` where no image at all can be used or the map cannot be opened
    or written.
    """
    path = Path(path)
    check_target(path, append)
    chosen = _extended(path, datum) if append else _created(path, source.records, encoder, datum)
    with chosen as place_map:
        place_map.require_model(encoder.fingerprint)
        if dimension is not None:
            require_fitting(place_map, dimension)
        if structure is not None:
            place_map.add_structure(structure.note)
        local = source.records.to_local(place_map.datum)
        fresh = _rows_not_in(place_map, local)
        outcomes = _describe(source.select(fresh), local.select(fresh), encoder, structure)
        added, skipped = _append_images(
            place_map, local.select(fresh), outcomes, structure, advance
        )
        if dimension is not None:
            shorten_map(place_map, dimension)
        PlaceIndex.open(place_map)
        known = len(local) - len(fresh)
        return MapReport(added, known, tuple(skipped), len(place_map), place_map.datum)


def check_target(path: Path, append: bool) -> None:
    """Raise `UsageError` where a new map would replace one, before any slow work is done."""
    if path.exists() and not append:
        raise UsageError(f"{path} exists already: add to it with --append, or choose another name")


@contextlib.contextmanager
def _created(
    path: Path, records: Records, encoder: Encoder, datum: Datum | None
) -> Iterator[PlaceMap]:
    """Yield a new map; where the block fails, remove it if empty, else say what it holds."""
    with PlaceMap.create(path, encoder.fingerprint, datum or records.default_datum()) as place_map:
        try:
            yield place_map
        except BaseException:
            _discard_if_empty(place_map)
            raise


@contextlib.contextmanager
def _extended(path: Path, datum: Datum | None) -> Iterator[PlaceMap]:
    """Yield a map that exists, open for writing."""
    with PlaceMap.open(path, writable=True) as place_map:
        if datum is not None and datum != place_map.datum:
            raise UsageError(
                f"{path}: the map's datum is {_readable(place_map.datum)} and cannot be changed to"
                f" {_readable(datum)}; leave --datum out"
            )
        yield place_map


def _discard_if_empty(place_map: PlaceMap) -> None:
    """Remove a map without places; keep any other and say so. A map that cannot tell is kept."""
    with contextlib.suppress(DataError):
        places = len(place_map)
        if places:
            _log.warning(
                "%s: %d places are safe; give the same command with --append for the rest",
                place_map.path,
                places,
            )
        else:
            place_map.discard()


def _rows_not_in(place_map: PlaceMap, records: Records) -> NDArray[np.int64]:
    """Return the rows of images that the map does not have yet."""
    return np.flatnonzero(rows_of_records(place_map.places(), records) < 0)


def _readable(datum: Datum | None) -> str:
    return "none" if datum is None else f"{datum.lat_deg},{datum.lon_deg},{datum.alt_m}"


class _Described(NamedTuple):
    """What the map keeps of one image; the image itself is let go."""

    row: int
    descriptor: NDArray[np.float32]
    thumbnail: bytes
    view: PlaceView | None


def _describe(
    source: ImageSource, records: Records, encoder: Encoder, structure: ViewFinder | None
) -> Iterator[_Described | Skipped]:
    """Yield what the map keeps of every image of a source, or why it is skipped, in order.

    records: those of the source, in metres of the map.
    """
    side = encoder.fingerprint.image_side
    if structure is not None:
        side = max(side, structure.image_side) if side and structure.image_side else 0
    outcomes = describe(encoder, source.images(side))
    if structure is None:
        for outcome in outcomes:
            yield outcome if isinstance(outcome, Skipped) else _without_image(outcome, None)
        return
    pairs = zip(outcomes, source.depths(), strict=True)
    while batch := list(itertools.islice(pairs, _VIEW_BATCH)):
        views = iter(_find_views(structure, batch, records, source.intrinsics))
        for outcome, _ in batch:
            yield outcome if isinstance(outcome, Skipped) else _without_image(outcome, next(views))


def _find_views(
    structure: ViewFinder,
    batch: Sequence[tuple[Described | Skipped, FloatArray32 | None]],
    records: Records,
    intrinsics: Mapping[str, Intrinsics],
) -> list[PlaceView]:
    """Return the views of the images of a batch that were described."""
    described = [(one, depth) for one, depth in batch if isinstance(one, Described)]
    rows = [one.index for one, _ in described]
    return structure.find(
        [one.image for one, _ in described],
        [depth for _, depth in described],
        [_pose(records, row) for row in rows],
        [intrinsics.get(records.camera[row]) for row in rows],
    )


def _pose(records: Records, row: int) -> CameraPose | None:
    orientation = records.orientation[row]
    if np.isnan(orientation).any():
        return None
    return CameraPose(records.position[row], orientation)


def _without_image(described: Described, view: PlaceView | None) -> _Described:
    thumbnail = make_thumbnail(described.image)
    return _Described(described.index, described.descriptor, thumbnail, view)


def _append_images(
    place_map: PlaceMap,
    records: Records,
    outcomes: Iterable[_Described | Skipped],
    structure: ViewFinder | None,
    advance: Advance,
) -> tuple[int, list[str]]:
    """Append a place for every image of local `records` that can be used; count, say what not."""
    added = 0
    skipped: list[str] = []
    pending: list[_Described] = []

    def append_pending() -> int:
        if structure is not None:
            place_map.add_structure(structure.note)
        return _append(place_map, records, pending)

    for outcome in outcomes:
        if isinstance(outcome, Skipped):
            skipped.append(str(outcome.error))
        else:
            pending.append(outcome)
        if len(pending) == _TRANSACTION:
            added += append_pending()
            pending.clear()
        advance(1)
    if pending:
        added += append_pending()
    if skipped and not added:
        raise DataError(
            f"{place_map.path}: none of {len(skipped)} images can be used, first: {skipped[0]}"
        )
    return added, skipped


def _append(place_map: PlaceMap, records: Records, described: Sequence[_Described]) -> int:
    chosen = records.select(np.array([one.row for one in described], np.int64))
    places = Places(
        position=chosen.position,
        yaw_rad=chosen.yaw_rad,
        stamp_ns=chosen.stamp_ns,
        camera=chosen.camera,
        traverse=chosen.traverse,
        image=tuple(str(path) for path in chosen.images),
        thumbnail=tuple(one.thumbnail for one in described),
        views=tuple(one.view for one in described),
    )
    return len(place_map.append(places, np.stack([one.descriptor for one in described])))
