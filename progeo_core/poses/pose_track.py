"""Poses through time, and where the camera was between two of them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.geo import Frame, wrap_angle
from progeo_core.poses.camera_pose import interpolate

FloatArray = NDArray[np.float64]

# Time (s) to the poses on either side, up to which a pose between them is interpolated.
MAX_POSE_GAP_S = 1.0
_LONGITUDE = 1
_NS_PER_S = 1_000_000_000


class _Neighbors(NamedTuple):
    """Stamps between two poses: rows of both, and the share of the way (0-1) from the first."""

    rows: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    weight: FloatArray


class PosesAt(NamedTuple):
    """Positions [m, 3] and yaw (rad) [m]; rows are NaN where no pose is near in time."""

    position: FloatArray
    yaw_rad: FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class PoseTrack:
    """Poses of one topic in the order of their stamps, each stamp once.

    stamp_ns: [n] nanoseconds, increasing.
    position: [n, 3] x, y, z metres (LOCAL) or latitude, longitude degrees, altitude metres (WGS84,
        altitude NaN where unknown).
    yaw_rad: [n] counter-clockwise from east, NaN unknown.
    orientation: [n, 4] unit quaternions x y z w, NaN unknown.
    dropped: how many poses could not be used.
    """

    stamp_ns: NDArray[np.int64]
    position: FloatArray
    frame: Frame
    yaw_rad: FloatArray
    orientation: FloatArray
    dropped: int = 0

    @classmethod
    def from_poses(
        cls,
        stamp_ns: ArrayLike,
        position: ArrayLike,
        frame: Frame,
        yaw_rad: ArrayLike,
        orientation: ArrayLike | None = None,
    ) -> PoseTrack:
        """Sort poses by stamp; drop and count those without stamp or position.

        Of poses that share a stamp the first is kept and the others count as dropped.
        orientation: [n, 4] quaternions of any length, None or NaN unknown.
        """
        stamps = np.asarray(stamp_ns, np.int64).reshape(-1)
        points = np.asarray(position, np.float64).reshape(-1, 3)
        known = points if frame is Frame.LOCAL else points[:, :2]
        usable = np.flatnonzero((stamps > 0) & np.isfinite(known).all(axis=1))
        ordered, first = np.unique(stamps[usable], return_index=True)
        rows = usable[first]
        yaw = np.asarray(yaw_rad, np.float64).reshape(-1)[rows]
        turns = np.full((len(stamps), 4), np.nan) if orientation is None else orientation
        turns = np.asarray(turns, np.float64).reshape(-1, 4)[rows]
        with np.errstate(invalid="ignore"):
            turns = turns / np.linalg.norm(turns, axis=1, keepdims=True)
        return cls(ordered, points[rows], frame, yaw, turns, dropped=len(stamps) - len(rows))

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def at(self, stamps_ns: ArrayLike, max_gap_s: float = MAX_POSE_GAP_S) -> PosesAt:
        """Interpolate to stamps [m] (ns): positions on a line, yaw along the shorter arc.

        A stamp needs a pose on either side, neither further than `max_gap_s`: nothing is
        extrapolated, and nothing is made up across a hole in the track.
        """
        count = np.size(stamps_ns)
        position, yaw = np.full((count, 3), np.nan), np.full(count, np.nan)
        rows, before, after, weight = self._neighbors(stamps_ns, max_gap_s)
        position[rows] = self._between(before, after, weight)
        turn = wrap_angle(self.yaw_rad[after] - self.yaw_rad[before])
        yaw[rows] = wrap_angle(self.yaw_rad[before] + weight * turn)
        return PosesAt(position, yaw)

    def orientation_at(self, stamps_ns: ArrayLike, max_gap_s: float = MAX_POSE_GAP_S) -> FloatArray:
        """Interpolate orientations [m, 4] to stamps [m] (ns), under the conditions of `at`."""
        orientation = np.full((np.size(stamps_ns), 4), np.nan)
        rows, before, after, weight = self._neighbors(stamps_ns, max_gap_s)
        orientation[rows] = interpolate(self.orientation[before], self.orientation[after], weight)
        return orientation

    def _neighbors(self, stamps_ns: ArrayLike, max_gap_s: float) -> _Neighbors:
        """Return which stamps have a pose near on either side, and these poses."""
        wanted = np.asarray(stamps_ns, np.int64).reshape(-1)
        after = np.searchsorted(self.stamp_ns, wanted, side="left")
        # A pose at the very stamp is its own neighbour on both sides.
        before = np.searchsorted(self.stamp_ns, wanted, side="right") - 1
        rows = np.flatnonzero((before >= 0) & (after < len(self)))
        before, after = before[rows], after[rows]
        since, until = wanted[rows] - self.stamp_ns[before], self.stamp_ns[after] - wanted[rows]
        near = np.maximum(since, until) <= max_gap_s * _NS_PER_S
        rows, before, after, since, until = (
            column[near] for column in (rows, before, after, since, until)
        )
        return _Neighbors(rows, before, after, since / np.maximum(since + until, 1))

    def _between(
        self, before: NDArray[np.int64], after: NDArray[np.int64], weight: FloatArray
    ) -> FloatArray:
        step = self.position[after] - self.position[before]
        if self.frame is Frame.WGS84:
            # The shorter arc, also across 180°.
            step[:, _LONGITUDE] = _wrap_degrees(step[:, _LONGITUDE])
        position = self.position[before] + weight[:, np.newaxis] * step
        if self.frame is Frame.WGS84:
            position[:, _LONGITUDE] = _wrap_degrees(position[:, _LONGITUDE])
        return position


def _wrap_degrees(angle: FloatArray) -> FloatArray:
    return np.where(np.abs(angle) > 180.0, angle - np.copysign(360.0, angle), angle)
