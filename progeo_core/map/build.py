"""Make a map file from a source of images, or add to one, so that nothing done is lost."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder, Skipped
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Datum
from progeo_core.map.described_images import DescribedImage, describe_images, places_of
from progeo_core.map.place_features import ViewFinder
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_keys import first_rows, rows_of_records
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.shorten import require_fitting, shorten_map
from progeo_core.progress import Advance, no_progress
from progeo_core.records.image_source import ImageSource
from progeo_core.records.records import Records

_log = logging.getLogger(__name__)

# Images between two commits: a kill costs at most these, and their memory does not grow.
_TRANSACTION = 128


class MapReport(NamedTuple):
    """Counts of images that were added, or in the map already, and why each other was skipped.

    known: in the map already, or given twice.

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
        outcomes = describe_images(source.select(fresh), local.select(fresh), encoder, structure)
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
    """Return the rows of images that the map does not have yet, of equal ones the first."""
    fresh = rows_of_records(place_map.places(), records) < 0
    return np.flatnonzero(fresh & first_rows(records))


def _readable(datum: Datum | None) -> str:
    return "none" if datum is None else f"{datum.lat_deg},{datum.lon_deg},{datum.alt_m}"


def _append_images(
    place_map: PlaceMap,
    records: Records,
    outcomes: Iterable[DescribedImage | Skipped],
    structure: ViewFinder | None,
    advance: Advance,
) -> tuple[int, list[str]]:
    """Append a place for every image of local `records` that can be used; count, say what not."""
    added = 0
    skipped: list[str] = []
    pending: list[DescribedImage] = []

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


def _append(place_map: PlaceMap, records: Records, described: Sequence[DescribedImage]) -> int:
    places = places_of(records, described)
    return len(place_map.append(places, np.stack([one.descriptor for one in described])))
