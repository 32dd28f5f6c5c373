"""Build or extend a place map from images with known positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.encoder import Described, Encoder, Skipped, describe
from progeo_core.errors import DataError, ImageError, UsageError
from progeo_core.geo import Frame
from progeo_core.images import Image, make_thumbnail
from progeo_core.place_map import PlaceMap, Places
from progeo_core.progress import Advance, no_progress
from progeo_core.records import Records

# Images between two commits: a kill costs at most these, and their memory does not grow.
_TRANSACTION = 128


class BuildReport(NamedTuple):
    """Say how many places were added, and why each image that was skipped cannot be used."""

    added: int
    skipped: tuple[str, ...]


class _Described(NamedTuple):
    """Hold what the map keeps of one image; the image itself is let go."""

    row: int
    descriptor: NDArray[np.float32]
    thumbnail: bytes


def build_map(
    place_map: PlaceMap,
    records: Records,
    images: Iterable[Image | ImageError],
    encoder: Encoder,
    *,
    advance: Advance = no_progress,
) -> BuildReport:
    """Append a place for every image of `records` (LOCAL frame) that can be used.

    `images` come in the order of the records. Images go through the encoder in batches and into the
    map every 128, so memory stays flat and a kill loses no more than that; `advance` counts images,
    skipped ones included. Raises `ModelMismatchError` for a map of another model, `UsageError` for
    positions in degrees, and `DataError` where no image at all can be used.
    """
    place_map.require_model(encoder.fingerprint)
    if records.frame is not Frame.LOCAL:
        raise UsageError("the positions are latitude and longitude: turn them into metres first")
    added = 0
    skipped: list[str] = []
    pending: list[_Described] = []
    for outcome in describe(encoder, images):
        if isinstance(outcome, Skipped):
            skipped.append(str(outcome.error))
        else:
            pending.append(_without_image(outcome))
        if len(pending) == _TRANSACTION:
            added += _append(place_map, records, pending)
            pending = []
        advance(1)
    if pending:
        added += _append(place_map, records, pending)
    if skipped and not added:
        raise DataError(
            f"{place_map.path}: none of {len(skipped)} images can be used, first: {skipped[0]}"
        )
    return BuildReport(added, tuple(skipped))


def _without_image(described: Described) -> _Described:
    return _Described(described.index, described.descriptor, make_thumbnail(described.image))


def _append(place_map: PlaceMap, records: Records, described: Sequence[_Described]) -> int:
    chosen = records.select(np.array([one.row for one in described], np.int64))
    places = Places(
        position=chosen.position,
        yaw_rad=chosen.yaw_rad,
        stamp_ns=chosen.stamp_ns,
        camera=chosen.camera,
        traverse=chosen.traverse,
        image=tuple(str(path) for path in chosen.images),
        thumbnail=tuple(one.thumbnail for one in described),
    )
    return len(place_map.append(places, np.stack([one.descriptor for one in described])))
