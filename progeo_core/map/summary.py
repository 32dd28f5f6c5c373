"""What a map holds, at a glance."""

from __future__ import annotations

import collections
import dataclasses
from datetime import datetime, timezone
from typing import Any

import numpy as np

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import counted
from progeo_core.geo import Datum
from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.view_rows import ViewCounts

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class MapSummary:
    """Hold the figures of one map.

    extent_m: ((min x, y, z), (max x, y, z)), None without places. cameras, traverses: name to
    number of places. stamps_ns: first and last known stamp, None without any. structure: what made
    the local features and 3-D points that `views` counts, None without any.
    """

    path: str
    places: int
    places_with_yaw: int
    datum: Datum | None
    extent_m: tuple[tuple[float, ...], tuple[float, ...]] | None
    cameras: dict[str, int]
    traverses: dict[str, int]
    stamps_ns: tuple[int, int] | None
    model: ModelFingerprint
    file_bytes: int
    views: ViewCounts
    structure: StructureNote | None
    shortened_to: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the documented keys of `progeo map info --json`."""
        corners = ("min", "max")
        return {
            "schema": SCHEMA,
            "map": self.path,
            "places": self.places,
            "places_with_yaw": self.places_with_yaw,
            "datum": None if self.datum is None else self.datum._asdict(),
            "extent_m": self.extent_m and dict(zip(corners, self.extent_m, strict=True)),
            "cameras": self.cameras,
            "traverses": self.traverses,
            "stamps_ns": self.stamps_ns,
            "model": dataclasses.asdict(self.model),
            "shortened_to": self.shortened_to,
            "bytes": self.file_bytes,
            "views": {
                "places": self.views.places,
                "with_landmarks": self.views.with_landmarks,
                "bytes_per_place": self.views.bytes_per_place,
                "calibrations": self.views.calibrations,
                "extractor": self.structure and self.structure.extractor,
                "source": self.structure and self.structure.source,
            },
        }

    def to_lines(self) -> dict[str, str]:
        """Return readable lines by name."""
        return {
            "places": f"{self.places}, {self.places_with_yaw} of them with a direction",
            "extent": self._extent_line(),
            "datum": datum_line(self.datum),
            "cameras": _counts_line(self.cameras),
            "traverses": _counts_line(self.traverses),
            "recorded": self._time_line(),
            "model": str(self.model),
            **self._shortened_line(),
            **structure_lines(self.views, self.structure),
            "calibrations": str(self.views.calibrations),
            "file": f"{self.file_bytes / 1e6:.1f} MB",
        }

    def _shortened_line(self) -> dict[str, str]:
        if self.shortened_to is None:
            return {}
        return {"descriptors": f"shortened from {self.model.dimension} to {self.shortened_to}"}

    def _extent_line(self) -> str:
        if self.extent_m is None:
            return "none"
        sides = (high - low for low, high in zip(*self.extent_m, strict=True))
        return " × ".join(f"{side:.1f}" for side in sides) + " m (east, north, up)"

    def _time_line(self) -> str:
        if self.stamps_ns is None:
            return "unknown"
        first, last = (
            datetime.fromtimestamp(stamp / 1e9, timezone.utc).isoformat(" ", "seconds")
            for stamp in self.stamps_ns
        )
        return f"{first} to {last}"


def datum_line(datum: Datum | None) -> str:
    """Return a map's datum as a readable line."""
    if datum is None:
        return "none (metres only)"
    lat, lon, alt = datum
    return f"latitude {lat:.7f}°, longitude {lon:.7f}°, altitude {alt:.1f} m"


def structure_lines(views: ViewCounts, structure: StructureNote | None) -> dict[str, str]:
    """Return readable lines by name about the local features and the 3-D points of a map."""
    source = structure.source if structure else ""
    features = points = "none"
    if views.places:
        extractor = f" of {structure.extractor}" if structure else ""
        size = f"{views.bytes_per_place / 1e3:.1f} kB per place"
        features = f"in {counted(views.places, 'place')}{extractor}, {size}"
        noted = f" ({source})" if source else ""
        points = f"none{noted}: 'progeo map structure' finds them, or says why not"
    if views.with_landmarks:
        points = ", ".join(filter(None, [f"in {counted(views.with_landmarks, 'place')}", source]))
    elif source.startswith("none"):
        points = source
    return {"local features": features, "3-D points": points}


def summarize_map(place_map: PlaceMap) -> MapSummary:
    """Read the places of a map, without descriptors, and return their figures."""
    table = place_map.places()
    known = table.stamp_ns[table.stamp_ns > 0]
    position = table.position
    return MapSummary(
        path=str(place_map.path),
        places=len(table.ids),
        places_with_yaw=int(np.isfinite(table.yaw_rad).sum()),
        datum=place_map.datum,
        extent_m=(tuple(position.min(axis=0).tolist()), tuple(position.max(axis=0).tolist()))
        if len(position)
        else None,
        cameras=dict(collections.Counter(table.camera)),
        traverses=dict(collections.Counter(table.traverse)),
        stamps_ns=(int(known.min()), int(known.max())) if known.size else None,
        model=place_map.fingerprint,
        file_bytes=place_map.path.stat().st_size,
        views=place_map.view_counts(),
        structure=place_map.structure,
        shortened_to=None if place_map.projection is None else place_map.dimension,
    )


def _counts_line(counts: dict[str, int]) -> str:
    """Return names with counts, the most frequent first; blank names are unnamed."""
    shown = 8
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    parts = [f"{name or 'unnamed'} ({count})" for name, count in ordered[:shown]]
    if len(ordered) > shown:
        parts.append(f"and {len(ordered) - shown} more")
    return ", ".join(parts) or "none"
