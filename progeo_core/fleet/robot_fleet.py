"""A robot's side of a fleet's store: the region around it at hand, its own places on their way up.

Every method that asks the store may take as long as its limit; none belongs in the path of images.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import platform
import re
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import (
    DataError,
    MissingDependencyError,
    ModelMismatchError,
    ProgeoError,
    UsageError,
)
from progeo_core.fleet.pull import EmptyRegionError
from progeo_core.fleet.region import Region
from progeo_core.fleet.region_cache import RegionCache
from progeo_core.fleet.retry_delay import RetryDelay
from progeo_core.fleet.store import checked_name
from progeo_core.fleet.store_process import StoreProcess
from progeo_core.fleet.upload_list import Upload, UploadList
from progeo_core.geo import Datum, enu_from_wgs84, parse_datum
from progeo_core.inference.runtime_memory import cache_folder
from progeo_core.settings import Settings, setting

_log = logging.getLogger(__name__)

# Limits (s): the engine loads with the first request.
_OPEN_S, _PULL_S, _PUSH_S = 60.0, 120.0, 120.0
# A map that is written is looked at again after this long (s).
_LOOK_S = 5.0
# Beyond this distance (m) from the datum, metres of a plane are no more those of the ground.
_FAR_M = 50_000.0
# Places of the store that a lost robot's image is compared with, and regions around them.
_NEAREST, _REGIONS = 20, 3


@dataclasses.dataclass(frozen=True)
class FleetSettings(Settings):
    """What a robot asks of the fleet's store, and where it keeps that."""

    robot: str = setting("", "Name of this robot in the fleet; empty takes the machine's name")
    near: str = setting(
        "", "LAT,LON (degrees) where the robot is, until fix_reference or an answer says it"
    )
    radius_m: float = setting(
        500.0, "Radius (m) of the region that is kept around the robot", low=20.0, high=50_000.0
    )
    cache_folder: str = setting(
        "", "Folder for the region and the list of what goes up; empty is ~/.cache/progeo/fleet"
    )
    relocalize_s: float = setting(20.0, "Time limit (s) of ~/relocalize_fleet", low=1.0, high=300.0)


class PulledRegion(NamedTuple):
    """Map of a region, and how many places it holds."""

    path: Path
    region: Region
    places: int


class FleetCounts(NamedTuple):
    """What a robot has of the fleet's store, and the store of it.

    shared: places that the store has acknowledged in this run. waiting: places that are to go up.
    without_datum: places mapped in this run that cannot, as nobody knows where on earth they are.
    """

    region: str
    regions: int
    empty_regions: int
    pull_failures: int
    pull_fault: str
    shared: int
    waiting: int
    push_failures: int
    push_fault: str
    without_datum: int = 0


class RobotFleet:
    """Link of one robot to a store; one thread uses it, any may `share`, `counts` and `close`."""

    def __init__(self, uri: str, settings: FleetSettings) -> None:
        """Name the store; `UsageError` for a robot or a position that is none."""
        # As messages and diagnostics may show it.
        self.uri = re.sub(r"//[^/]*@", "//…@", uri).partition("?")[0]
        self._settings = settings
        self._robot = checked_name("robot", settings.robot or platform.node())
        self.model: ModelFingerprint | None = None
        self.start = parse_datum(settings.near) if settings.near else None
        folder = settings.cache_folder
        base = Path(folder).expanduser() if folder else cache_folder() / "fleet"
        self.cache = RegionCache(base, uri, self._robot, settings.radius_m)
        self._uploads = UploadList(self.cache.folder / "uploads.json")
        self._store = StoreProcess(uri)
        self._pulls, self._pushes = RetryDelay(time.monotonic), RetryDelay(time.monotonic)
        self._regions, self._empty, self._shared = 0, 0, 0
        # Places of maps without a datum, by their paths.
        self._without_datum: dict[str, int] = {}
        self._version, self._look_s = -1, -math.inf

    def open(self) -> None:
        """Ask for the model of the store; that it cannot be reached now is a warning.

        Raises `UsageError` for a URI with credentials in it, `MissingDependencyError` without
        LanceDB.
        """
        try:
            self.model = ModelFingerprint(**self._store.ask(_OPEN_S, job="open")["model"])
        except (UsageError, MissingDependencyError):
            self.close()
            raise
        except DataError as error:
            self._note_pull_failure(error)

    def require_model(self, fingerprint: ModelFingerprint) -> None:
        """Raise `ModelMismatchError` where the store is known to be of another model."""
        if self.model is not None and self.model != fingerprint:
            raise ModelMismatchError(
                f"{self.uri}: the fleet's store was made with {self.model}, the node has"
                f" {fingerprint}: start it with the store's model, or name another store"
            )

    def close(self) -> None:
        """End the process of the store."""
        self._store.close()

    def counts(self) -> FleetCounts:
        """Return the state of the link, for diagnostics."""
        uploads, region = list(self._uploads.uploads), self.cache.region
        return FleetCounts(
            "" if region is None else str(region),
            self._regions,
            self._empty,
            self._pulls.failures,
            self._pulls.fault,
            self._shared,
            sum(one.waiting for one in uploads),
            self._pushes.failures,
            self._pushes.fault,
            sum(list(self._without_datum.values())),
        )

    def next_region(
        self, where: Datum | None, datum: Datum | None, in_use: Path | None
    ) -> PulledRegion | None:
        """Return the map of the region that a robot needs now, None where it needs no other.

        where: of the robot, None unknown. datum: of the map in use, which the new one shares, as
        poses go on in one frame. in_use: file of that map. Failures are counted, logged once, and
        tried again after a while.
        """
        if where is None or not self._pulls.over:
            return None
        region = self.cache.due(where.lat_deg, where.lon_deg, time.monotonic())
        if region is None:
            return None
        try:
            return self._next(region, datum, in_use)
        except EmptyRegionError as error:
            self._empty += 1
            self.cache.answered(region, time.monotonic())
            self._pulls.succeeded()
            _log.warning("the region in use stays: %s", error)
        except ProgeoError as error:
            self._note_pull_failure(error)
        return None

    def taken(self, pulled: PulledRegion) -> None:
        """Note that the map of a region is in use."""
        self._regions += 1
        self.cache.answered(pulled.region, time.monotonic())
        self._pulls.succeeded()

    def refused(self, pulled: PulledRegion, error: ProgeoError) -> None:
        """Note that the map of a region could not be used."""
        discard(pulled)
        self._note_pull_failure(error)

    def share(self, map_path: Path, lineage: str, first: int) -> None:
        """Send up what is added to a map from now on; first: its last id before that.

        Raises `DataError` where that cannot be noted on disk.
        """
        self._uploads.add(map_path, lineage, first)

    def unshare(self, map_path: Path) -> None:
        """Forget a map to which nothing was added."""
        for upload in self._uploads.uploads:
            if upload.map_path == str(map_path.resolve()):
                self._uploads.remove(upload)

    def upload(self, live: Path | None, before: int | None) -> None:
        """Send one batch of each map, the oldest places first, and forget maps that are done.

        live: map that is still written, of which places from the id `before` on are not final.
        """
        if not self._pushes.over or time.monotonic() < self._look_s:
            return
        self._look_s = time.monotonic() + _LOOK_S
        for upload in list(self._uploads.uploads):
            is_live = live is not None and str(live.resolve()) == upload.map_path
            try:
                sent = self._push(upload, before if is_live else None)
                if sent:
                    self._look_s = -math.inf
                elif not is_live and not upload.waiting:
                    self._uploads.remove(upload)
                self._pushes.succeeded()
            except ProgeoError as error:
                if self._pushes.failed(str(error)):
                    _log.warning("places wait to be shared: %s", error)

    def regions_like(self, descriptor: NDArray[np.float32], limit_s: float) -> list[Region]:
        """Return regions around the places of the whole store that look most like an image.

        descriptor: [D]. Raises `DataError` where the store does not answer in time.
        """
        answer = self._store.ask(
            limit_s, job="nearest", descriptor=descriptor.tolist(), count=_NEAREST
        )
        regions: list[Region] = []
        for lat_deg, lon_deg in answer["geodetic"]:
            point = np.array([[lat_deg, lon_deg, 0.0]])
            if not any(one.contains(point)[0] for one in regions):
                regions.append(Region.near(lat_deg, lon_deg, self._settings.radius_m))
        return regions[:_REGIONS]

    def pull(
        self, region: Region, datum: Datum | None, in_use: Path | None, limit_s: float = _PULL_S
    ) -> PulledRegion:
        """Write the map of a region; raises what the store does, `DataError` beyond the limit."""
        center = region.center
        assert center is not None
        if datum is not None and np.linalg.norm(enu_from_wgs84([center], datum)) > _FAR_M:
            _log.warning("%s is far from the map so far: poses start from another datum", region)
            datum = None
        target = self.cache.target(in_use)
        answer = self._store.ask(
            limit_s,
            job="pull",
            lat_deg=center.lat_deg,
            lon_deg=center.lon_deg,
            radius_m=region.radius_m,
            target=str(target),
            datum=[] if datum is None else list(datum),
        )
        self._version = int(answer["version"])
        return PulledRegion(target, region, int(answer["places"]))

    def _next(
        self, region: Region, datum: Datum | None, in_use: Path | None
    ) -> PulledRegion | None:
        """Pull a region, unless it is the last one and nothing has changed in the store."""
        if region == self.cache.region:
            version = self._store.ask(_PULL_S, job="open")["version"]
            if version == self._version:
                self.cache.answered(region, time.monotonic())
                self._pulls.succeeded()
                return None
        return self.pull(region, datum, in_use)

    def _push(self, upload: Upload, before: int | None) -> int:
        """Send a batch of one map; return how many places the store acknowledged."""
        if not Path(upload.map_path).exists():
            raise DataError(f"{upload.map_path}: the map is gone before its places were shared")
        waits = {"map_path": upload.map_path, "after": upload.upto}
        # Without the store, so that it is known while that cannot be reached.
        counted = self._store.ask(_PUSH_S, job="count", **waits)
        upload.waiting = int(counted["waiting"])
        if not counted["has_datum"]:
            self._note_without_datum(upload)
        if not upload.waiting:
            return 0
        answer = self._store.ask(_PUSH_S, job="push", robot=self._robot, before=before, **waits)
        sent = int(answer["shared"])
        self._shared += sent
        upload.upto, upload.waiting = int(answer["upto"]), int(answer["waiting"])
        return sent

    def _note_without_datum(self, upload: Upload) -> None:
        """Count places that never go up, and say so once for each map."""
        if upload.waiting and not self._without_datum.get(upload.map_path):
            _log.warning(
                "%s: its places are not shared with the fleet, as the map has no datum: map with"
                " mapping_reference: fix, extend a map that has a datum, or begin by ~/set_mapping"
                " while a region of the fleet's map is in use",
                upload.map_path,
            )
        self._without_datum[upload.map_path] = upload.waiting
        upload.waiting = 0

    def _note_pull_failure(self, error: ProgeoError) -> None:
        if self._pulls.failed(str(error)):
            _log.warning("the fleet's map is not renewed, what is here stays in use: %s", error)


def discard(pulled: PulledRegion) -> None:
    """Remove the map of a region that is not used after all."""
    with contextlib.suppress(OSError):
        pulled.path.unlink(missing_ok=True)
