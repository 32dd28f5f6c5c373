"""Region of a fleet's store as a map file, ready for a robot."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from progeo_core.errors import DataError
from progeo_core.fleet.region import Region
from progeo_core.fleet.store import FleetSession, FleetStore
from progeo_core.geo import Datum, enu_from_wgs84
from progeo_core.map.export import ExportFormat, export_map
from progeo_core.map.merge import frame_of_datum, moved_places, whole_map
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.places import Places
from progeo_core.progress import Advance, no_progress


class EmptyRegionError(DataError):
    """Region in which the store has no place."""


class PullReport(NamedTuple):
    """Number of places of the new map, keys of the sessions they are of, and the map's datum."""

    places: int
    sessions: tuple[str, ...]
    datum: Datum


def pull_region(
    store: FleetStore, region: Region, target: str | Path, datum: Datum | None = None
) -> PullReport:
    """Write the places of a region to a new map, and its index; the map appears whole or not.

    Metres of the map start from a datum, by default that of the session that comes first; places of
    the others are moved there. Traverses are named after their robot and session. Raises
    `EmptyRegionError` where nothing is there, `DataError` where the target exists.
    """
    target = Path(target)
    report = _copy_region(store, region, target, True, no_progress, datum)
    with PlaceMap.open(target, writable=True) as place_map:
        PlaceIndex.open(place_map)
    return report


def export_region(
    store: FleetStore,
    region: Region | None,
    target: str | Path,
    form: ExportFormat,
    *,
    advance: Advance = no_progress,
) -> int:
    """Write the places of a region, or all, for other programs; see `export_map`."""
    with tempfile.TemporaryDirectory(prefix="progeo-fleet-") as folder:
        scratch = Path(folder) / "fleet.progeo"
        _copy_region(store, region, scratch, False, advance)
        with PlaceMap.open(scratch) as place_map:
            return export_map(place_map, target, form)


def _copy_region(
    store: FleetStore,
    region: Region | None,
    target: Path,
    content: bool,
    advance: Advance,
    datum: Datum | None = None,
) -> PullReport:
    """Write places to a new map, with their thumbnails and views if `content`."""
    blocks = store.region(region, content=content)
    first = next(blocks, None)
    sessions = {one.key: one for one in store.info().sessions}
    if first is None:
        raise EmptyRegionError(_nothing_there(store, region, list(sessions.values())))
    datum = datum or _session(store, sessions, first.sessions[0]).datum
    used: set[str] = set()
    with whole_map(target, store.fingerprint, datum) as place_map:
        for block in itertools.chain([first], blocks):
            for key in sorted(set(block.sessions)):
                session = _session(store, sessions, key)
                rows = block.rows([row for row, one in enumerate(block.sessions) if one == key])
                if content and session.structure is not None and key not in used:
                    place_map.add_structure(session.structure)
                used.add(key)
                place_map.append(_moved(rows.places, session, datum), rows.descriptors)
            advance(len(block.ids))
        return PullReport(len(place_map), tuple(sorted(used)), datum)


def _moved(places: Places, session: FleetSession, datum: Datum) -> Places:
    traverse = [f"{session.key}/{one}" if one else session.key for one in places.traverse]
    named = places._replace(traverse=traverse)
    return moved_places(named, frame_of_datum(session.datum, datum))


def _session(store: FleetStore, sessions: dict[str, FleetSession], key: str) -> FleetSession:
    try:
        return sessions[key]
    except KeyError:
        raise DataError(
            f"{store.uri}: the store is damaged; push its maps to a new one (session '{key}' is"
            " missing)"
        ) from None


def _nothing_there(store: FleetStore, region: Region | None, sessions: list[FleetSession]) -> str:
    """Return why there is no place, and where the nearest session starts."""
    if region is None or not sessions:
        return f"{store.uri}: the store holds no place yet; push a map first"
    middle = region.center or Datum(
        (region.south_deg + region.north_deg) / 2.0, (region.west_deg + region.east_deg) / 2.0
    )
    away = {float(np.linalg.norm(enu_from_wgs84([one.datum], middle))): one for one in sessions}
    nearest_m, nearest = min(away.items(), key=lambda item: item[0])
    return (
        f"{store.uri}: there is no place within {region}; the nearest session, '{nearest.key}',"
        f" starts {nearest_m / 1000.0:.1f} km away, at {nearest.datum.lat_deg:.5f},"
        f"{nearest.datum.lon_deg:.5f}"
    )
