"""Settings shared by every test."""

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from progeo_core.descriptors.encoder import Encoder

# Tests talk to each other over DDS on this machine only.
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
# Threads that wait by spinning take the cores from the processes that are tested.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Where all cores are in use, more threads only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is no failure.
hypothesis.settings.register_profile("any_time", deadline=None)
hypothesis.settings.load_profile("any_time")


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


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder with the shipped weights at 128 x 128: real, and quick enough."""
    from progeo_core.model.model_folder import read_model, save_model
    from progeo_core.model.stored_model import find_model_folder

    shipped = find_model_folder("mobilenetv2-gem")
    assert shipped is not None
    card, state = read_model(shipped, with_text=False)
    size = card.preprocessing._replace(height=128, width=128)
    small = dataclasses.replace(card, name="small", preprocessing=size)
    return save_model(tmp_path_factory.mktemp("models") / "small", small, state)


@pytest.fixture(scope="session")
def small_encoder(small_model: Path) -> Encoder:
    """Return the encoder of the small model."""
    from progeo_core.inference.loading import load_encoder

    return load_encoder(str(small_model), "cpu")


@pytest.fixture(scope="session")
def office() -> Path:
    """Return the folder of images with depth, calibration and full camera poses."""
    return Path(__file__).parent / "data" / "office"


@pytest.fixture(scope="session")
def office_map(
    office: Path, small_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a map of the office with landmarks."""
    from progeo_core.images.calibration_file import read_calibration
    from progeo_core.inference.feature_extractor import FeatureExtractor
    from progeo_core.map.build import build_map
    from progeo_core.records.image_source import source_of_records
    from progeo_core.verification.view_finder import DepthViewFinder

    path = tmp_path_factory.mktemp("office") / "office.progeo"
    source = source_of_records(office / "map.csv", read_calibration(office / "camera_info.yaml"))
    build_map(path, source, small_encoder, structure=DepthViewFinder(FeatureExtractor("cpu")))
    return path
