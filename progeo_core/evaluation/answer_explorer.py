"""The part of a report that can be asked: every answer on a plan and over time, with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from progeo_core.evaluation.answer_table import AnswerRow
from progeo_core.evaluation.map_view.pictures import Shrinking, small_picture
from progeo_core.evaluation.replay import Replay
from progeo_core.evaluation.self_contained import embed_bytes
from progeo_core.geo import FloatArray
from progeo_core.images.codec import decode_image
from progeo_core.localization.answer import Localization
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.map.place_map import PlaceMap

IntArray = NDArray[np.int64]

# So many answers have pictures at most, and of many they are smaller: about 9 MB in any case.
_MAX_PICTURED = 1500
_SIZES = ((150, Shrinking(320, 70)), (600, Shrinking(160, 60)), (_MAX_PICTURED, Shrinking(96, 45)))
# More places than this are thinned on the plan.
_MAX_PLACES = 20_000


def explorer_data(replay: Replay, rows: Sequence[AnswerRow]) -> dict[str, Any]:
    """Return what the page shows of the answers with ground truth, and their pictures.

    rows: of `answer_rows`.
    """
    source = replay.source
    images = replay.rows[replay.evaluated]
    truth = source.truth.position[images]
    pictured = _pictured(replay)
    pictures = _Pictures(replay, pictured)
    places = source.places.position
    step = -(-len(places) // _MAX_PLACES)
    seconds = (source.stamp_ns[images] - source.stamp_ns.min()) * 1e-9
    answers_per_run = len(replay.rows)
    return {
        "radius": source.radius_m,
        "threshold": LocalizerSettings.min_confidence,
        "timed": source.is_timed,
        "time": _list(seconds if source.is_timed else np.asarray(images + 1.0, np.float64), 3),
        "x": _list(truth[:, 0]),
        "y": _list(truth[:, 1]),
        "places": {"x": _list(places[::step, 0]), "y": _list(places[::step, 1])},
        "image": [rows[one].image for one in replay.evaluated],
        "picture": pictures.of_queries,
        "runs": [
            _run(
                name,
                truth,
                [replay.answers[name][one] for one in replay.evaluated],
                [rows[number * answers_per_run + one] for one in replay.evaluated],
                pictures,
            )
            for number, name in enumerate(replay.evaluation.runs)
        ],
        "pictures": pictures.files,
    }


def _run(
    name: str,
    truth: FloatArray,
    answers: Sequence[Localization],
    rows: Sequence[AnswerRow],
    pictures: _Pictures,
) -> dict[str, Any]:
    """Return the columns of one run: its answers, and the most similar places beside them."""
    position = np.stack([answer.estimate.position[:2] for answer in answers])
    place = np.stack(
        [answer.matches[0].position[:2] if answer.matches else [np.nan] * 2 for answer in answers]
    )
    return {
        "name": name,
        "answer": _points(position, truth),
        "place": _points(place, truth),
        "error_deg": [row.error_deg for row in rows],
        "on_map": [row.on_map for row in rows],
        "confidence": [row.confidence for row in rows],
        "accepted": [row.accepted for row in rows],
        "state": [row.state for row in rows],
        "reason": [row.reason for row in rows],
        "method": [row.method for row in rows],
        "landmarks": [row.landmarks for row in rows],
        "match": [row.matches[0]["image"] if row.matches else "" for row in rows],
        "similarity": [row.matches[0]["similarity"] if row.matches else None for row in rows],
        "picture": pictures.of_matches(name),
    }


def _points(position: FloatArray, truth: FloatArray) -> dict[str, list[float | None]]:
    """Return positions [e, 2] and how far each is from the truth, horizontally."""
    error = np.linalg.norm(position - truth[:, :2], axis=1)
    return {"x": _list(position[:, 0]), "y": _list(position[:, 1]), "error": _list(error)}


def _list(values: FloatArray, digits: int = 3) -> list[float | None]:
    """Return numbers for JSON, rounded; None where one is not finite."""
    return [round(one, digits) if np.isfinite(one) else None for one in values.tolist()]


def _pictured(replay: Replay) -> IntArray:
    """Return which evaluated answers have pictures: wrong ones that were accepted, then evenly."""
    count = len(replay.evaluated)
    if count <= _MAX_PICTURED:
        return np.arange(count)
    wrong = [run.accepted & ~run.right for run in replay.evaluation.runs.values()]
    first = np.flatnonzero(np.any(wrong, axis=0))[: _MAX_PICTURED // 2]
    evenly = np.linspace(0, count - 1, _MAX_PICTURED - len(first)).astype(np.int64)
    return np.union1d(first, evenly)


class _Pictures:
    """Small pictures of some queries and of the places that explain their answers.

    files: base64 of WebPs, each place once. of_queries: [e] numbers of files, -1 without any.
    """

    def __init__(self, replay: Replay, pictured: IntArray) -> None:
        self.files: list[str] = []
        self.of_queries = [-1] * len(replay.evaluated)
        self._replay, self._pictured = replay, pictured
        self._shrinking = next(size for most, size in _SIZES if len(pictured) <= most)
        self._places: dict[int, int] = {}
        self._add_queries()
        self._add_places()

    def of_matches(self, run: str) -> list[int]:
        """Return the picture [e] of the place that explains each answer of a run, -1 without."""
        answers = self._replay.answers[run]
        found = [-1] * len(self._replay.evaluated)
        for one in self._pictured:
            place = answers[self._replay.evaluated[one]].shown_place
            found[one] = -1 if place is None else self._places.get(place, -1)
        return found

    def _add_queries(self) -> None:
        images = self._replay.rows[self._replay.evaluated]
        number = {int(images[one]): int(one) for one in self._pictured}
        for row, image in self._replay.source.read_images(set(number)):
            self.of_queries[number[row]] = self._add(small_picture(image, self._shrinking))

    def _add_places(self) -> None:
        chosen = self._replay.evaluated[self._pictured]
        shown = {
            answers[one].shown_place for answers in self._replay.answers.values() for one in chosen
        }
        with PlaceMap.open(self._replay.source.map_path) as place_map:
            for place in sorted(one for one in shown if one is not None):
                stored = place_map.thumbnail(place)
                if stored is not None:
                    image = decode_image(stored, f"place {place}", self._shrinking.side)
                    self._places[place] = self._add(small_picture(image, self._shrinking))

    def _add(self, file: bytes) -> int:
        self.files.append(embed_bytes(file))
        return len(self.files) - 1
