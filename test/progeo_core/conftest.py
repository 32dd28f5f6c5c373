"""Maps, folders and a small model that the tests of the core share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.geo import Datum
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.poses.transform import Transform, level_quaternion

NOBODY = 65534


@pytest.fixture(scope="session")
def fingerprint() -> ModelFingerprint:
    """Return the fingerprint of a model with 8-D descriptors."""
    return ModelFingerprint("tiny+GeM", 8, "64x64 bilinear", "ab" * 32, name="tiny")


@pytest.fixture(scope="session")
def make_places() -> Callable[..., Places]:
    """Return a function that makes n places on a line, or at given positions."""

    def make(count: int, position: NDArray[np.float64] | None = None, camera: str = "") -> Places:
        line = np.arange(count)[:, None] * [1.0, 0.5, 0.0]
        return Places(
            position=line if position is None else position,
            yaw_rad=np.full(count, np.nan),
            stamp_ns=np.zeros(count, np.int64),
            camera=[camera] * count,
            traverse=[""] * count,
            image=[f"{row}.jpg" for row in range(count)],
            thumbnail=[None] * count,
        )

    return make


@pytest.fixture(scope="session")
def unit_vectors() -> Callable[..., NDArray[np.float32]]:
    """Return a function that makes n random descriptors of unit length."""

    def make(count: int, seed: int = 0, dimension: int = 8) -> NDArray[np.float32]:
        vectors = np.random.default_rng(seed).normal(size=(count, dimension))
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return make


@pytest.fixture
def filled_map(
    tmp_path: Path,
    fingerprint: ModelFingerprint,
    make_places: Callable[..., Places],
    unit_vectors: Callable[..., NDArray[np.float32]],
) -> Path:
    """Return the path of a closed map with a datum and five places."""
    path = tmp_path / "filled.progeo"
    with PlaceMap.create(path, fingerprint, Datum(48.0, 11.0, 500.0)) as place_map:
        place_map.append(make_places(5), unit_vectors(5))
    return path


@pytest.fixture
def make_map(tmp_path: Path, fingerprint: ModelFingerprint) -> Callable[..., Path]:
    """Return a function that writes a closed map of given places."""

    def make(
        name: str,
        places: Places,
        vectors: NDArray[np.float32],
        datum: Datum | None = None,
        model: ModelFingerprint = fingerprint,
    ) -> Path:
        path = tmp_path / f"{name}.progeo"
        with PlaceMap.create(path, model, datum) as place_map:
            place_map.append(places, vectors)
        return path

    return make


@pytest.fixture
def as_reader(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Return a function that makes a folder or file one that this process may only read.

    Root may write anywhere, so root becomes nobody until the test ends.
    """
    restricted: list[Path] = []

    def restrict(path: Path) -> None:
        restricted.append(path)
        tmp_path.chmod(0o777)
        path.chmod(0o555)
        if os.geteuid() == 0:
            # How many folders there are on the way depends on how the tests are run.
            for parent in tmp_path.parents:
                mode = parent.stat().st_mode
                if not mode & 0o001:
                    parent.chmod(mode | 0o055)
            os.seteuid(NOBODY)

    yield restrict
    if os.getuid() == 0:
        os.seteuid(0)
    for path in restricted:
        path.chmod(0o755)


class Drives(NamedTuple):
    """Maps of two drives of one corridor, 4 m from place to place, and where the frames are.

    frame: pose of the second map's frame in the first one's.
    """

    first: Path
    second: Path
    frame: Transform


@pytest.fixture(scope="session")
def corridor_drives(
    corridor: Path, small_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Drives:
    """Return two drives of the corridor; the second one's frame is turned and shifted."""
    from progeo_core.inference.feature_extractor import FeatureExtractor
    from progeo_core.map.build import build_map
    from progeo_core.map.merge import merge_maps
    from progeo_core.records.image_source import source_of_records
    from progeo_core.verification.view_finder import DepthViewFinder

    folder = tmp_path_factory.mktemp("drives")
    frame = Transform(np.array([30.0, -12.0, 0.0]), level_quaternion(2.0))
    for name in ("ref", "query"):
        source = source_of_records(corridor / f"{name}.csv")
        source = source.select(np.arange(0, len(source.records), 4))
        finder = DepthViewFinder(FeatureExtractor("cpu"))
        build_map(folder / f"{name}.progeo", source, small_encoder, structure=finder)
    second = folder / "second.progeo"
    merge_maps([folder / "query.progeo"], second, frames=[frame.inverse()])
    return Drives(folder / "ref.progeo", second, frame)
