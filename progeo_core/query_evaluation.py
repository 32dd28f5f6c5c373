"""Answer images with known positions from a map, and say how often that was right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from progeo_core.encoder import Encoder, Skipped, describe
from progeo_core.errors import DataError, ImageError
from progeo_core.evaluation import Evaluation, evaluate
from progeo_core.images import Image, load_images
from progeo_core.localizer import Localization, Localizer, LocalizerSettings
from progeo_core.place_index import PlaceIndex
from progeo_core.place_map import PlaceMap
from progeo_core.progress import Advance, no_progress
from progeo_core.records import Records


class QueryEvaluation(NamedTuple):
    """Hold the figures, and why each image that was left out of them cannot be used."""

    evaluation: Evaluation
    skipped: tuple[str, ...]


class _Answered(NamedTuple):
    """Hold which rows were answered, by single image and (if asked for) as a sequence."""

    rows: list[int]
    single: list[Localization]
    sequence: list[Localization]
    skipped: list[str]


def evaluate_records(
    place_map: PlaceMap,
    records: Records,
    encoder: Encoder,
    radius_m: float,
    *,
    sequence: bool = False,
    advance: Advance = no_progress,
) -> QueryEvaluation:
    """Localize every image of `records` and compare with its position.

    radius_m: distance within which an answer is right. sequence: the records are one traverse in
    order, and the place filter answers them, too. `advance` counts images, skipped ones included.
    Raises `UsageError` for positions in degrees and a map without datum, `ModelMismatchError` for a
    map of another model, and `DataError` where no image at all can be used.
    """
    local = records.to_local(place_map.datum)
    answered = _answer(place_map, local, load_images(local.images), encoder, sequence, advance)
    if not answered.rows:
        raise DataError(
            f"none of {len(local)} query images can be used, first: {answered.skipped[0]}"
        )
    evaluation = evaluate(
        answered.single,
        local.position[answered.rows],
        place_map.places().position,
        radius_m,
        answered.sequence if sequence else None,
    )
    return QueryEvaluation(evaluation, tuple(answered.skipped))


def _answer(
    place_map: PlaceMap,
    records: Records,
    images: Iterable[Image | ImageError],
    encoder: Encoder,
    sequence: bool,
    advance: Advance,
) -> _Answered:
    index = PlaceIndex.open(place_map)
    single = Localizer(place_map, index, encoder)
    follower = Localizer(place_map, index, encoder, LocalizerSettings(sequence=True))
    answered = _Answered([], [], [], [])
    for outcome in describe(encoder, images):
        if isinstance(outcome, Skipped):
            answered.skipped.append(str(outcome.error))
        else:
            row = outcome.index
            stamp_ns, camera = int(records.stamp_ns[row]), records.camera[row]
            query = outcome.descriptor, stamp_ns, camera, outcome.image
            answered.rows.append(row)
            answered.single.append(single.localize_descriptor(*query))
            if sequence:
                answered.sequence.append(follower.localize_descriptor(*query))
        advance(1)
    return answered
