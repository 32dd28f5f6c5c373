"""Places as columns: what is appended to a map, and what is read from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.errors import DataError
from progeo_core.geo import FloatArray

if TYPE_CHECKING:
    from progeo_core.map.place_features import PlaceView

IdArray = NDArray[np.int64]
Float16Array = NDArray[np.float16]


class Places(NamedTuple):
    """Columns of places to append.

    position: [n, 3] metres in frame map. yaw_rad: [n] counter-clockwise from east, NaN unknown.
    stamp_ns: [n] nanoseconds, 0 unknown. camera, traverse, image: n names, "" unknown.
    thumbnail: n JPEGs, None where there is none. views: n of what else is known of the images, None
    where nothing is, or empty for none of them.
    """

    position: FloatArray
    yaw_rad: FloatArray
    stamp_ns: NDArray[np.int64]
    camera: Sequence[str]
    traverse: Sequence[str]
    image: Sequence[str]
    thumbnail: Sequence[bytes | None]
    views: Sequence[PlaceView | None] = ()


class PlacePoses(NamedTuple):
    """Poses of the places of a map, one row each, ids ascending; columns as in `Places`."""

    ids: IdArray
    position: FloatArray
    yaw_rad: FloatArray

    def rows_of(self, ids: ArrayLike) -> IdArray:
        """Return the row of every place id, in the shape given; -1 (padding) stays -1.

        Raises `DataError` naming an id that is not in the table.
        """
        wanted = np.asarray(ids, np.int64)
        rows = np.searchsorted(self.ids, wanted)
        found = np.zeros(wanted.shape, bool)
        if self.ids.size:
            found = self.ids.take(rows, mode="clip") == wanted
        missing = wanted[~found & (wanted != -1)]
        if missing.size:
            raise DataError(f"place {missing[0]} is not in the map")
        return np.where(found, rows, -1)


class PlaceTable(NamedTuple):
    """All that is known of a map's places, one row each; columns as in `Places`."""

    ids: IdArray
    position: FloatArray
    yaw_rad: FloatArray
    stamp_ns: NDArray[np.int64]
    camera: tuple[str, ...]
    traverse: tuple[str, ...]
    image: tuple[str, ...]

    @property
    def poses(self) -> PlacePoses:
        """Return the poses of the places."""
        return PlacePoses(self.ids, self.position, self.yaw_rad)
