"""Answers to the images of a drive, one by one and as a sequence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import ImageError
from progeo_core.geo import FloatArray
from progeo_core.images.codec import Image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.answer import Localization
from progeo_core.localization.localizer import Localizer
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.pose_stream import PoseStream
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.progress import Advance, no_progress

if TYPE_CHECKING:
    from progeo_core.inference.feature_extractor import FeatureExtractor


class DescribedImage(NamedTuple):
    """One image of a drive with its descriptor [D].

    encode_s: time (s) that describing it took. odometry: [3] x, y (m) and yaw (rad) of the robot in
    the frame of its odometry, None or NaN unknown. traverse: name of the drive, where there are
    several.
    """

    row: int
    image: Image
    stamp_ns: int
    camera: str
    descriptor: NDArray[np.float32]
    encode_s: float = 0.0
    odometry: FloatArray | None = None
    traverse: str = ""


class Answers(NamedTuple):
    """Answers to images [n], each by itself and (if asked for) as part of the drive.

    rows: [n] which images were answered. skipped: why each image without an answer cannot be used.
    radius_m: distance within which the confidences promise the positions to be.
    """

    rows: list[int]
    single: list[Localization]
    sequence: list[Localization]
    skipped: list[str]
    radius_m: float


def answer_drive(
    place_map: PlaceMap,
    encoder: Encoder,
    described: Iterable[DescribedImage | ImageError],
    *,
    sequence: bool = True,
    verification_ms: int = LocalizerSettings.verification_ms,
    intrinsics: Intrinsics | None = None,
    extractor: FeatureExtractor | None = None,
    advance: Advance = no_progress,
) -> Answers:
    """Localize images; sequence: they are drives in the order of time, and followed, too.

    A sequence is moved by its odometry, where images have stamps, and its accepted poses continue
    each other as those of the node do. It starts anew where another traverse follows.
    verification_ms: as `LocalizerSettings` has it. intrinsics: of the camera.
    extractor: see `PreparedMap`. `advance` counts images, skipped ones included.
    Raises what `Localizer` raises.
    """
    prepared = PreparedMap(place_map, PlaceIndex.open(place_map), extractor)
    localizer, follower = (
        Localizer(
            prepared,
            encoder,
            LocalizerSettings(sequence=following, verification_ms=verification_ms),
        )
        for following in (False, True)
    )
    stream = PoseStream(follower.odometry, prepared.geodetic)
    answers = Answers([], [], [], [], localizer.place_radius_m)
    traverse = ""
    for one in described:
        if isinstance(one, ImageError):
            answers.skipped.append(str(one))
        else:
            query = one.descriptor, one.stamp_ns, one.camera, one.image, intrinsics
            answer = localizer.localize_descriptor(*query)
            seconds = answer.seconds._replace(encode=one.encode_s)
            answers.rows.append(one.row)
            answers.single.append(answer._replace(seconds=seconds))
            if sequence:
                if one.traverse != traverse:
                    traverse = one.traverse
                    follower.reset()
                    stream.reset()
                if one.odometry is not None:
                    x, y, yaw = one.odometry
                    follower.odometry.add(one.stamp_ns, [x, y, 0.0], yaw)
                followed = stream.follow(follower.localize_descriptor(*query))
                seconds = followed.seconds._replace(encode=one.encode_s)
                answers.sequence.append(followed._replace(seconds=seconds))
        advance(1)
    return answers
