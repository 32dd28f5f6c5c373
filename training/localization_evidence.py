"""What images show by themselves, gathered once: descriptors, local features, shared inliers.

All of it is kept in a folder, so that constants can be fitted again within minutes.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from localization_scenes import Shot
from numpy.typing import NDArray

from progeo_core.atomic_file import replaced_file
from progeo_core.descriptors.encoder import Encoder
from progeo_core.images.codec import Image, read_image
from progeo_core.inference.feature_extractor import QUERY_FEATURES, FeatureExtractor, Keypoints
from progeo_core.map.place_features import (
    PLACE_FEATURES,
    descriptor_bytes,
    unit_descriptors,
)
from progeo_core.verification.epipolar_inliers import count_inliers, overlap
from progeo_core.verification.place_feature_cache import KnownPlace, view_of
from test.poor_light import in_poor_light

# Features of as many images stay in memory.
_IN_MEMORY = 5000


class Evidence:
    """What images of scenes show, by one model; kept in a folder between runs."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        """Gather with an encoder; folder: made if there is none."""
        self._encoder, self._folder = encoder, folder
        fingerprint = hashlib.sha256(str(encoder.fingerprint).encode()).hexdigest()
        self._descriptors = folder / f"descriptors-{fingerprint[:16]}"
        self._features = folder / "features"
        self._descriptors.mkdir(parents=True, exist_ok=True)
        self._features.mkdir(exist_ok=True)
        self._inliers = _KeptPairs(folder / "inliers.json")
        self._magnification = _KeptPairs(folder / "magnification.json")
        self.keypoints = functools.lru_cache(_IN_MEMORY)(self._keypoints)

    def descriptors(self, shots: Sequence[Shot]) -> NDArray[np.float32]:
        """Return the descriptors [n, D] of images."""
        return np.stack([self._descriptor(shot) for shot in shots])

    def inliers(self, query: Shot, place: Shot) -> float:
        """Return how many local features an image shares with that of a place."""
        pair = _name_of_pair(query, place)
        if pair not in self._inliers.values:
            view, known = view_of(self._known(query, QUERY_FEATURES)), self._known(place)
            self._inliers.values[pair] = count_inliers(view, known)
        return self._inliers.values[pair]

    def log_magnification(self, query: Shot, place: Shot) -> float:
        """Return how much larger an image shows what it shares with that of a place."""
        pair = _name_of_pair(query, place)
        if pair not in self._magnification.values:
            view, known = view_of(self._known(query, QUERY_FEATURES)), self._known(place)
            found = overlap(view, known)
            self._inliers.values[pair] = found.inliers
            self._magnification.values[pair] = found.log_magnification
        return self._magnification.values[pair]

    def keep(self) -> None:
        """Write down what was found since the last time."""
        self._inliers.keep()
        self._magnification.keep()

    def _known(self, shot: Shot, features: int = PLACE_FEATURES) -> KnownPlace:
        kept = self.keypoints(shot).best(features)
        nowhere = np.full((len(kept.points), 3), np.nan)
        return KnownPlace(kept.points, kept.descriptors, kept.size, nowhere, None)

    def _descriptor(self, shot: Shot) -> NDArray[np.float32]:
        path = self._descriptors / f"{name_of(shot)}.npy"
        if not path.exists():
            descriptor = self._encoder.encode([_image(shot)])[0]
            with replaced_file(path) as new, new.open("wb") as file:
                np.save(file, descriptor)
        kept: NDArray[np.float32] = np.load(path)
        return kept

    def _keypoints(self, shot: Shot) -> Keypoints:
        path = self._features / f"{name_of(shot)}.npz"
        if not path.exists():
            found = self._extractor.find([_image(shot)], QUERY_FEATURES)[0]
            values = descriptor_bytes(found.descriptors)
            with replaced_file(path) as new, new.open("wb") as file:
                np.savez(file, points=found.points, descriptors=values, size=found.size)
        with np.load(path) as kept:
            width, height = kept["size"].tolist()
            descriptors = unit_descriptors(kept["descriptors"])
            return Keypoints(kept["points"], descriptors, (width, height))

    @functools.cached_property
    def _extractor(self) -> FeatureExtractor:
        return FeatureExtractor("cpu")


class _KeptPairs:
    """Numbers of pairs of images, kept in a file that several processes write to."""

    def __init__(self, path: Path) -> None:
        self._path, self.values = path, self._read(path)
        self._known = len(self.values)

    def keep(self) -> None:
        """Write down the numbers that are new, beside those of others."""
        if len(self.values) > self._known:
            self.values |= self._read(self._path)
            with replaced_file(self._path) as new:
                new.write_text(json.dumps(self.values), encoding="utf-8")
            self._known = len(self.values)

    @staticmethod
    def _read(path: Path) -> dict[str, float]:
        if not path.exists():
            return {}
        kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return kept


def _name_of_pair(query: Shot, place: Shot) -> str:
    return f"{name_of(query)} {name_of(place)}"


def name_of(shot: Shot) -> str:
    """Return what an image is kept under: its folder and name, and its light."""
    light = "" if shot.seed is None else f" {shot.seed}"
    source = "/".join(shot.path.parts[-3:]) + light
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def _image(shot: Shot) -> Image:
    image = read_image(shot.path)
    return image if shot.seed is None else in_poor_light(image, shot.seed)
