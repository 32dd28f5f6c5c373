"""What the images of other places tell of the landmarks of a place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.absolute_pose import FOCAL_PX, fitted_pose
from progeo_core.verification.feature_matching import mutual_matches
from progeo_core.verification.known_view import KnownView

IntArray = NDArray[np.int64]

# Places of a drive see much of what those before and after them see: so many each way are asked.
_BESIDE = 2
# Matches with landmarks that another place needs to have a say, and those that must fit one pose.
_MIN_MATCHES, _MIN_FITTING = 20, 20
# A landmark is this close (pixels) to where another place sees it, if poses and depth are right.
MAX_ERROR_PX = 12.0
# Of the matches with most of the places that have a say, a smaller share than this contradicts; so
# large a share must fit one pose.
_MIN_AGREEMENT = 0.5


class Sighting(NamedTuple):
    """What the image of another place tells of a place's landmarks.

    given: pose of the other camera as the map has it. agreement: share of
    the matches that it sees where they should be. pose: of that camera by the landmarks alone, None
    unknown. error_px: median of how far the landmarks that fit this are from where the given pose
    expects them (pixels), inf behind it, NaN without a pose.
    """

    given: CameraPose
    agreement: float
    pose: CameraPose | None
    error_px: float


def rows_to_ask(row: int, count: int, neighbors: IntArray) -> IntArray:
    """Return the rows of the places that are asked whether they contradict one of `count`.

    neighbors: rows of those that see the same by their poses. With a wrong pose these are
    elsewhere, so those beside it in the drive are asked, too.
    """
    beside = np.arange(max(0, row - _BESIDE), min(count, row + _BESIDE + 1))
    return np.union1d(beside[beside != row], neighbors)


def sighting(view: KnownView, landmarks: FloatArray, other: KnownView) -> Sighting | None:
    """Return what another view tells of a view's landmarks [n, 3], None where that is nothing.

    landmarks: (m) of its features in the map frame, NaN unknown.
    """
    known = np.flatnonzero(np.isfinite(landmarks).all(axis=1))
    matches = mutual_matches(view.descriptors[known], other.descriptors)
    points, rays = landmarks[known[matches.first]], other.rays[matches.second]
    if len(rays) < _MIN_MATCHES:
        return None
    error_px = _error_px(points, rays, other)
    agreement = float((error_px < MAX_ERROR_PX).mean())
    usable = np.flatnonzero(np.isfinite(rays).all(axis=1))
    # The solver knows cameras of one focal length.
    max_error = MAX_ERROR_PX * other.pixel * FOCAL_PX
    found = fitted_pose(rays[usable], points[usable], max_error)
    fitting = 0 if found is None else np.count_nonzero(found.inliers)
    if found is None or fitting < max(_MIN_FITTING, _MIN_AGREEMENT * len(rays)):
        return Sighting(other.pose, agreement, None, np.nan)
    fitting_px = error_px[usable][found.inliers]
    return Sighting(other.pose, agreement, found.pose, float(np.median(fitting_px)))


def sightings(
    view: KnownView, landmarks: FloatArray, others: Mapping[int, KnownView | None]
) -> dict[int, Sighting]:
    """Return the sightings of landmarks by those of other views, by number, that have one."""
    found = {
        number: sighting(view, landmarks, other)
        for number, other in others.items()
        if other is not None
    }
    return {number: one for number, one in found.items() if one is not None}


def contradicted(sightings: Iterable[Sighting]) -> bool:
    """Whether most other places see a place's landmarks elsewhere, by at least two."""
    shares = [one.agreement for one in sightings]
    return len(shares) >= 2 and bool(np.median(shares) < _MIN_AGREEMENT)


def _error_px(points: FloatArray, rays: FloatArray, view: KnownView) -> FloatArray:
    """Return how far points [n, 3] are from where a view's rays [n, 2] show them (pixels).

    inf where a point is behind the view, or its ray is unknown.
    """
    inside = view.pose.to_camera(points)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.linalg.norm(inside[:, :2] / inside[:, 2:] - rays, axis=1) / view.pixel
    return np.where((inside[:, 2] > 0.0) & np.isfinite(error), error, np.inf)
