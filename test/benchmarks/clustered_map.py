"""Maps of many places with descriptors as a camera on a route gives them: in clusters."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.map.place_map import PlaceMap, Places

DIMENSION = 512
FINGERPRINT = ModelFingerprint("synthetic", DIMENSION, "none", "00" * 32, name="synthetic")
_PER_PLACE, _PER_SITE = 10, 1000
_BLOCK = 50_000
Vectors = NDArray[np.float32]


class Clusters(NamedTuple):
    """Hold the centres [c, D] of the clusters and the generator that draws around them.

    Ten descriptors of a place have cosines near 0.8, places of one site (a thousand descriptors)
    near 0.4.
    """

    centres: Vectors
    random: np.random.Generator

    @classmethod
    def draw(cls, count: int, dimension: int = DIMENSION) -> Clusters:
        """Draw the centres for `count` descriptors of a dimension."""
        random = np.random.default_rng(0)
        places = -(-count // _PER_PLACE)
        sites = _noise(random, -(-count // _PER_SITE), dimension)
        own = _noise(random, places, dimension)
        centres = _unit(sites[random.integers(0, len(sites), places)] + own)
        return cls(centres, random)

    def around(self, clusters: NDArray[np.int64]) -> Vectors:
        """Draw one unit descriptor around each of some clusters."""
        noise = _noise(self.random, len(clusters), self.centres.shape[1])
        return _unit(self.centres[clusters] + 0.5 * noise)

    def queries(self, count: int) -> Vectors:
        """Draw descriptors around random clusters."""
        return self.around(self.random.integers(0, len(self.centres), count))


def clustered_map(
    folder: Path, count: int, fingerprint: ModelFingerprint = FINGERPRINT
) -> tuple[Path, Clusters]:
    """Return a map of `count` places on a line, made where the folder has none yet."""
    path = folder / f"clustered{count}-{fingerprint.weights_sha256[:12]}.progeo"
    clusters = Clusters.draw(count, fingerprint.dimension)
    if not path.exists():
        with PlaceMap.create(path, fingerprint) as place_map:
            for start in range(0, count, _BLOCK):
                rows = np.arange(start, min(start + _BLOCK, count))
                place_map.append(_places(rows), clusters.around(rows // _PER_PLACE))
    return path, clusters


def _places(rows: NDArray[np.int64]) -> Places:
    count, names = len(rows), [""] * len(rows)
    position = np.stack([0.5 * rows, rows % 7, 0.0 * rows], axis=-1)
    images = [f"{row}.jpg" for row in rows]
    yaw, stamps = np.zeros(count), rows * 10**9
    return Places(position, yaw, stamps, names, names, images, [None] * count)


def _noise(random: np.random.Generator, count: int, dimension: int) -> Vectors:
    return _unit(random.standard_normal((count, dimension), dtype=np.float32))


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
