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
from progeo_core.verification.epipolar_inliers import count_inliers
from progeo_core.verification.place_feature_cache import KnownPlace
from progeo_core.verification.query_view import QueryView
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
        self._features, self._pairs = folder / "features", folder / "inliers.json"
        self._descriptors.mkdir(parents=True, exist_ok=True)
        self._features.mkdir(exist_ok=True)
        self._inliers = self._kept_inliers()
        self._counted = len(self._inliers)
        self.keypoints = functools.lru_cache(_IN_MEMORY)(self._keypoints)

    def descriptors(self, shots: Sequence[Shot]) -> NDArray[np.float32]:
        """Return the descriptors [n, D] of images."""
        return np.stack([self._descriptor(shot) for shot in shots])

    def inliers(self, query: Shot, place: Shot) -> float:
        """Return how many local features an image shares with that of a place."""
        pair = f"{name_of(query)} {name_of(place)}"
        if pair not in self._inliers:
            found, kept = self.keypoints(query), self.keypoints(place).best(PLACE_FEATURES)
            nowhere = np.full((len(kept.points), 3), np.nan)
            view = QueryView(np.zeros((1, 1, 3), np.uint8), None, lambda *_: found)
            known = KnownPlace(kept.points, kept.descriptors, kept.size, nowhere, None)
            self._inliers[pair] = count_inliers(view, known)
        return float(self._inliers[pair])

    def keep(self) -> None:
        """Write down the inliers that were counted since the last time."""
        if len(self._inliers) > self._counted:
            # Other processes count, too.
            self._inliers |= self._kept_inliers()
            with replaced_file(self._pairs) as new:
                new.write_text(json.dumps(self._inliers), encoding="utf-8")
            self._counted = len(self._inliers)

    def _kept_inliers(self) -> dict[str, int]:
        if not self._pairs.exists():
            return {}
        kept: dict[str, int] = json.loads(self._pairs.read_text(encoding="utf-8"))
        return kept

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


def name_of(shot: Shot) -> str:
    """Return what an image is kept under: its folder and name, and its light."""
    light = "" if shot.seed is None else f" {shot.seed}"
    source = "/".join(shot.path.parts[-3:]) + light
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def _image(shot: Shot) -> Image:
    image = read_image(shot.path)
    return image if shot.seed is None else in_poor_light(image, shot.seed)
