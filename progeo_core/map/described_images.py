"""Images of a source, described: what a map, or a fleet's store, keeps of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Described, Encoder, Skipped, describe
from progeo_core.images.codec import make_thumbnail
from progeo_core.images.depth import FloatArray32
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.place_features import PlaceView, ViewFinder
from progeo_core.map.places import Places
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.records.image_source import ImageSource
from progeo_core.records.records import Records

# Images in memory at a time while their local features are found.
_VIEW_BATCH = 16


class DescribedImage(NamedTuple):
    """What is kept of the image of one row; the image itself is let go."""

    row: int
    descriptor: NDArray[np.float32]
    thumbnail: bytes
    view: PlaceView | None


def describe_images(
    source: ImageSource, records: Records, encoder: Encoder, structure: ViewFinder | None
) -> Iterator[DescribedImage | Skipped]:
    """Yield what is kept of every image of a source, or why it is skipped, in order.

    records: those of the source, in metres of the map. structure: finds local features, too.
    """
    side = encoder.fingerprint.image_side
    if structure is not None:
        side = max(side, structure.image_side) if side and structure.image_side else 0
    outcomes = describe(encoder, source.images(side), source.records.images)
    if structure is None:
        for outcome in outcomes:
            yield outcome if isinstance(outcome, Skipped) else _without_image(outcome, None)
        return
    pairs = zip(outcomes, source.depths(), strict=True)
    while batch := list(itertools.islice(pairs, _VIEW_BATCH)):
        views = iter(_find_views(structure, batch, records, source.intrinsics))
        for outcome, _ in batch:
            yield outcome if isinstance(outcome, Skipped) else _without_image(outcome, next(views))


def places_before(records: Records) -> Places:
    """Return records, in metres of the map, as places whose images are still to be described."""
    return Places(
        position=records.position,
        yaw_rad=records.yaw_rad,
        stamp_ns=records.stamp_ns,
        camera=records.camera,
        traverse=records.traverse,
        image=tuple(str(path) for path in records.images),
        thumbnail=(None,) * len(records),
    )


def places_of(records: Records, described: Sequence[DescribedImage]) -> Places:
    """Return described images as places; records: in metres of the map, which rows count in."""
    chosen = records.select(np.array([one.row for one in described], np.int64))
    return places_before(chosen)._replace(
        thumbnail=tuple(one.thumbnail for one in described),
        views=tuple(one.view for one in described),
    )


def _find_views(
    structure: ViewFinder,
    batch: Sequence[tuple[Described | Skipped, FloatArray32 | None]],
    records: Records,
    intrinsics: Mapping[str, Intrinsics],
) -> list[PlaceView]:
    """Return the views of the images of a batch that were described."""
    described = [(one, depth) for one, depth in batch if isinstance(one, Described)]
    rows = [one.index for one, _ in described]
    return structure.find(
        [one.image for one, _ in described],
        [depth for _, depth in described],
        [_pose(records, row) for row in rows],
        [intrinsics.get(records.camera[row]) for row in rows],
    )


def _pose(records: Records, row: int) -> CameraPose | None:
    orientation = records.orientation[row]
    if np.isnan(orientation).any():
        return None
    return CameraPose(records.position[row], orientation)


def _without_image(described: Described, view: PlaceView | None) -> DescribedImage:
    thumbnail = make_thumbnail(described.image)
    return DescribedImage(described.index, described.descriptor, thumbnail, view)
