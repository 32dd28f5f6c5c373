"""A map that grows while its robot drives: every keyframe is safe on disk when `add` returns."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ProgeoError
from progeo_core.geo import Datum
from progeo_core.map.place_features import PlaceView, StructureNote
from progeo_core.map.place_index import MEMORY_MB, PlaceIndex
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.poses.pose_buffer import BufferedPose

_log = logging.getLogger(__name__)

# Where the disk is full, every keyframe after this long (s) tries again.
_RETRY_S = 5.0


class NewPlace(NamedTuple):
    """One keyframe with its pose in the map; thumbnail: JPEG. view: what else is known of it."""

    thumbnail: bytes
    descriptor: NDArray[np.float32]
    pose: BufferedPose
    stamp_ns: int
    camera: str
    view: PlaceView | None = None


class MapRecorder:
    """Writer of one map while its robot drives; another one is refused until `close`."""

    def __init__(self, place_map: PlaceMap, traverse: str) -> None:
        """Take a writable map, and the name of this session for its places."""
        self._map, self._traverse = place_map, traverse
        self.places_before = len(place_map)
        self.last_before = int(place_map.newest_descriptors(1)[0].max(initial=0))
        self.saved = 0
        self.lost = 0
        self.fault = ""
        self._failed_at = 0.0

    @classmethod
    def open(
        cls,
        path: str | Path,
        fingerprint: ModelFingerprint,
        traverse: str,
        datum: Datum | None = None,
        structure: StructureNote | None = None,
    ) -> MapRecorder:
        """Open a map to extend it, or make a new one with a datum.

        structure: what makes the views of new places. Raises `DataError` where another process
        writes it or the disk refuses, `UsageError` for a bad name or a map of another extractor,
        and `ModelMismatchError` for a map of another model.
        """
        path = Path(path)
        if path.exists():
            place_map = PlaceMap.open(path, writable=True)
        else:
            place_map = PlaceMap.create(path, fingerprint, datum)
        try:
            place_map.require_model(fingerprint)
            if structure is not None:
                place_map.add_structure(structure)
            return cls(place_map, traverse)
        except ProgeoError:
            place_map.close()
            raise

    def __enter__(self) -> MapRecorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Return the file."""
        return self._map.path

    @property
    def lineage(self) -> str:
        """Return what names the map, whatever its file is called."""
        return self._map.lineage

    @property
    def datum(self) -> Datum | None:
        """Return the point that the map's metres start from."""
        return self._map.datum

    def add(self, place: NewPlace) -> int | None:
        """Write one place; return its id once it is on disk, None where that fails.

        Where that fails, `fault` says why and the place is counted as lost: the session goes on
        with a full disk or a map that was removed. Writing is tried again every few seconds.
        """
        if self.fault and time.monotonic() - self._failed_at < _RETRY_S:
            self.lost += 1
            return None
        try:
            (place_id,) = self._map.append(self._row(place), place.descriptor[None]).tolist()
        except DataError as error:
            if not self.fault:
                _log.error("mapping pauses: %s", error)
            self.fault, self._failed_at = str(error), time.monotonic()
            self.lost += 1
            return None
        if self.fault:
            _log.info("%s: mapping goes on; %d places were lost", self.path, self.lost)
        self.fault = ""
        self.saved += 1
        return int(place_id)

    def add_view(self, place_id: int, view: PlaceView, structure: StructureNote) -> None:
        """Write what is known of the image of a place that was added; `DataError` if that fails."""
        self._map.add_structure(structure)
        self._map.set_views([place_id], [view])

    def save(self, index_memory_mb: int = MEMORY_MB) -> int:
        """Bring the index file up to date; return the number of places of the map."""
        if len(self._map):
            PlaceIndex.open(self._map, index_memory_mb)
        return len(self._map)

    def close(self) -> None:
        """Let another process write the map; one without any places is removed again."""
        if len(self._map):
            self._map.close()
        else:
            self._map.discard()

    def _row(self, place: NewPlace) -> Places:
        return Places(
            position=place.pose.position[None],
            yaw_rad=np.array([place.pose.yaw_rad]),
            stamp_ns=np.array([place.stamp_ns], np.int64),
            camera=[place.camera],
            traverse=[self._traverse],
            image=[f"{place.camera}@{place.stamp_ns}"],
            thumbnail=[place.thumbnail],
            views=[place.view],
        )
