"""Places of a map that look like what words say, and whether anything there does.

Texts differ in how high they score everywhere, so a score alone does not tell whether what is
searched is there at all. Scores of texts about things that are in no such map do: the chance of a
place is the share of these texts, and the words themselves, that some place of the map fits as well
(a conformal p-value; Vovk, Gammerman, Shafer 2005, "Algorithmic Learning in a Random World").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import Standardization, sample_of
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import FloatArray
from progeo_core.localization.absent_things import ABSENT_THINGS
from progeo_core.localization.map_spacing import measure_spacing
from progeo_core.map.place_map import PlaceMap

if TYPE_CHECKING:
    from progeo_core.model.word_encoder import WordEncoder

# Of the JSON document.
SCHEMA = 1
# Below this chance a place counts as found.
MAX_CHANCE = 0.05
# Places nearer than so many spacings of the map show the same.
_APART_SPACINGS = 3.0
_BLOCK = 4096
_MIN_SPREAD = 1e-6

Rows = NDArray[np.float32]


class FoundPlace(NamedTuple):
    """Place that looks like the words.

    score: cosine of its descriptor with the words. chance: how probable such a score is where
    nothing in the map is what the words say.
    """

    place_id: int
    score: float
    chance: float
    position: FloatArray
    yaw_rad: float
    image: str


class FoundPlaces(NamedTuple):
    """Distinct places, best first; here: whether what the words say is in the map at all."""

    places: tuple[FoundPlace, ...]
    here: bool


class WordFinder:
    """Finder of places by words, with the text side of the model that made the maps."""

    def __init__(self, encoder: WordEncoder) -> None:
        """Take a text side, and describe what is in no map, once for all searches."""
        self._encoder = encoder
        self._others = encoder.encode(ABSENT_THINGS)

    def find(self, place_map: PlaceMap, words: str, count: int) -> FoundPlaces:
        """Return the `count` places that look most like words.

        Raises `UsageError` where the words are none, `ModelMismatchError` for a map of another
        model, and `DataError` for a map without places.
        """
        if not words.strip():
            raise UsageError("WORDS is empty: say what to look for")
        place_map.require_model(self._encoder.fingerprint)
        return find_places(place_map, self._encoder.encode([words])[0], self._others, count)


def found_document(
    found: FoundPlaces, map_path: Path, words: str, pictures: Sequence[Path | None] = ()
) -> dict[str, Any]:
    """Return what was found for JSON; pictures: file of each place, if there are any."""
    files = pictures or [None] * len(found.places)
    places = [_place_document(*pair) for pair in zip(found.places, files, strict=True)]
    said = {"schema": SCHEMA, "map": str(map_path), "words": words, "here": found.here}
    return {**said, "texts": len(ABSENT_THINGS), "places": places}


def _place_document(place: FoundPlace, picture: Path | None) -> dict[str, Any]:
    x_m, y_m, z_m = place.position.tolist()
    return {
        "place_id": place.place_id,
        "score": place.score,
        "chance": place.chance,
        "x_m": x_m,
        "y_m": y_m,
        "z_m": z_m,
        "yaw_rad": None if math.isnan(place.yaw_rad) else place.yaw_rad,
        "image": place.image,
        "picture": None if picture is None else str(picture),
    }


class _Scores(NamedTuple):
    """Scores [n] of the words at every place, and what all texts [t] score in the map.

    mean, spread, best: [t] over the places; the words come first.
    """

    words: NDArray[np.float32]
    mean: FloatArray
    spread: FloatArray
    best: FloatArray


def find_places(place_map: PlaceMap, words: Rows, others: Rows, count: int) -> FoundPlaces:
    """Return the `count` places that look most like words, far enough apart to be different ones.

    words: [D] of unit length, in the space of the model's descriptors. others: [t, D] texts about
    what is not in the map. Raises `DataError` for a map without places.
    """
    places = place_map.poses()
    if not len(places.ids):
        raise DataError(f"{place_map.path}: the map holds no places; build it first")
    scores = _score(place_map, np.vstack([words[None], others]))
    excess = (scores.best - scores.mean) / scores.spread
    chosen = _distinct(scores.words, places.position, _apart_m(place_map), count)
    ids = places.ids[chosen].tolist()
    found = []
    for row, place_id, image in zip(chosen, ids, place_map.images(ids), strict=True):
        own = (float(scores.words[row]) - scores.mean[0]) / scores.spread[0]
        chance = float(1 + np.sum(excess[1:] >= own)) / len(excess)
        position, yaw = places.position[row], float(places.yaw_rad[row])
        found.append(FoundPlace(place_id, float(scores.words[row]), chance, position, yaw, image))
    return FoundPlaces(tuple(found), found[0].chance <= MAX_CHANCE)


def _score(place_map: PlaceMap, texts: Rows) -> _Scores:
    """Compare all places with all texts [t, D], a block of places at a time."""
    kept = place_map.shortened(texts).astype(np.float32)
    total, squares = np.zeros(len(texts)), np.zeros(len(texts))
    best = np.full(len(texts), -np.inf)
    words = []
    for _, descriptors in place_map.descriptor_blocks(_BLOCK):
        scores = descriptors.astype(np.float32) @ kept.T
        words.append(scores[:, 0])
        total += scores.sum(axis=0)
        squares += np.square(scores, dtype=np.float64).sum(axis=0)
        best = np.maximum(best, scores.max(axis=0))
    own = np.concatenate(words)
    mean = total / len(own)
    spread = np.sqrt(np.maximum(squares / len(own) - mean**2, 0.0))
    return _Scores(own, mean, np.maximum(spread, _MIN_SPREAD), best)


def _apart_m(place_map: PlaceMap) -> float:
    places = place_map.poses()
    standardization = Standardization.of_descriptors(place_map.descriptors(sample_of(places.ids)))
    return _APART_SPACINGS * measure_spacing(places, place_map, standardization).spacing_m


def _distinct(scores: Rows, position: FloatArray, apart_m: float, count: int) -> list[int]:
    """Return the rows of the best places that are farther from each other than `apart_m`."""
    chosen: list[int] = []
    left = scores.astype(np.float64)
    while len(chosen) < count:
        row = int(np.argmax(left))
        if left[row] == -math.inf:
            break
        chosen.append(row)
        left[np.linalg.norm(position - position[row], axis=1) <= apart_m] = -math.inf
    return chosen
