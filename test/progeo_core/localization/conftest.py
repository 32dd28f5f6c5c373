"""Maps of random descriptors that the tests of localization share."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.geo import Datum
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.verification.epipolar_inliers import Overlap

FINGERPRINT = ModelFingerprint("random", 64, "none", "ab" * 32)


def random_descriptors(count: int, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@pytest.fixture
def prepare(tmp_path) -> Iterator[Callable[..., PreparedMap]]:
    """Return a function that makes a map of descriptors on a line, 10 m apart, and prepares it."""
    opened: list[PlaceMap] = []

    def make(
        vectors: NDArray[np.float32],
        position: NDArray[np.float64] | None = None,
        cameras: list[str] | None = None,
        datum: Datum | None = None,
    ) -> PreparedMap:
        count = len(vectors)
        place_map = PlaceMap.create(tmp_path / f"{len(opened)}.progeo", FINGERPRINT, datum)
        opened.append(place_map)
        columns = Places(
            position=np.arange(count)[:, None] * [10.0, 0.0, 0.0] if position is None else position,
            yaw_rad=np.full(count, math.nan),
            stamp_ns=np.zeros(count, np.int64),
            camera=cameras or [""] * count,
            traverse=[""] * count,
            image=[f"{row}.jpg" for row in range(count)],
            thumbnail=[None] * count,
        )
        place_map.append(columns, vectors)
        return PreparedMap(place_map, PlaceIndex.open(place_map))

    yield make
    for place_map in opened:
        place_map.close()


class CountingVerifier(PlaceVerifier):
    """Verification by given inliers of each row, which notes the rows that it compared.

    magnified: log magnification of what the image shares with any place. grows: the same between
    neighbours of the map.
    """

    def __init__(self, prepared, inliers):
        super().__init__(prepared, 15.0)
        self.given, self.compared = inliers, []
        self.magnified, self.grows = 0.0, math.nan

    def inliers(self, query, row):
        self.compared.append(row)
        return float(self.given.get(row, 0))

    def overlap(self, query, row):
        inliers = self.given.get(row, 0)
        return Overlap(inliers, self.magnified) if math.isfinite(inliers) else None

    def magnification(self, row, other):
        return self.grows

    def detail(self, query):
        return 1.0
