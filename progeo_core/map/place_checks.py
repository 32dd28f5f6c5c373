"""What places must be like to become part of a map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError
from progeo_core.geo import MAX_POSITION_M
from progeo_core.map.place_features import PlaceView, fault_of
from progeo_core.map.places import Float16Array, Places


def check_views(path: str | Path, views: Sequence[PlaceView | None], names: Sequence[str]) -> None:
    """Raise `DataError` naming map and place where a view [n] cannot be kept; names: n."""
    for view, name in zip(views, names, strict=True):
        fault = None if view is None else fault_of(view)
        if fault is not None:
            raise DataError(f"{path}: {name}: {fault}; leave its view out")


def checked_vectors(
    path: str | Path,
    places: Places,
    descriptors: NDArray[np.generic],
    fingerprint: ModelFingerprint,
    dimension: int,
) -> Float16Array:
    """Return descriptors [n, D] as float16 after checking that they and the n places make sense.

    Raises `DataError` naming map and place for columns of unequal length, descriptors of another
    length than the map keeps, and what is not finite.
    """
    count = len(places.position)
    if any(len(column) != count for column in (*places, descriptors)):
        lengths = [len(column) for column in (*places, descriptors)]
        raise DataError(f"{path}: columns of unequal length {lengths}; append one row each")
    if descriptors.shape != (count, dimension):
        raise DataError(
            f"{path}: descriptors of shape {list(descriptors.shape)}, but the map's model"
            f" {fingerprint} gives {fingerprint.dimension} values each"
        )
    with np.errstate(over="ignore"):
        vectors = descriptors.astype(np.float16)
    # An unknown yaw is NaN.
    yaw_rad = np.asarray(places.yaw_rad, np.float64)[:, None]
    known = np.where(np.isnan(yaw_rad), 0.0, yaw_rad)
    columns = (
        ("position", places.position, MAX_POSITION_M),
        ("yaw", known, np.finfo(np.float64).max),
        ("descriptor", vectors, np.finfo(np.float16).max),
    )
    for what, rows, largest in columns:
        # Written so that NaN counts as bad.
        bad = np.flatnonzero(~(np.abs(np.asarray(rows, np.float64)) <= largest).all(axis=1))
        if bad.size:
            name = places.image[bad[0]] or f"row {bad[0]}"
            raise DataError(
                f"{path}: the {what} of {name} is not finite or too large; leave this place out"
            )
    return vectors
