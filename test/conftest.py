"""Settings shared by every test."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tests talk to each other over DDS on this machine only.
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
# Threads that wait by spinning take the cores from the processes that are tested.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session", autouse=True)
def cache_home() -> Iterator[Path]:
    """Keep what programs remember about this machine out of the user's own cache folder."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        yield Path(folder)


ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def corridor() -> Path:
    """Return the folder of the shipped corridor images: ref.csv and query.csv."""
    return ROOT / "progeo_core" / "demo_data" / "corridor"


@pytest.fixture(scope="session")
def campus_loop() -> Path:
    """Return the folder of the shipped campus images: records.csv."""
    return ROOT / "progeo_core" / "demo_data" / "campus_loop"


@pytest.fixture(scope="session")
def corridor_loop() -> Path:
    """Return the folder of RTAB-Map's corridor walked twice: records.csv."""
    return ROOT / "test" / "data" / "rtabmap_corridor_loop"


@pytest.fixture(scope="session")
def authors_npz() -> Path:
    """Return the values computed by the authors' code."""
    return ROOT / "test" / "data" / "authors.npz"
