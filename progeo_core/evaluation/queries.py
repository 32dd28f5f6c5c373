"""Answer images with known positions from a map, and say how often that was right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from progeo_core.descriptors.encoder import Encoder, Skipped, describe
from progeo_core.errors import DataError, ImageError
from progeo_core.evaluation.answers import Answers, DescribedImage, answer_drive
from progeo_core.evaluation.metric_poses import PoseComparison, compare_poses
from progeo_core.evaluation.metrics import Evaluation, evaluate
from progeo_core.images.codec import load_images
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.map.place_map import PlaceMap
from progeo_core.progress import Advance, no_progress
from progeo_core.records.records import Records

if TYPE_CHECKING:
    from progeo_core.inference.feature_extractor import FeatureExtractor


class QueryEvaluation(NamedTuple):
    """Figures, and why each image that was left out of them cannot be used.

    poses: errors of the full poses of the camera, None without a calibration.
    """

    evaluation: Evaluation
    skipped: tuple[str, ...]
    poses: PoseComparison | None = None


def evaluate_records(
    place_map: PlaceMap,
    records: Records,
    encoder: Encoder,
    radius_m: float,
    *,
    sequence: bool = False,
    verification_ms: int = LocalizerSettings.verification_ms,
    intrinsics: Intrinsics | None = None,
    extractor: FeatureExtractor | None = None,
    advance: Advance = no_progress,
) -> QueryEvaluation:
    """Localize every image of `records` and compare with its position.

    radius_m: distance within which an answer is right. sequence: the records are one traverse in
    order, and the place filter answers them, too. verification_ms: as `LocalizerSettings` has it.
    intrinsics: of the camera, for full poses where the map has landmarks.
    extractor: see `PreparedMap`. `advance` counts images, skipped ones included.
    Raises `UsageError` for positions in degrees and a map without datum, `ModelMismatchError` for a
    map of another model, and `DataError` where no image at all can be used.
    """
    answers, truth = answer_records(
        place_map,
        records,
        encoder,
        sequence=sequence,
        verification_ms=verification_ms,
        intrinsics=intrinsics,
        extractor=extractor,
        advance=advance,
    )
    evaluation = evaluate(
        answers.single,
        truth.position,
        place_map.poses().position,
        radius_m,
        answers.sequence if sequence else None,
    )
    poses = None
    if intrinsics is not None:
        poses = compare_poses(answers.single, truth.position, truth.orientation)
    return QueryEvaluation(evaluation, tuple(answers.skipped), poses)


def answer_records(
    place_map: PlaceMap,
    records: Records,
    encoder: Encoder,
    *,
    sequence: bool = False,
    verification_ms: int = LocalizerSettings.verification_ms,
    intrinsics: Intrinsics | None = None,
    extractor: FeatureExtractor | None = None,
    advance: Advance = no_progress,
) -> tuple[Answers, Records]:
    """Localize every image of `records`; options and errors as for `evaluate_records`.

    Returns the answers [n] and the records of their images, in metres of the map.
    """
    local = records.to_local(place_map.datum)
    answers = answer_drive(
        place_map,
        encoder,
        described_records(local, encoder),
        sequence=sequence,
        verification_ms=verification_ms,
        intrinsics=intrinsics,
        extractor=extractor,
        advance=advance,
    )
    if not answers.rows:
        raise DataError(
            f"none of {len(local)} query images can be used, first: {answers.skipped[0]}"
        )
    return answers, local.select(np.array(answers.rows, np.int64))


def described_records(records: Records, encoder: Encoder) -> Iterator[DescribedImage | ImageError]:
    """Yield the images of records with their descriptors, described in batches."""
    for outcome in describe(encoder, load_images(records.images), records.images):
        if isinstance(outcome, Skipped):
            yield outcome.error
        else:
            row = outcome.index
            stamp_ns, camera = int(records.stamp_ns[row]), records.camera[row]
            yield DescribedImage(
                row,
                outcome.image,
                stamp_ns,
                camera,
                outcome.descriptor,
                odometry=records.odometry[row],
                traverse=records.traverse[row],
            )
