"""UTM metres whose zone is not given, beside a datum or other images whose zone is known."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core import geo
from progeo_core.errors import DataError
from progeo_core.geo import Datum, FloatArray

_log = logging.getLogger(__name__)

# Local metres are of one site: farther away than this they are no such metres, but UTM may be.
_SITE_M = 100_000.0
# Length (m) over which grid north is compared with north.
_STEP_M = 100.0


class TurnedPositions(NamedTuple):
    """Positions [n, 3] in east-north-up metres, and by how much (rad) [n] directions turned."""

    position: FloatArray
    turn_rad: FloatArray


def enu_from_zoneless_utm(position: FloatArray, datum: Datum) -> TurnedPositions | None:
    """Return east-north-up metres where positions [n, 3] are UTM metres near the datum.

    They are taken to be in the datum's zone, and a height of 0 to be unknown. None where they are
    local metres already, or not near the datum.
    """
    if not len(position) or np.median(np.abs(position[:, :2]).max(axis=1)) < _SITE_M:
        return None
    try:
        home = geo.utm_from_wgs84(datum.lat_deg, datum.lon_deg)
        # Every position, and a point east of it on the grid.
        east = np.concatenate([position[:, 0], position[:, 0] + _STEP_M])
        lat, lon = geo.wgs84_from_utm(east, np.tile(position[:, 1], 2), home.zone, home.letter)
    except DataError:
        return None
    height = np.tile(np.where(position[:, 2] == 0.0, np.nan, position[:, 2]), 2)
    enu, beside = np.split(geo.enu_from_wgs84(np.stack([lat, lon, height], axis=-1), datum), 2)
    if np.median(np.hypot(enu[:, 0], enu[:, 1])) > _SITE_M:
        return None
    _log.warning(
        "%d positions are UTM metres without a zone; they are taken to be in zone %d%s, that of the"
        " map's datum",
        len(position),
        home.zone,
        home.letter,
    )
    step = beside - enu
    return TurnedPositions(enu, np.arctan2(step[:, 1], step[:, 0]))


def matched_zone(
    what: str,
    zones: NDArray[np.int8],
    position: FloatArray,
    known: NDArray[np.int8],
    near: FloatArray,
) -> NDArray[np.int8]:
    """Return the zones [n] of `position` [n, 2], where 0, none, is taken to be the only one known.

    known, near: zones [m] and positions [m, 2] of other images. Raises `DataError` naming `what`
    where only one side has zones and they cannot be matched.
    """
    others = np.unique(known)
    if zones.any() or not known.any():
        return zones
    middle = np.median(position, axis=0) - np.median(near, axis=0)
    if len(others) > 1 or np.hypot(*middle) > _SITE_M:
        raise DataError(
            f"{what}: the names have no UTM zone, but those that they are compared with do; give"
            " zone and letter to all of them or to none"
        )
    _log.warning("%s: the names have no UTM zone; they are taken to be in %d", what, others[0])
    return np.full_like(zones, others[0])
