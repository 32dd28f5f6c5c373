"""Places of a fleet for tests: a robot's drive eastwards, and the store it goes to."""

from __future__ import annotations

from collections import Counter

import numpy as np

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.fleet.store import FleetPlaces, FleetSession, fleet_places
from progeo_core.geo import Datum
from progeo_core.map.places import Places
from test.place_views import make_view

MODEL = ModelFingerprint("fleet", 16, "none", "00" * 32)
SESSION = FleetSession("ada", "site", "0" * 16, Datum(48.1, 11.5, 500.0))
PLACES = 60


def some_places(session: FleetSession = SESSION, count: int = PLACES) -> FleetPlaces:
    """Return places every 10 m eastwards, every third without a view."""
    numbers = np.arange(count)
    position = np.stack([10.0 * numbers, 0.0 * numbers, 0.0 * numbers], axis=-1)
    places = Places(
        position=position,
        yaw_rad=np.full(count, np.nan),
        stamp_ns=numbers * 10,
        camera=["front"] * count,
        traverse=["lap"] * count,
        image=[f"{number}.jpg" for number in numbers],
        thumbnail=[b"x" * (number % 7 + 1) if number % 5 else None for number in numbers],
        views=[make_view(at, row) if row % 3 else None for row, at in enumerate(position)],
    )
    vectors = np.random.default_rng(0).normal(size=(count, MODEL.dimension))
    return fleet_places(session, places, vectors.astype(np.float16), Counter())
