"""Local features of a place as bytes of a map file: 82 bytes each.

Points (2 x uint16, sixteenths of a pixel), descriptors (64 x int8), landmarks (3 x float32, metres
from the place's position, NaN unknown) and their standard deviations (float16, NaN unknown) follow
each other, each kind for all features, little-endian.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.map.place_features import DESCRIPTOR_VALUES, MAX_FEATURES, PlaceFeatures
from progeo_core.map.sqlite_file import DamageError

# Type and number of values of a feature's point, descriptor, landmark and deviation.
_KINDS = (("<u2", 2), ("<i1", DESCRIPTOR_VALUES), ("<f4", 3), ("<f2", 1))
BYTES_PER_FEATURE = sum(np.dtype(kind).itemsize * values for kind, values in _KINDS)
# Width and height (pixels) up to which sixteenths of a pixel fit into 16 bits.
MAX_SIDE = 4095
_STEPS_PER_PIXEL = 16.0
_MAX_FLOAT16 = float(np.finfo(np.float16).max)


class FeatureBlob(NamedTuple):
    """Local features in bytes; width, height: of the image that the points are pixels of."""

    width: int
    height: int
    landmarks: int
    data: bytes


def pack_features(features: PlaceFeatures, origin: FloatArray) -> FeatureBlob:
    """Return the bytes of sound features of a place at `origin` [3].

    Points of an image with a side over 4095 pixels become those of a smaller one.
    """
    size = np.array(features.size, np.float64)
    scaled = np.maximum(np.round(size * min(1.0, MAX_SIDE / size.max())), 1.0)
    # `np.clip` takes three times as long.
    points = np.minimum(np.maximum(features.points * (scaled / size), 0.0), scaled)
    sigma_m = np.minimum(features.sigma_m, _MAX_FLOAT16)
    columns = (
        np.round(points * _STEPS_PER_PIXEL),
        features.descriptors,
        features.landmarks - origin,
        sigma_m,
    )
    data = b"".join(
        column.astype(kind).tobytes() for column, (kind, _) in zip(columns, _KINDS, strict=True)
    )
    return FeatureBlob(int(scaled[0]), int(scaled[1]), int(features.has_landmark.sum()), data)


def unpack_features(blob: FeatureBlob, origin: FloatArray) -> PlaceFeatures:
    """Return the features of a place at `origin` [3]; `DamageError` for bytes that are none."""
    count, rest = divmod(len(blob.data), BYTES_PER_FEATURE)
    if rest or count > MAX_FEATURES:
        raise DamageError("its local features have another length than they should")
    if not (1 <= blob.width <= MAX_SIDE and 1 <= blob.height <= MAX_SIDE):
        raise DamageError("the size of its image cannot be read")
    columns, start = [], 0
    for kind, values in _KINDS:
        columns.append(np.frombuffer(blob.data, kind, count * values, start))
        start += columns[-1].nbytes
    points, descriptors, landmarks, sigma_m = columns
    features = PlaceFeatures(
        points=(points.reshape(-1, 2) / np.float32(_STEPS_PER_PIXEL)).astype(np.float32),
        descriptors=descriptors.reshape(-1, DESCRIPTOR_VALUES),
        landmarks=landmarks.reshape(-1, 3) + np.asarray(origin, np.float64),
        sigma_m=sigma_m.astype(np.float32),
        size=(blob.width, blob.height),
    )
    if int(features.has_landmark.sum()) != blob.landmarks:
        raise DamageError("it has another number of 3-D points than it claims")
    return features
