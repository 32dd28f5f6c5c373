"""What a map knows of a place beyond its descriptor: camera, local features, 3-D points."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import UsageError
from progeo_core.geo import MAX_POSITION_M, FloatArray

if TYPE_CHECKING:
    from progeo_core.images.codec import Image
    from progeo_core.images.depth import FloatArray32
    from progeo_core.images.intrinsics import Intrinsics
    from progeo_core.poses.camera_pose import CameraPose

# Local features that are kept of a place unless told otherwise: 82 bytes each.
PLACE_FEATURES = 512
# Numbers of a local feature's descriptor.
DESCRIPTOR_VALUES = 64
# What a number of a descriptor of unit length is multiplied by in a file.
_DESCRIPTOR_SCALE = 127.0
# No extractor is asked for more local features of one image.
MAX_FEATURES = 1 << 16
# A point may lie this far (pixels) outside of the image, as extractors refine it.
_MARGIN_PX = 1.0
# Quaternions need not be of unit length, but no rotation is this long or as short.
_MAX_QUATERNION = 1e6


def descriptor_bytes(descriptors: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return descriptors [n, 64] of unit length in 8 bits, as files keep them."""
    return np.round(descriptors * _DESCRIPTOR_SCALE).astype(np.int8)


def unit_descriptors(kept: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return the descriptors [n, 64] of unit length that `descriptor_bytes` was given."""
    descriptors = kept.astype(np.float32)
    descriptors /= np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-6)
    return descriptors


class PlaceFeatures(NamedTuple):
    """Local features of a place's image, and where in the map they are.

    points: [n, 2] pixels. descriptors: [n, 64], see `unit_descriptors`. landmarks: [n, 3] metres
    in frame map, NaN unknown. sigma_m: [n] standard deviation of a landmark, NaN unknown.
    size: (width, height) of the image that points are pixels of.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.int8]
    landmarks: FloatArray
    sigma_m: NDArray[np.float32]
    size: tuple[int, int]

    @property
    def has_landmark(self) -> NDArray[np.bool_]:
        """Whether the place of each feature is known [n]."""
        return _all_three(~np.isnan(self.landmarks))

    def rows(self, chosen: NDArray[np.int64]) -> PlaceFeatures:
        """Return some of the features, in the order of their rows [m]."""
        return PlaceFeatures(
            self.points[chosen],
            self.descriptors[chosen],
            self.landmarks[chosen],
            self.sigma_m[chosen],
            self.size,
        )

    def without_landmarks(self) -> PlaceFeatures:
        """Return the same features without their 3-D points."""
        count = len(self.points)
        unknown = np.full(count, np.nan, np.float32)
        return self._replace(landmarks=np.full((count, 3), np.nan), sigma_m=unknown)


class PlaceView(NamedTuple):
    """What a map knows of a place's image; None is unknown."""

    pose: CameraPose | None
    intrinsics: Intrinsics | None
    features: PlaceFeatures | None

    def without_landmarks(self) -> PlaceView:
        """Return the same view without its 3-D points."""
        features = None if self.features is None else self.features.without_landmarks()
        return self._replace(features=features)


class StructureNote(NamedTuple):
    """What made the local features and the 3-D points of a map.

    extractor: names the local features, such as "xfeat-9f3c21aa". source: one readable line about
    the 3-D points, such as "depth", or why there are none; "" where there is nothing to say.
    pose_errors: how wrong the map's poses are by themselves (m, rad) on each axis, 0 where they are
    not rough.
    """

    extractor: str
    source: str
    pose_errors: tuple[float, float] = (0.0, 0.0)


# Poses that images contradict by no more than this (m, rad) on each axis are not called rough.
_EXACT_M, _EXACT_RAD = 0.012, 0.004
# How maps of schemas 3 and 4, and stores of that time, said it.
_IN_WORDS = re.compile(r"whose poses err by (\d+\.\d+) m and (\d+\.\d+)°")


def rough_poses(extractor: str, source: str, position_m: float, turn_rad: float) -> StructureNote:
    """Return the note of places whose poses err by so much on each axis (m, rad)."""
    if position_m <= _EXACT_M and turn_rad <= _EXACT_RAD:
        return StructureNote(extractor, source)
    words = f"{source} whose poses err by {position_m:.3f} m and {math.degrees(turn_rad):.2f}°"
    return StructureNote(extractor, words, (position_m, turn_rad))


def pose_errors_in_words(source: str) -> tuple[float, float]:
    """Return what a note of before `StructureNote.pose_errors` says of these in its source."""
    found = [(0.0, 0.0)]
    for part in _IN_WORDS.finditer(source):
        position_m, turn_deg = map(float, part.groups())
        found.append((position_m, math.radians(turn_deg)))
    return max(found)


class ViewFinder(Protocol):
    """Finder of the local features and 3-D points of the images of a map."""

    @property
    def note(self) -> StructureNote:
        """Return what a map says of the features and points that this has found so far."""
        ...

    @property
    def image_side(self) -> int:
        """Return the pixels each way that suffice of an image (see `decode_image`), 0 for all."""
        ...

    def find(
        self,
        images: Sequence[Image],
        depths: Sequence[FloatArray32 | None],
        poses: Sequence[CameraPose | None],
        intrinsics: Sequence[Intrinsics | None],
    ) -> list[PlaceView]:
        """Return the view of every image; the columns are of equal length, None is unknown.

        images: RGB, at the size of their calibration or a smaller one. depths: [h, w] metres, NaN
        unknown, of the image at any size. poses: in frame map.
        """
        ...


def joined_structure(known: StructureNote | None, added: StructureNote) -> StructureNote:
    """Return the note of a map that views are added to; the roughest poses of both count.

    Raises `UsageError` for views of another extractor: they could not be compared with its own.
    """
    if known is None or known == added:
        return added
    if known.extractor != added.extractor:
        raise UsageError(
            f"local features of {known.extractor} and of {added.extractor} cannot be compared; give"
            " one map those of the other with 'progeo map structure'"
        )
    sources = dict.fromkeys([*known.source.split("; "), *added.source.split("; ")])
    roughest = max(known.pose_errors, added.pose_errors)
    return StructureNote(known.extractor, "; ".join(filter(None, sources)), roughest)


def fault_of(view: PlaceView) -> str | None:
    """Return what makes a view unfit for a map, None where nothing does."""
    if view.pose is not None and not _is_pose(view.pose):
        return "the pose of its camera is not finite, too far away or has no rotation"
    if view.intrinsics is not None and not view.intrinsics.usable:
        return "the calibration of its camera cannot be used"
    return None if view.features is None else _feature_fault(view.features)


def _is_pose(pose: CameraPose) -> bool:
    position = np.asarray(pose.position, np.float64)
    orientation = np.asarray(pose.orientation, np.float64)
    if (position.shape, orientation.shape) != ((3,), (4,)):
        return False
    length = np.linalg.norm(orientation)
    is_turned = 1.0 / _MAX_QUATERNION < length < _MAX_QUATERNION
    # Written so that NaN counts as bad.
    on_earth = (np.abs(position) <= MAX_POSITION_M).all()
    return bool(on_earth and (is_turned or np.isnan(orientation).all()))


def _feature_fault(features: PlaceFeatures) -> str | None:
    points, descriptors, landmarks, sigma_m, size = features
    count = len(points)
    shapes = [points.shape, descriptors.shape, landmarks.shape, sigma_m.shape]
    if shapes != [(count, 2), (count, DESCRIPTOR_VALUES), (count, 3), (count,)]:
        return f"its local features have the shapes {', '.join(map(str, shapes))}"
    if count > MAX_FEATURES:
        return f"it has {count} local features, more than {MAX_FEATURES}"
    # Written so that NaN counts as bad.
    inside = (points >= -_MARGIN_PX) & (points <= np.add(size, _MARGIN_PX))
    known = _all_three(np.abs(landmarks) <= MAX_POSITION_M)
    unknown = _all_three(np.isnan(landmarks))
    deviation = np.isnan(sigma_m) | ((sigma_m >= 0.0) & np.isfinite(sigma_m))
    checks = (
        (descriptors.dtype == np.int8, "the descriptors of its local features are not int8"),
        (min(size) >= 1, "the size of its image is not positive"),
        (inside.all(), "its local features are not all in its image"),
        ((known | unknown).all(), "its 3-D points are not finite"),
        (deviation.all(), "the standard deviations of its 3-D points are not finite"),
    )
    return next((fault for is_sound, fault in checks if not is_sound), None)


def _all_three(marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where all of [n, 3] are true; NumPy's own `all` takes three times as long on these."""
    return marks[:, 0] & marks[:, 1] & marks[:, 2]
