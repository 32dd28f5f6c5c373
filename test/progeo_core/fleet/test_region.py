"""Regions: what is in them, and the cells that hold it."""

import numpy as np
import pytest

from progeo_core.errors import UsageError
from progeo_core.fleet.region import Region, cells_of
from progeo_core.geo import Datum, wgs84_from_enu


@pytest.mark.parametrize(
    ("lat", "lon", "radius_m"),
    [(48.1, 11.5, 300.0), (-33.9, 179.999, 2000.0), (89.99, 20.0, 5000.0), (0.0, -180.0, 90_000.0)],
)
def test_circles_hold_what_is_within_their_radius_and_its_cells(lat, lon, radius_m):
    region = Region.near(lat, lon, radius_m)
    angles = np.linspace(0.0, 2.0 * np.pi, 50)
    ring = np.stack([np.cos(angles), np.sin(angles), 0.0 * angles], axis=-1)
    # Flat metres of a wide circle are a little shorter than those over ground.
    inside, outside = (
        wgs84_from_enu(factor * radius_m * ring, Datum(lat, lon)) for factor in (0.99, 1.02)
    )
    assert region.contains(inside).all()
    assert not region.contains(outside).any()
    cells = cells_of(inside)
    within = [(cells >= first) & (cells <= last) for first, last in region.cells]
    assert np.any(within, axis=0).all()


def test_values_that_are_no_region_are_named():
    with pytest.raises(UsageError, match=r"south 9\.0 is north of 8.0"):
        Region(9.0, 0.0, 8.0, 1.0)
    with pytest.raises(UsageError, match="north nan"):
        Region(0.0, 0.0, float("nan"), 1.0)
    with pytest.raises(UsageError, match="radius 0 m"):
        Region.near(48.0, 11.0, 0.0)
