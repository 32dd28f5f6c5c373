"""Maps that the tests of the map file share."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.geo import Datum
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve
from progeo_core.map.place_features import PlaceView, StructureNote
from progeo_core.map.place_map import PlaceMap, Places
from test.place_views import make_view

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture
def schema1_map(tmp_path: Path) -> Path:
    """Return a map that an earlier version made: six places, two cameras, calibrated."""
    return Path(shutil.copy(DATA / "schema1.progeo", tmp_path / "old.progeo"))


@pytest.fixture(params=[1, 2])
def old_map(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return the map of `schema1_map` as earlier versions with each older schema made it."""
    return Path(shutil.copy(DATA / f"schema{request.param}.progeo", tmp_path / "old.progeo"))


@pytest.fixture
def full_map(
    tmp_path: Path, fingerprint: ModelFingerprint, unit_vectors: Callable[..., NDArray[np.float32]]
) -> Path:
    """Return a closed map of 60 places with all that a place may have, and a calibration.

    Every fifth place has no view, and every tenth none but the camera's pose.
    """
    path, count = tmp_path / "full.progeo", 60
    random = np.random.default_rng(0)
    position = random.normal(size=(count, 3)) * 100.0
    views: list[PlaceView | None] = [make_view(position[row], row) for row in range(count)]
    views[::10] = [view and view._replace(intrinsics=None, features=None) for view in views[::10]]
    views[5::10] = [None] * 6
    places = Places(
        position=position,
        yaw_rad=np.where(np.arange(count) % 3 == 0, np.nan, random.uniform(-3.0, 3.0, count)),
        stamp_ns=random.integers(0, 2**60, count),
        camera=["front"] * 30 + ["rear"] * 30,
        traverse=["monday", "tuesday"] * 30,
        image=[f"{row} ü.jpg" for row in range(count)],
        thumbnail=[None if row % 4 == 3 else random.bytes(200 + row) for row in range(count)],
        views=views,
    )
    with PlaceMap.create(path, fingerprint, Datum(48.0, 11.0, 500.0)) as place_map:
        place_map.append(places, unit_vectors(count))
        curves = ConfidenceCurve(0.25, 0.75), ConfidenceCurve(-0.5, 1.5)
        place_map.set_calibration(Calibration(*curves))
        place_map.set_structure(StructureNote("tiny-features", "depth"))
    return path


@pytest.fixture(scope="session")
def edited() -> Callable[..., None]:
    """Return a function that changes a map file behind the program's back."""

    def edit(path: Path, *statements: str) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return edit
