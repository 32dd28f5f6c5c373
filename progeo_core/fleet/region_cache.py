"""Maps of a fleet's regions on a robot: which one is at hand, and when it needs another.

Two files take turns: one is in use while the next region is written to the other.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np

from progeo_core.errors import DataError
from progeo_core.fleet.region import Region
from progeo_core.geo import Datum, enu_from_wgs84, wgs84_from_enu

_NAMES = ("region-a.progeo", "region-b.progeo")
# Shares of the radius: how far from the middle a robot is when the next region is due, how far
# ahead of it that one has its middle, and the way that tells where it is heading.
_DUE, _AHEAD, _HEADING = 0.5, 0.25, 0.05
# A region is asked for again after this long (s), as other robots add places.
_REFRESH_S = 600.0


class RegionCache:
    """Folder with the map of a region of one store, and the region that is due next.

    region: the middle of the last one that was asked for and answered, None before the first.
    """

    def __init__(self, folder: Path, uri: str, robot: str, radius_m: float) -> None:
        """Use a folder of its own within `folder` for a store and a robot."""
        digest = hashlib.sha256(f"{uri}\0{robot}".encode("utf-8", "backslashreplace"))
        self.folder = folder / digest.hexdigest()[:16]
        self._radius_m = radius_m
        self.region: Region | None = None
        self._asked_s = -math.inf
        self._before: Datum | None = None
        self._heading: Datum | None = None

    def newest(self) -> Path | None:
        """Return the map that an earlier run left, None where there is none."""
        kept = [path for path in map(self.folder.joinpath, _NAMES) if path.exists()]
        return max(kept, key=lambda path: path.stat().st_mtime_ns, default=None)

    def target(self, in_use: Path | None) -> Path:
        """Return where to write the next map, with nothing there; `DataError` if that cannot be."""
        name = _NAMES[1] if in_use == self.folder / _NAMES[0] else _NAMES[0]
        path = self.folder / name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for file in (path, path.with_suffix(".faiss")):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(
                f"{path}: the fleet's region cannot be kept here; free some room, or set"
                f" fleet.cache_folder ({error.strerror})"
            ) from error
        return path

    def due(self, lat_deg: float, lon_deg: float, now_s: float) -> Region | None:
        """Return the region that a robot at a point needs now, None while it has it."""
        here = Datum(lat_deg, lon_deg)
        self._note(here)
        if self.region is None or self.region.center is None:
            return Region.near(*here[:2], self._radius_m)
        if _apart_m(self.region.center, here) > _DUE * self._radius_m:
            return Region.near(*self._ahead(here)[:2], self._radius_m)
        if now_s - self._asked_s > _REFRESH_S:
            return self.region
        return None

    def answered(self, region: Region, now_s: float) -> None:
        """Note that the store has answered for a region, be it that nothing is there."""
        self.region, self._asked_s = region, now_s

    def _note(self, here: Datum) -> None:
        if self._heading is None:
            self._heading = here
        elif _apart_m(self._heading, here) > _HEADING * self._radius_m:
            self._before, self._heading = self._heading, here

    def _ahead(self, here: Datum) -> Datum:
        """Return the middle of the next region: ahead of a robot by where it came from."""
        if self._before is None:
            return here
        went = -enu_from_wgs84([self._before], here)[0, :2]
        length_m = float(np.linalg.norm(went))
        if length_m > self._radius_m:
            # It did not drive: it was carried, or found elsewhere.
            return here
        east, north = _AHEAD * self._radius_m * went / length_m
        lat, lon, _ = wgs84_from_enu([[east, north, 0.0]], here)[0]
        return Datum(float(lat), float(lon))


def _apart_m(one: Datum, other: Datum) -> float:
    return float(np.linalg.norm(enu_from_wgs84([one], other)[0, :2]))
