"""Replay images against a map, offline through the localizer: a bag, a table, a folder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from progeo_core.bags.camera_info import calibration_in
from progeo_core.bags.odometry_topic import odometry_at
from progeo_core.bags.reader import Bag, BagImage
from progeo_core.descriptors.encoder import Encoder, require_finite
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ImageError, UsageError
from progeo_core.evaluation.answers import DescribedImage, answer_drive
from progeo_core.evaluation.metric_poses import PoseComparison, compare_poses
from progeo_core.evaluation.metrics import Evaluation, evaluate
from progeo_core.evaluation.queries import described_records
from progeo_core.geo import Datum, FloatArray, Frame, enu_from_wgs84
from progeo_core.images.codec import Image, load_images
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.answer import Localization
from progeo_core.localization.consensus import usual_radius_of
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.map.place_map import PlaceMap, PlaceTable
from progeo_core.poses.camera_pose import yaw_of
from progeo_core.poses.pose_track import MAX_POSE_GAP_S, PosesAt, PoseTrack
from progeo_core.progress import Advance, no_progress
from progeo_core.records.records import Records

if TYPE_CHECKING:
    from progeo_core.inference.feature_extractor import FeatureExtractor


@dataclasses.dataclass(frozen=True, eq=False)
class ReplayInput:
    """Images with their ground truth, and the map that answers them.

    queries: bag, table or folder that the images are from. records: of the images where they are
    files, None for those of a bag. stamp_ns: [n] of every image, 0 where unknown. truth: [n] in the
    map's metres, NaN where unknown. duration_s: from the first image to the last. orientation:
    [n, 4] true quaternions of the camera's optical axes, NaN where unknown. intrinsics: of the
    camera, None unknown. odometry: [n, 3] x, y (m) and yaw (rad) of the robot in the frame of its
    odometry, None without any, NaN unknown.
    """

    queries: Path
    map_path: Path
    image_topic: str
    ground_truth_topic: str
    radius_m: float
    stamp_ns: NDArray[np.int64]
    truth: PosesAt
    places: PlaceTable
    datum: Datum | None
    model: ModelFingerprint
    orientation: FloatArray
    intrinsics: Intrinsics | None = None
    records: Records | None = None
    odometry: FloatArray | None = None

    @property
    def images(self) -> int:
        """Return the number of images."""
        return len(self.stamp_ns)

    @property
    def is_timed(self) -> bool:
        """Whether the images have stamps that tell one from another."""
        return bool((self.stamp_ns > 0).all()) and len(set(self.stamp_ns.tolist())) > 1

    def image_name(self, row: int) -> str:
        """Return the file of an image, or its topic and stamp where it is in a bag."""
        if self.records is None:
            return f"{self.image_topic}@{self.stamp_ns[row]}"
        return str(self.records.images[row])

    def taken(self) -> Iterator[BagImage]:
        """Yield all images in full; those of files have the stamps and cameras of their records."""
        if self.records is None:
            with Bag(self.queries) as bag:
                yield from bag.images(self.image_topic)
        else:
            stamps, cameras = self.records.stamp_ns.tolist(), self.records.camera
            images = load_images(self.records.images)
            for image, stamp_ns, camera in zip(images, stamps, cameras, strict=True):
                yield BagImage(stamp_ns, stamp_ns, image, camera)

    def odometry_of(self, row: int) -> FloatArray | None:
        """Return the row of the odometry [3] of an image, None without any."""
        return None if self.odometry is None else self.odometry[row]

    def read_images(self, rows: set[int]) -> Iterator[tuple[int, Image]]:
        """Yield some images again with their rows, ascending; those that fail are left out."""
        if self.records is None:
            with Bag(self.queries) as bag:
                taken = bag.images(self.image_topic, rows)
                yield from _usable(rows, (one.image for one in taken))
        else:
            files = self.records.select(np.array(sorted(rows), np.int64)).images
            yield from _usable(rows, load_images(files))

    @property
    def duration_s(self) -> float:
        """Return the time from the first image to the last."""
        return float(self.stamp_ns.max() - self.stamp_ns.min()) * 1e-9


def _usable(rows: set[int], images: Iterable[Image | ImageError]) -> Iterator[tuple[int, Image]]:
    for row, image in zip(sorted(rows), images, strict=False):
        if not isinstance(image, ImageError):
            yield row, image


@dataclasses.dataclass(frozen=True, eq=False)
class Replay:
    """Outcome of every image.

    rows: [a] which image each answer belongs to, ascending. localizations, latency_ms: [a]; answers
    are those that the node would publish: of a sequence, unless single images were asked for.
    dropped_by: number of images without an answer, by cause; with the answers they are all images.
    evaluation: figures over the answers with ground truth, which `evaluated` [e] indexes. poses:
    errors of their full poses, None without a calibration. single: [a] answers to the same images
    by themselves, None where there are no others. skipped: why each image without an answer cannot
    be used, where that is known.
    """

    source: ReplayInput
    mode: Literal["offline", "live"]
    rows: NDArray[np.int64]
    localizations: tuple[Localization, ...]
    latency_ms: FloatArray
    dropped_by: Mapping[str, int]
    evaluated: NDArray[np.int64]
    evaluation: Evaluation
    poses: PoseComparison | None = None
    single: tuple[Localization, ...] | None = None
    skipped: tuple[str, ...] = ()

    @property
    def answers(self) -> dict[str, tuple[Localization, ...]]:
        """Return the answers [a] of every run, by the names that `evaluation.runs` has."""
        if self.single is None:
            return dict.fromkeys(self.evaluation.runs, self.localizations)
        return dict(zip(self.evaluation.runs, (self.single, self.localizations), strict=True))

    @property
    def answered(self) -> int:
        """Return the number of answered images."""
        return len(self.rows)

    @property
    def has_full_poses(self) -> bool:
        """Whether landmarks told the pose of any image with ground truth."""
        return self.poses is not None and bool(self.poses.full.answered.any())

    @property
    def dropped(self) -> int:
        """Return the number of images without an answer."""
        return sum(self.dropped_by.values())


def read_input(
    bag_path: Path,
    map_path: Path,
    image_topic: str,
    ground_truth_topic: str,
    radius_m: float | None = None,
    max_pose_gap_s: float = MAX_POSE_GAP_S,
    *,
    calibration: Intrinsics | None = None,
    camera_poses: bool = False,
    odometry_topic: str | None = None,
) -> ReplayInput:
    """Read stamps, ground truth and places; nothing is decoded and no model is needed.

    radius_m: distance within which an answer is right, None for what confidences in this map are
    about. max_pose_gap_s: an image has ground truth if
    there are poses on either side within this time (s). calibration: of the camera; without it
    `camera_info` beside the image topic is read. camera_poses: the ground truth is that of the
    camera's optical frame, so that its rotation is known. odometry_topic: moves the sequence, as
    it moves the node's. Raises `DataError` for a bag or map that
    cannot be read, topics that are absent or of another kind, ground truth in degrees with a map
    without datum, and where no image has ground truth.
    """
    with PlaceMap.open(map_path) as place_map:
        places, datum, model = place_map.places(), place_map.datum, place_map.fingerprint
    with Bag(bag_path) as bag:
        stamps = bag.stamps(image_topic)
        track = bag.pose_track(ground_truth_topic)
        truth = track.at(stamps, max_pose_gap_s)
        orientation = np.full((len(stamps), 4), np.nan)
        if camera_poses:
            bag.require_orientation(track, ground_truth_topic)
            orientation = track.orientation_at(stamps, max_pose_gap_s)
            truth = truth._replace(yaw_rad=yaw_of(orientation))
        intrinsics = calibration or calibration_in(bag, image_topic)
        odometry = None if odometry_topic is None else odometry_at(bag, odometry_topic, stamps)
    truth = _in_map_metres(track, truth, datum, map_path)
    if not np.isfinite(truth.position[:, :2]).all(axis=1).any():
        raise DataError(
            f"{bag_path}: no image of '{image_topic}' has a pose of '{ground_truth_topic}' within"
            f" {max_pose_gap_s:g} s on either side; both must be stamped by the same clock, and"
            " --max-pose-gap takes poses that come seldom"
        )
    return ReplayInput(
        bag_path,
        map_path,
        image_topic,
        ground_truth_topic,
        _radius(places, radius_m),
        stamps,
        truth,
        places,
        datum,
        model,
        orientation,
        intrinsics,
        odometry=odometry,
    )


def _radius(places: PlaceTable, given_m: float | None) -> float:
    if given_m is not None:
        return given_m
    return usual_radius_of(places.position)


def records_input(
    path: Path,
    map_path: Path,
    records: Records,
    radius_m: float | None = None,
    calibration: Intrinsics | None = None,
) -> ReplayInput:
    """Return the input of a replay of image files; arguments as `read_input` has them.

    path: where the records are from. Raises `UsageError` for positions in degrees and a map without
    datum.
    """
    with PlaceMap.open(map_path) as place_map:
        places, datum, model = place_map.places(), place_map.datum, place_map.fingerprint
    if records.frame is not Frame.LOCAL and datum is None:
        raise UsageError(_without_datum(map_path))
    local = records.to_local(datum)
    return ReplayInput(
        path,
        map_path,
        "",
        "",
        _radius(places, radius_m),
        local.stamp_ns,
        PosesAt(local.position, local.yaw_rad),
        places,
        datum,
        model,
        local.orientation,
        calibration,
        local,
        local.odometry,
    )


def replay_offline(
    source: ReplayInput,
    encoder: Encoder,
    described: Iterable[DescribedImage | ImageError] | None = None,
    *,
    sequence: bool = LocalizerSettings.sequence,
    verification_ms: int = LocalizerSettings.verification_ms,
    extractor: FeatureExtractor | None = None,
    advance: Advance = no_progress,
) -> Replay:
    """Answer every image, one after the other, singly and as a sequence.

    described: the images in their order, where others have described them; None lets the encoder do
    so. sequence: whether to follow; else images are answered by themselves only. verification_ms:
    as `LocalizerSettings` has it. extractor: see `PreparedMap`.
    Latency is the time from a decoded image to its answer. Images that cannot be used are dropped.
    """
    with PlaceMap.open(source.map_path) as place_map:
        answers = answer_drive(
            place_map,
            encoder,
            _described(source, encoder) if described is None else described,
            sequence=sequence,
            intrinsics=source.intrinsics,
            extractor=extractor,
            verification_ms=verification_ms,
            advance=advance,
        )
    published = answers.sequence if sequence else answers.single
    latency_ms = [sum(answer.seconds) * 1e3 for answer in published]
    dropped = {"failed": len(answers.skipped)}
    return replay_of(
        source,
        "offline",
        answers.rows,
        published,
        latency_ms,
        dropped,
        follows=sequence,
        single=answers.single if sequence else None,
        skipped=answers.skipped,
    )


def _described(source: ReplayInput, encoder: Encoder) -> Iterator[DescribedImage | ImageError]:
    """Return the images: those of a bag are described one by one, as a robot's come."""
    if source.records is not None:
        return described_records(source.records, encoder)
    return _described_bag(source, encoder)


def _described_bag(source: ReplayInput, encoder: Encoder) -> Iterator[DescribedImage | ImageError]:
    for row, taken in enumerate(source.taken()):
        if isinstance(taken.image, ImageError):
            yield taken.image
            continue
        started = time.perf_counter()
        descriptor = encoder.encode([taken.image])[0]
        encode_s = time.perf_counter() - started
        try:
            require_finite(descriptor)
        except ImageError as error:
            yield ImageError(f"{source.image_topic}@{taken.stamp_ns}: {error}")
            continue
        yield DescribedImage(
            row,
            taken.image,
            taken.stamp_ns,
            taken.camera,
            descriptor,
            encode_s,
            source.odometry_of(row),
        )


def replay_of(
    source: ReplayInput,
    mode: Literal["offline", "live"],
    rows: list[int],
    localizations: list[Localization],
    latency_ms: list[float],
    dropped_by: Mapping[str, int],
    *,
    follows: bool,
    single: list[Localization] | None = None,
    skipped: Sequence[str] = (),
) -> Replay:
    """Evaluate the answers to images `rows`; fields as `Replay` has them.

    follows: whether they are of a sequence. single: answers to the same images by themselves, to
    stand beside them. skipped: why the dropped ones are. Raises `DataError` where no answer has
    ground truth.
    """
    answered = np.array(rows, np.int64)
    truth = source.truth.position[answered]
    evaluated = np.flatnonzero(np.isfinite(truth[:, :2]).all(axis=1))
    if not evaluated.size:
        raise DataError(
            f"{source.queries}: none of {source.images} images was answered and has ground truth,"
            f" so there is nothing to report (dropped: {_readable(dropped_by)})"
            + (f"; first: {skipped[0]}" if skipped else "")
        )
    shown = [localizations[one] for one in evaluated]
    alone = None if single is None else [single[one] for one in evaluated]
    evaluation = evaluate(
        alone or shown,
        truth[evaluated],
        source.places.position,
        source.radius_m,
        shown if alone else None,
        follows=follows and not alone,
    )
    poses = None
    if source.intrinsics is not None:
        poses = compare_poses(
            shown,
            truth[evaluated],
            source.orientation[answered[evaluated]],
        )
    return Replay(
        source,
        mode,
        answered,
        tuple(localizations),
        np.array(latency_ms, np.float64),
        dropped_by,
        evaluated,
        evaluation,
        poses,
        None if single is None else tuple(single),
        tuple(skipped),
    )


def _in_map_metres(
    track: PoseTrack, truth: PosesAt, datum: Datum | None, map_path: Path
) -> PosesAt:
    if track.frame is Frame.LOCAL:
        return truth
    if datum is None:
        raise DataError(_without_datum(map_path))
    known = np.isfinite(truth.position[:, :2]).all(axis=1)
    position = np.full_like(truth.position, np.nan)
    position[known] = enu_from_wgs84(truth.position[known], datum)
    return PosesAt(position, truth.yaw_rad)


def _without_datum(map_path: Path) -> str:
    return (
        f"{map_path}: the ground truth is latitude and longitude, but the map has no datum;"
        " use ground truth in the map's metres, or build the map again with --datum"
    )


def _readable(dropped_by: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {cause}" for cause, count in dropped_by.items() if count) or "none"
