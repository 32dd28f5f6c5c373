"""Answer images with known positions from a map, and say how often that was right."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from progeo_core.descriptors.encoder import Encoder, Skipped, describe
from progeo_core.errors import DataError
from progeo_core.evaluation.metrics import Evaluation, evaluate
from progeo_core.geo import FloatArray
from progeo_core.images.codec import load_images
from progeo_core.localization.answer import Localization
from progeo_core.localization.localizer import Localizer, LocalizerSettings
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.progress import Advance, no_progress
from progeo_core.records.records import Records


class QueryEvaluation(NamedTuple):
    """Hold the figures, and why each image that was left out of them cannot be used."""

    evaluation: Evaluation
    skipped: tuple[str, ...]


class Answered(NamedTuple):
    """Hold which records were answered, by single image and (if asked for) as a sequence.

    position: [n, 3] metres, the truth. radius_m: what the confidences are about.
    """

    rows: list[int]
    single: list[Localization]
    sequence: list[Localization]
    skipped: list[str]
    position: FloatArray
    radius_m: float


def evaluate_records(
    place_map: PlaceMap,
    records: Records,
    encoder: Encoder,
    radius_m: float,
    *,
    sequence: bool = False,
    geometric_checks: int = 0,
    advance: Advance = no_progress,
) -> QueryEvaluation:
    """Localize every image of `records` and compare with its position.

    radius_m: distance within which an answer is right. sequence: the records are one traverse in
    order, and the place filter answers them, too. geometric_checks: as `LocalizerSettings` has it.
    `advance` counts images, skipped ones included.
    Raises `UsageError` for positions in degrees and a map without datum, `ModelMismatchError` for a
    map of another model, and `DataError` where no image at all can be used.
    """
    answered = answer_records(
        place_map,
        records,
        encoder,
        sequence=sequence,
        geometric_checks=geometric_checks,
        advance=advance,
    )
    evaluation = evaluate(
        answered.single,
        answered.position,
        place_map.poses().position,
        radius_m,
        answered.sequence if sequence else None,
    )
    return QueryEvaluation(evaluation, tuple(answered.skipped))


def answer_records(
    place_map: PlaceMap,
    records: Records,
    encoder: Encoder,
    *,
    sequence: bool = False,
    geometric_checks: int = 0,
    advance: Advance = no_progress,
) -> Answered:
    """Localize every image of `records`; options and errors as for `evaluate_records`."""
    local = records.to_local(place_map.datum)
    index = PlaceIndex.open(place_map)
    one = LocalizerSettings(geometric_checks=geometric_checks)
    localizer = Localizer(place_map, index, encoder, one)
    follower = Localizer(place_map, index, encoder, dataclasses.replace(one, sequence=True))
    rows: list[int] = []
    single: list[Localization] = []
    followed: list[Localization] = []
    skipped: list[str] = []
    for outcome in describe(encoder, load_images(local.images)):
        if isinstance(outcome, Skipped):
            skipped.append(str(outcome.error))
        else:
            row = outcome.index
            stamp_ns, camera = int(local.stamp_ns[row]), local.camera[row]
            query = outcome.descriptor, stamp_ns, camera, outcome.image
            rows.append(row)
            single.append(localizer.localize_descriptor(*query))
            if sequence:
                followed.append(follower.localize_descriptor(*query))
        advance(1)
    if not rows:
        raise DataError(f"none of {len(local)} query images can be used, first: {skipped[0]}")
    return Answered(rows, single, followed, skipped, local.position[rows], localizer.place_radius_m)
