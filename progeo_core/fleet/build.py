"""Places of a fleet's store from images with known positions, described by one process or many."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Generator
from typing import NamedTuple, TypeAlias

import numpy as np

from progeo_core.descriptors.encoder import Encoder, Skipped
from progeo_core.errors import DataError, UsageError
from progeo_core.fleet.described_blocks import (
    DescribedBlock,
    cut,
    describe_stretch,
    of_one_runtime,
)
from progeo_core.fleet.push import (
    FROM_RECORDS,
    continued_session,
    warn_of_stamps,
    with_structure,
)
from progeo_core.fleet.region import Region
from progeo_core.fleet.store import (
    FleetPlaces,
    FleetSession,
    FleetStore,
    checked_name,
    fleet_places,
    kept_session,
)
from progeo_core.geo import Datum
from progeo_core.map.described_images import places_before, places_of
from progeo_core.map.place_checks import check_views, checked_vectors
from progeo_core.map.place_features import ViewFinder
from progeo_core.map.place_keys import first_rows
from progeo_core.map.places import IdArray
from progeo_core.progress import Advance, no_progress
from progeo_core.records.image_source import ImageSource
from progeo_core.records.records import Records

# What describes the rows of a source; the records are all of its own, in metres of the session.
Describer: TypeAlias = Callable[
    [ImageSource, Records, IdArray], Generator[DescribedBlock, None, None]
]
# A place that the store has may be this far (m) from where the input says it is.
_SAME_PLACE_M = 1.0
# Some 100 m around the input, where its places may have been put before.
_MARGIN_DEG = 1e-3


class BuildReport(NamedTuple):
    """Counts of images that were added or in the store already, and why each other was skipped.

    unlikely_stamps: how many of the input have stamps in the future or before 2000.
    """

    added: int
    known: int
    skipped: tuple[str, ...]
    unlikely_stamps: int


def session_of_records(
    store: FleetStore, records: Records, robot: str, name: str, datum: Datum | None = None
) -> FleetSession:
    """Return the session that the images of records belong to.

    datum: what its metres start from; None takes that of the session where the store has it, else
    the first position of WGS84 records. Raises `UsageError` for metres without a datum, a datum
    other than the session's, or a name that is none.
    """
    session = FleetSession(
        checked_name("robot", robot), checked_name("session", name), FROM_RECORDS, Datum(0.0, 0.0)
    )
    kept = kept_session(store, session.key)
    chosen = datum or (records.default_datum() if kept is None else kept.datum)
    if chosen is None:
        raise UsageError(
            "the positions are metres from a point that is not known: say with --datum"
            " LAT,LON[,ALT] where on earth it is"
        )
    if kept is not None and kept.datum != chosen:
        raise UsageError(
            f"{store.uri}: metres of session '{session.key}' start from"
            f" {','.join(map(str, kept.datum))}, not from {','.join(map(str, chosen))}: leave"
            " --datum out, or give these images another --session"
        )
    return continued_session(kept, session._replace(datum=chosen))


def build_fleet(
    store: FleetStore,
    source: ImageSource,
    session: FleetSession,
    describe: Describer,
    *,
    advance: Advance = no_progress,
) -> BuildReport:
    """Add a place to a session for every image that the store does not have; go on where it was.

    Each block that comes from `describe` is kept once `advance` counts its images; known and
    skipped ones are counted, too. Places are the same, and so are their ids, as of a map that is
    built from the same records and pushed, but for 3-D points that need the whole map. Raises
    `DataError` where no image can be used, or processes describe differently, `UsageError` for
    images of the same names that are elsewhere in the session, and what `FleetStore.append` raises.
    """
    local = source.records.to_local(session.datum)
    named = _named(session, local)
    unlikely = warn_of_stamps(session.key, local.stamp_ns)
    fresh = _rows_not_in(store, session, named)
    fresh = fresh[first_rows(local)[fresh]]
    known = len(local) - len(fresh)
    advance(known)
    added = 0
    skipped: list[Skipped] = []
    with contextlib.closing(describe(source, local, fresh)) as blocks:
        for block in of_one_runtime(blocks):
            session = with_structure(session, block.note)
            new = _append(store, session, local, named, block)
            added += new
            # Others may build, too.
            known += len(block.described) - new
            skipped += block.skipped
            advance(block.images)
    messages = [str(one.error) for one in sorted(skipped, key=lambda one: one.index)]
    if messages and not added + known:
        raise DataError(
            f"{store.uri}: none of {len(messages)} images can be used, first: {messages[0]}"
        )
    return BuildReport(added, known, tuple(messages), unlikely)


def in_this_process(encoder: Encoder, structure: ViewFinder | None) -> Describer:
    """Return what describes images one after another in this process."""

    def describe(
        source: ImageSource, records: Records, rows: IdArray
    ) -> Generator[DescribedBlock, None, None]:
        for stretch in cut(source, records, rows, max(1, len(rows))):
            yield from describe_stretch(stretch, encoder, structure)

    return describe


def _named(session: FleetSession, records: Records) -> FleetPlaces:
    """Return all that is known of the places before their images are described."""
    nothing = np.empty((len(records), 0), np.float16)
    return fleet_places(session, places_before(records), nothing, Counter())


def _rows_not_in(store: FleetStore, session: FleetSession, named: FleetPlaces) -> IdArray:
    """Return the rows of places that the store never had; `UsageError` where they are others."""
    south, west = np.maximum(named.geodetic[:, :2].min(axis=0) - _MARGIN_DEG, (-90.0, -180.0))
    north, east = np.minimum(named.geodetic[:, :2].max(axis=0) + _MARGIN_DEG, (90.0, 180.0))
    rows = {one: row for row, one in enumerate(named.ids)}
    known = np.zeros(len(rows), bool)
    for block in store.region(Region(south, west, north, east), content=False):
        for one, key, position in zip(
            block.ids, block.sessions, np.asarray(block.places.position), strict=True
        ):
            row = rows.get(one)
            if row is None:
                continue
            known[row] = True
            apart_m = float(np.linalg.norm(position - named.places.position[row]))
            if apart_m > _SAME_PLACE_M:
                raise UsageError(
                    f"{store.uri}: session '{key}' has {named.places.image[row]} already,"
                    f" {apart_m:.1f} m from where it is now: if these are other images, give them"
                    " another --session"
                )
    if store.info().dropped:
        # Wherever they were; of the places themselves none is wanted.
        nowhere = Region(north, east, north, east)
        known[[rows[one] for one in store.since(0, nowhere).gone if one in rows]] = True
    return np.flatnonzero(~known)


def _append(
    store: FleetStore,
    session: FleetSession,
    records: Records,
    named: FleetPlaces,
    block: DescribedBlock,
) -> int:
    if not block.described:
        return 0
    places = places_of(records, block.described)
    model = store.fingerprint
    found = np.stack([one.descriptor for one in block.described])
    descriptors = checked_vectors(store.uri, places, found, model, model.dimension)
    check_views(store.uri, places.views, places.image)
    rows = named.rows([one.row for one in block.described])
    return store.append(session, rows._replace(places=places, descriptors=descriptors))
