"""Places of a robot's map to a fleet's store, in batches that the store acknowledges."""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from typing import NamedTuple

import numpy as np

from progeo_core.errors import UsageError
from progeo_core.fleet.store import (
    FleetSession,
    FleetStore,
    checked_name,
    fleet_places,
    kept_session,
    place_names,
)
from progeo_core.map.merge import read_places
from progeo_core.map.place_features import StructureNote, joined_structure
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.places import IdArray
from progeo_core.progress import Advance, no_progress

_log = logging.getLogger(__name__)

# Places of one commit: a kill costs at most these.
_BATCH = 256
# Lineage of a session that was built from records, not from a map file.
FROM_RECORDS = "records"
_DAY_NS = 86_400 * 10**9
# No robot had a camera and a clock that was right before 2000 (Unix time).
_FIRST_NS = 946_684_800 * 10**9


class PushReport(NamedTuple):
    """Numbers of places that were added, that the store had already, and of unlikely stamps."""

    added: int
    known: int
    unlikely_stamps: int


class PushedBatch(NamedTuple):
    """Id of a map up to which its places are in the store, and the numbers with it and left."""

    upto: int
    shared: int
    waiting: int


def session_of_map(place_map: PlaceMap, robot: str, name: str | None = None) -> FleetSession:
    """Return the session of a robot that a map is; it is called as the file unless named.

    Raises `UsageError` for a map that no fleet can take: without a datum, with shortened
    descriptors, or a name that is none.
    """
    if place_map.datum is None:
        raise UsageError(
            f"{place_map.path}: the map has no datum, so nobody knows where on earth its places"
            " are; build it again with --datum"
        )
    if place_map.projection is not None:
        raise UsageError(
            f"{place_map.path}: the map keeps shortened descriptors, each map by its own rule;"
            " build it again without --dimension"
        )
    return FleetSession(
        checked_name("robot", robot),
        checked_name("session", place_map.path.stem if name is None else name),
        place_map.lineage,
        place_map.datum,
        place_map.structure,
    )


def push_map(
    place_map: PlaceMap,
    store: FleetStore,
    session: FleetSession,
    *,
    advance: Advance = no_progress,
) -> PushReport:
    """Add the places of a map that the store does not have; continue what was interrupted.

    A session that was built from the map's records is gone on with (see `continued_session`).
    `advance` counts places whose batch the store has acknowledged. Stamps in the future, or before
    2000, are kept and warned about. Raises what `FleetStore.append` raises.
    """
    table = place_map.places()
    unlikely = warn_of_stamps(str(place_map.path), table.stamp_ns)
    session = continued_session(kept_session(store, session.key), session)
    counts: Counter[str] = Counter()
    added = 0
    for ids, descriptors in place_map.descriptor_blocks(_BATCH):
        batch = fleet_places(session, read_places(place_map, table, ids), descriptors, counts)
        added += store.append(session, batch)
        advance(len(ids))
    return PushReport(added, len(table.ids) - added, unlikely)


def push_batch(
    place_map: PlaceMap, store: FleetStore, session: FleetSession, after: int, before: int | None
) -> PushedBatch:
    """Add the first places of a map with an id above `after`, and below `before` if that is given.

    Returns once the store has acknowledged them. waiting: counts those from `before` on, too.
    """
    table = place_map.places()
    rows = np.flatnonzero(table.ids > after)
    ids = table.ids[rows if before is None else rows[table.ids[rows] < before]][:_BATCH]
    if len(ids):
        earlier = itertools.islice(place_names(session, table), int(rows[0]))
        batch = fleet_places(
            session,
            read_places(place_map, table, ids),
            place_map.descriptors(ids),
            Counter(earlier),
        )
        store.append(session, batch)
    return PushedBatch(int(ids[-1]) if len(ids) else after, len(ids), len(rows) - len(ids))


def continued_session(kept: FleetSession | None, session: FleetSession) -> FleetSession:
    """Return a session so that it goes on with what the store has kept of its name, if it may.

    A map goes on with what was built from its records, and records with their map; the datum says
    that they are of one drive. What made the local features of both is noted.
    """
    if kept is None or kept.datum != session.datum:
        return session
    if FROM_RECORDS not in {kept.lineage, session.lineage}:
        return session
    joined = with_structure(session._replace(structure=kept.structure), session.structure)
    return joined._replace(lineage=kept.lineage)


def with_structure(session: FleetSession, added: StructureNote | None) -> FleetSession:
    """Return a session after local features were added, which its store refuses if they differ."""
    known = session.structure
    if added is None or (known is not None and known.extractor != added.extractor):
        return session._replace(structure=added or known)
    return session._replace(structure=joined_structure(known, added))


def warn_of_stamps(what: str, stamp_ns: IdArray) -> int:
    """Return how many stamps (ns) are in the future or before 2000, 0 not counted; warn of them."""
    known = stamp_ns[stamp_ns != 0]
    wrong = known[(known > time.time_ns() + _DAY_NS) | (known < _FIRST_NS)]
    if wrong.size:
        _log.warning(
            "%s: %d places have stamps in the future or before 2000, as of a robot whose clock was"
            " wrong; they are kept, and count as old ones when the fleet's map is pruned",
            what,
            wrong.size,
        )
    return int(wrong.size)
