"""Loop closures of a drive that was recorded: its images in order, with poses that may drift."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from progeo_core.descriptors.encoder import Encoder, Skipped, describe
from progeo_core.errors import UsageError
from progeo_core.geo import Datum, FloatArray, Frame, enu_from_wgs84
from progeo_core.images.codec import decode_image, make_thumbnail
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.localization.answer import CameraFrame
from progeo_core.progress import Advance, no_progress
from progeo_core.records.image_source import ImageSource
from progeo_core.records.records import Records
from progeo_core.slam.keyframes import Keyframe, KeyframeSettings
from progeo_core.slam.loop_closure import LoopClosure, LoopClosureSettings
from progeo_core.slam.session import Session
from progeo_core.verification.epipolar_inliers import count_inliers
from progeo_core.verification.place_feature_cache import KnownPlace
from progeo_core.verification.query_view import QueryView

# Time between images that have no stamps: no step of a drive is too fast for it.
_UNSTAMPED_NS = 10_000_000_000
# Longest side (pixels) of the pictures that local features are compared in.
_PICTURE_PX = 480
# Views with their local features in memory; closures of one visit lie close together.
_IN_MEMORY = 128


class ComparedClosure(NamedTuple):
    """Loop closure, and how many local features of its two images one rigid scene explains."""

    closure: LoopClosure
    inliers: int


class RecordedSession(NamedTuple):
    """Keyframes of a drive [n], the names of their images, JPEGs of these, and the closures.

    skipped: why each image that cannot be used was left out.
    """

    keyframes: tuple[Keyframe, ...]
    images: tuple[str, ...]
    pictures: tuple[bytes, ...]
    closures: tuple[ComparedClosure, ...]
    skipped: tuple[str, ...]


def close_recorded_loops(
    source: ImageSource,
    encoder: Encoder,
    extractor: FeatureExtractor,
    loops: LoopClosureSettings | None = None,
    keyframes: KeyframeSettings | None = None,
    advance: Advance = no_progress,
) -> RecordedSession:
    """Drive a recording once more and close its loops, as the live node does.

    Poses are those of the odometry where the records have any, else their positions. Raises
    `UsageError` where fewer than two images have a pose.
    """
    poses, stamps = _drive(source.records)
    session = Session(
        encoder.fingerprint.dimension,
        loops or LoopClosureSettings(),
        keyframes or KeyframeSettings(),
        extractor=extractor,
    )
    kept: list[Keyframe] = []
    names: list[str] = []
    pictures: list[bytes] = []
    closures: list[LoopClosure] = []
    skipped = list(source.unplaced)
    for described in describe(encoder, source.images(), source.records.images, batch_size=1):
        advance(1)
        if isinstance(described, Skipped):
            skipped.append(str(described.error))
            continue
        row, image = described.index, described.image
        x, y, yaw = poses[row]
        stamp, camera = int(stamps[row]), source.records.camera[row]
        session.odometry.add(stamp, [x, y, 0.0], yaw)
        frame = CameraFrame(image, stamp, camera, source.intrinsics.get(camera))
        step = session.add_image(frame, described.descriptor)
        if step.keyframe is not None:
            kept.append(step.keyframe)
            names.append(str(source.records.images[row]))
            pictures.append(make_thumbnail(image, _PICTURE_PX))
        closures += step.closures
    compared = _compared(closures, kept, pictures, extractor)
    return RecordedSession(tuple(kept), tuple(names), tuple(pictures), compared, tuple(skipped))


def _drive(records: Records) -> tuple[FloatArray, np.ndarray]:
    """Return x, y (m) and yaw (rad) [n, 3], and stamps (ns) [n]."""
    if len(records) < 2:
        raise UsageError("a drive has two images with positions at least: check its poses")
    if np.isfinite(records.odometry).all():
        poses = np.array(records.odometry)
    else:
        position = records.position
        if records.frame is Frame.WGS84:
            position = np.nan_to_num(position)
            position = enu_from_wgs84(position, Datum(*position[0].tolist()))
        poses = np.column_stack([position[:, :2], records.yaw_rad])
        # Where nothing says where the robot looks, it is where it drives.
        east, north = np.gradient(poses[:, :2], axis=0).T
        unknown = np.isnan(poses[:, 2])
        poses[unknown, 2] = np.arctan2(north, east)[unknown]
    stamps = records.stamp_ns
    if (stamps <= 0).any():
        stamps = _UNSTAMPED_NS * np.arange(1, len(records) + 1)
    return poses, stamps


def _compared(
    closures: list[LoopClosure],
    keyframes: list[Keyframe],
    pictures: list[bytes],
    extractor: FeatureExtractor,
) -> tuple[ComparedClosure, ...]:
    """Compare the two images of every closure."""
    picture_at = {one.stamp_ns: jpeg for one, jpeg in zip(keyframes, pictures, strict=True)}

    @functools.lru_cache(maxsize=_IN_MEMORY)
    def view_at(stamp_ns: int) -> QueryView:
        image = decode_image(picture_at[stamp_ns], "a keyframe")
        return QueryView(image, None, lambda one, side: extractor.find([one], side=side)[0])

    found = []
    for closure in closures:
        features = view_at(closure.match.stamp_ns).features
        unknown = np.full((len(features.points), 3), np.nan)
        place = KnownPlace(features.points, features.descriptors, features.size, unknown, None)
        inliers = count_inliers(view_at(closure.query.stamp_ns), place)
        found.append(ComparedClosure(closure, inliers))
    return tuple(found)
