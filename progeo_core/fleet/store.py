"""A fleet's store: what any engine that keeps the places of many robots must offer.

One engine is here, `lance_store`; another one is another class of the same six methods.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.fleet.region import Region
from progeo_core.geo import Datum, FloatArray, wgs84_from_enu
from progeo_core.map.place_features import StructureNote
from progeo_core.map.places import Float16Array, Places, PlaceTable

# Hexadecimal digits of a place's id: of its session, so that ids of one are near each other in an
# index, and of itself. Among 10^12 places of one session, two are alike with a chance of 10^-5.
_SESSION_DIGITS, _PLACE_DIGITS = 8, 24
_MAX_NAME = 200


class FleetSession(NamedTuple):
    """What the places of one robot's map have in common.

    lineage: names the map file that they came from, whatever it is called. datum: what metres of
    the places start from. structure: what made their local features, None where there are none.
    """

    robot: str
    name: str
    lineage: str
    datum: Datum
    structure: StructureNote | None = None

    @property
    def key(self) -> str:
        """Return the name of the session among those of all robots."""
        return f"{self.robot}/{self.name}"


class FleetPlaces(NamedTuple):
    """Places of a store, one row each.

    ids: n, unique over robots. sessions: n keys of their sessions. geodetic: [n, 3] latitude,
    longitude (degrees), altitude (m). places: columns as a map has them, in metres from the datum
    of their own session; read without their content, they have neither thumbnails nor views.
    descriptors: [n, D].
    """

    ids: Sequence[str]
    sessions: Sequence[str]
    geodetic: FloatArray
    places: Places
    descriptors: Float16Array

    def rows(self, chosen: ArrayLike) -> FleetPlaces:
        """Return some of the places, in the order of their rows [m]."""
        rows = np.asarray(chosen, np.int64)
        places = self.places
        views = places.views or (None,) * len(self.ids)
        chosen_places = Places(
            position=np.asarray(places.position)[rows],
            yaw_rad=places.yaw_rad[rows],
            stamp_ns=places.stamp_ns[rows],
            camera=[places.camera[row] for row in rows],
            traverse=[places.traverse[row] for row in rows],
            image=[places.image[row] for row in rows],
            thumbnail=[places.thumbnail[row] for row in rows],
            views=[views[row] for row in rows],
        )
        return FleetPlaces(
            [self.ids[row] for row in rows],
            [self.sessions[row] for row in rows],
            self.geodetic[rows],
            chosen_places,
            self.descriptors[rows],
        )


class FleetMatches(NamedTuple):
    """Places that look most like a query, without their content, and their cosine to it [k]."""

    places: FleetPlaces
    similarity: FloatArray


class FleetChanges(NamedTuple):
    """What changed after a version: places that came, ids of those that went, and the version."""

    version: int
    added: FleetPlaces
    gone: Sequence[str]


class FleetInfo(NamedTuple):
    """What a store holds.

    version: grows with every change. places: counts those that a killed writer left twice until the
    next push of them or `compact`. dropped: how many places were pruned. indexed: how many places
    the index of descriptors covers. size_bytes: of the newest version of the places.
    """

    version: int
    places: int
    dropped: int
    indexed: int
    size_bytes: int
    cameras: int
    sessions: tuple[FleetSession, ...]


class FleetStore(Protocol):
    """Store of the places of a fleet, which several processes read and write at a time.

    Every method raises `DataError` naming the store where it cannot be reached or read. The places
    that a method returns are of one version of the store.
    """

    uri: str
    fingerprint: ModelFingerprint

    def append(self, session: FleetSession, places: FleetPlaces) -> int:
        """Add places of one session that are not there yet, all or none; return how many.

        They are kept for good once this returns. A place that was pruned does not come back. What
        two writers add at the same moment is there once, and may be in the numbers of both.
        Raises `UsageError` where the session is known from another map or with another datum.
        """
        ...

    def region(self, region: Region | None, *, content: bool = True) -> Iterator[FleetPlaces]:
        """Yield the places of a region, or all of them, some hundreds at a time.

        content: also thumbnails and views, after comparing checksums.
        """
        ...

    def nearest(self, descriptor: ArrayLike, count: int) -> FleetMatches:
        """Return the places of the whole store whose descriptors are most alike, best first."""
        ...

    def since(self, version: int, region: Region | None = None) -> FleetChanges:
        """Return what changed after a version, in a region or anywhere, without content."""
        ...

    def info(self) -> FleetInfo:
        """Return what the store holds."""
        ...

    def compact(self, drop: Sequence[str] = ()) -> None:
        """Drop places by id, then join small files and bring the indexes up to date."""
        ...


def fleet_places(
    session: FleetSession, places: Places, descriptors: Float16Array, first: Counter[str]
) -> FleetPlaces:
    """Return places of a session's map, in the map's order, as a store takes them.

    first: counts places of the session that have one name; start a map with an empty one and hand
    it on from batch to batch.
    """
    ids = []
    start = _digest(f"{session.robot}\0{session.name}", _SESSION_DIGITS)
    for name in place_names(session, places):
        ids.append(start + _digest(f"{name}\0{first[name]}", _PLACE_DIGITS))
        first[name] += 1
    geodetic = wgs84_from_enu(places.position, session.datum)
    return FleetPlaces(ids, [session.key] * len(ids), geodetic, places, np.asarray(descriptors))


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:digits]


def place_names(session: FleetSession, places: Places | PlaceTable) -> Iterator[str]:
    """Yield what names places of a session; several may have one name."""
    for columns in zip(
        places.camera, places.traverse, places.image, places.stamp_ns.tolist(), strict=True
    ):
        yield "\0".join(map(str, (session.robot, session.name, *columns)))


def kept_session(store: FleetStore, key: str) -> FleetSession | None:
    """Return the session of a store that has a key (see `FleetSession.key`), None without it."""
    return next((one for one in store.info().sessions if one.key == key), None)


def checked_name(kind: str, name: str) -> str:
    """Return the name of a robot or session; `UsageError` for one that no store keeps."""
    if not name or len(name) > _MAX_NAME or "/" in name or not name.isprintable():
        raise UsageError(
            f"{kind} {name!r}: give it a name of 1 to {_MAX_NAME} printable characters without '/'"
        )
    return name
