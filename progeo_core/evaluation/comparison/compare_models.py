"""Compare models: a map of the same images by each, and the same queries to each map."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder, runtime_of
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ImageError, UsageError
from progeo_core.evaluation.comparison.kept_descriptors import describe_once
from progeo_core.evaluation.metrics import Evaluation, evaluate, protocol_json
from progeo_core.images.codec import Image, load_images
from progeo_core.inference.device import Device
from progeo_core.inference.feature_extractor import FeatureExtractor, shared_extractor
from progeo_core.localization.localizer import Localizer
from progeo_core.localization.localizer_settings import LEAST_VERIFICATION_MS, LocalizerSettings
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.map.build import build_map
from progeo_core.map.merge import read_places
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.progress import Advance, no_progress
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import Records
from progeo_core.verification.view_finder import DepthViewFinder

SCHEMA = 1
# Images that are timed, after one that is not.
_TIMED = 12
_COPY_BLOCK = 256

Rows = NDArray[np.float32]


class ComparedModel(NamedTuple):
    """Figures of one model.

    dimension: values of a descriptor. runs_in: what runs the model here, "" unknown.
    ms_per_image: processor time for one decoded image, on a GPU time. map_bytes: size of the map.
    single, verified: recalls at N (0-1) of single images, without and with the second stage.
    """

    model: str
    dimension: int
    runs_in: str
    ms_per_image: float
    map_bytes: int
    single: dict[int, float]
    verified: dict[int, float]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Figures of several models on one set.

    database, queries: usable images. with_positives: queries with an image of the database within
    the radius. skipped: why each image that cannot be used is left out. chance: recall of an image
    of the database taken at random.
    """

    radius_m: float
    database: int
    queries: int
    with_positives: int
    models: tuple[ComparedModel, ...]
    skipped: tuple[str, ...]
    chance: float

    def to_json(self) -> dict[str, Any]:
        """Return the figures by their documented JSON keys."""
        return {
            "schema": SCHEMA,
            "queries": self.queries,
            "database": self.database,
            "protocol": {
                **protocol_json(self.radius_m, self.with_positives),
                "verified": "single images, local features of three places compared",
            },
            "models": [_model_json(one) for one in self.models],
            "skipped": list(self.skipped),
        }


def count_steps(database: int, queries: int, models: int) -> int:
    """Return how far `compare_models` advances for so many images and models."""
    return database + models * (database + 2 * queries)


def compare_models(
    database: Records,
    queries: Records,
    encoders: Mapping[str, Encoder],
    radius_m: float,
    *,
    extractor: FeatureExtractor | None = None,
    advance: Advance = no_progress,
) -> Comparison:
    """Build a map of the database by each encoder, and ask each the queries as single images.

    encoders: by the names of their models. radius_m: distance within which an answer is right.
    extractor: see `PreparedMap`. `advance` counts to `count_steps`. Descriptors are kept
    for the next comparison (see `describe_once`). Raises `DataError` where no image can be used,
    and `UsageError` for a model whose descriptors are not normalised, or positions in degrees and
    in metres.
    """
    for name, encoder in encoders.items():
        if not encoder.fingerprint.normalized:
            raise UsageError(f"{name}: its descriptors are not normalised; import it without --raw")
    sample = _first_images(database.images)
    compared: list[ComparedModel] = []
    with tempfile.TemporaryDirectory(prefix="progeo-compare-") as folder:
        extractor = extractor or shared_extractor()
        maps = _Maps(Path(folder), database, DepthViewFinder(extractor))
        for name, encoder in encoders.items():
            path = maps.build(encoder, advance)
            asked = _Asked(queries, describe_once(encoder, queries.images, advance))
            found = _ask(path, encoder, asked, radius_m, extractor, advance)
            figures = ComparedModel(
                name,
                encoder.fingerprint.dimension,
                runtime_of(encoder),
                _ms_per_image(encoder, sample, extractor.device),
                path.stat().st_size,
                found.single.recall_at,
                found.verified.recall_at,
            )
            compared.append(figures)
    return Comparison(
        radius_m,
        found.single.database,
        found.single.queries,
        int(found.single.localizable.sum()),
        tuple(compared),
        (*maps.skipped, *found.skipped),
        found.single.chance,
    )


class _Maps:
    """Maps of one database by several models, one after another.

    skipped: why each image that cannot be used is in none of them.
    """

    def __init__(self, folder: Path, database: Records, finder: DepthViewFinder) -> None:
        """Keep the maps in a folder; local features are found once for all."""
        self._first, self._next = folder / "first.progeo", folder / "next.progeo"
        self._database, self._finder = database, finder
        self.skipped: tuple[str, ...] = ()

    def build(self, encoder: Encoder, advance: Advance) -> Path:
        """Build the map of the next model in the place of the last; return its file."""
        rows = describe_once(encoder, self._database.images, advance)
        if self._first.exists():
            self._next.unlink(missing_ok=True)
            _copy_map(self._first, self._next, encoder.fingerprint, rows)
            return self._next
        known = _KnownDescriptors(encoder.fingerprint, rows)
        source = FileSource(self._database)
        report = build_map(self._first, source, known, structure=self._finder, advance=advance)
        self.skipped = report.skipped
        return self._first


class _KnownDescriptors:
    """Encoder of images whose descriptors are known already, in their order."""

    def __init__(self, fingerprint: ModelFingerprint, rows: Rows) -> None:
        """Start from the descriptors [n, D] of all images, NaN for those that cannot be read."""
        self.fingerprint = fingerprint
        self._rows, self._next = _usable(rows), 0

    def encode(self, images: Sequence[Image]) -> Rows:
        """Return the next descriptors, one for each image."""
        start = self._next
        self._next += len(images)
        return self._rows[start : self._next]


class _Asked(NamedTuple):
    """Queries and their descriptors [q, D], NaN for those that cannot be used."""

    records: Records
    descriptors: Rows


class _Answered(NamedTuple):
    """Figures without and with the second stage, and why queries are skipped."""

    single: Evaluation
    verified: Evaluation
    skipped: tuple[str, ...]


def _ask(
    path: Path,
    encoder: Encoder,
    asked: _Asked,
    radius_m: float,
    extractor: FeatureExtractor,
    advance: Advance,
) -> _Answered:
    """Answer the queries from a map, each by itself, without and with the second stage."""
    with PlaceMap.open(path) as place_map:
        records = asked.records.to_local(place_map.datum)
        prepared = PreparedMap(place_map, PlaceIndex.open(place_map), extractor)
        single, verified = (
            Localizer(prepared, encoder, LocalizerSettings(sequence=False, verification_ms=ms))
            for ms in (0, LEAST_VERIFICATION_MS)
        )
        rows, skipped = [], []
        answers, checked = [], []
        for row, image in enumerate(load_images(records.images)):
            advance(1)
            if isinstance(image, ImageError):
                skipped.append(str(image))
                continue
            query = asked.descriptors[row], int(records.stamp_ns[row]), records.camera[row], image
            rows.append(row)
            answers.append(single.localize_descriptor(*query))
            checked.append(verified.localize_descriptor(*query))
        if not rows:
            raise DataError(f"none of {len(records)} query images can be used, first: {skipped[0]}")
        truth, database = records.position[rows], place_map.poses().position
        plain, second = (evaluate(one, truth, database, radius_m) for one in (answers, checked))
    return _Answered(plain, second, tuple(skipped))


def _copy_map(source: Path, target: Path, model: ModelFingerprint, rows: Rows) -> None:
    """Copy a map, with the descriptors [n, D] of another model for its places in their order."""
    descriptors = _usable(rows)
    with (
        PlaceMap.open(source) as first,
        PlaceMap.create(target, model, first.datum) as copy,
    ):
        if first.structure is not None:
            copy.set_structure(first.structure)
        table = first.places()
        for start in range(0, len(table.ids), _COPY_BLOCK):
            block = slice(start, start + _COPY_BLOCK)
            copy.append(read_places(first, table, table.ids[block]), descriptors[block])


def _usable(rows: Rows) -> Rows:
    return rows[~np.isnan(rows[:, 0])]


def _first_images(paths: Sequence[Path]) -> list[Image]:
    """Return the first images that can be read, as many as are timed and one."""
    readable = (one for one in load_images(paths) if not isinstance(one, ImageError))
    images = list(itertools.islice(readable, 1 + _TIMED))
    if not images:
        raise DataError(f"none of {len(paths)} images of the database can be used: {paths[0]}, ...")
    return images


def _ms_per_image(encoder: Encoder, images: Sequence[Image], device: Device) -> float:
    """Return the median time (ms) for one image, after one that is not counted."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times = []
    for image in images:
        started = clock()
        encoder.encode([image])
        times.append(1e3 * (clock() - started))
    return float(np.median(times[1:] or times))


def _model_json(model: ComparedModel) -> dict[str, Any]:
    figures: dict[str, Any] = model._asdict()
    single, verified = figures.pop("single"), figures.pop("verified")
    return figures | {
        "recall_at": {str(n): value for n, value in single.items()},
        "verified": {"recall_at": {str(n): value for n, value in verified.items()}},
    }
