"""Poses through time, and where the camera was between two of them."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.geo import Frame, wrap_angle

FloatArray = NDArray[np.float64]

# Time (s) to the poses on either side, up to which a pose between them is interpolated.
MAX_POSE_GAP_S = 1.0
_LONGITUDE = 1
_NS_PER_S = 1_000_000_000


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
    dropped: how many poses could not be used.
    """

    stamp_ns: NDArray[np.int64]
    position: FloatArray
    frame: Frame
    yaw_rad: FloatArray
    dropped: int = 0

    @classmethod
    def from_poses(
        cls, stamp_ns: ArrayLike, position: ArrayLike, frame: Frame, yaw_rad: ArrayLike
    ) -> PoseTrack:
        """Sort poses by stamp; drop and count those without stamp or position.

        Of poses that share a stamp the first is kept and the others count as dropped.
        """
        stamps = np.asarray(stamp_ns, np.int64).reshape(-1)
        points = np.asarray(position, np.float64).reshape(-1, 3)
        known = points if frame is Frame.LOCAL else points[:, :2]
        usable = np.flatnonzero((stamps > 0) & np.isfinite(known).all(axis=1))
        ordered, first = np.unique(stamps[usable], return_index=True)
        rows = usable[first]
        yaw = np.asarray(yaw_rad, np.float64).reshape(-1)[rows]
        return cls(ordered, points[rows], frame, yaw, dropped=len(stamps) - len(rows))

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def at(self, stamps_ns: ArrayLike, max_gap_s: float = MAX_POSE_GAP_S) -> PosesAt:
        """Interpolate to stamps [m] (ns): positions on a line, yaw along the shorter arc.

        A stamp needs a pose on either side, neither further than `max_gap_s`: nothing is
        extrapolated, and nothing is made up across a hole in the track.
        """
        wanted = np.asarray(stamps_ns, np.int64).reshape(-1)
        position, yaw = np.full((len(wanted), 3), np.nan), np.full(len(wanted), np.nan)
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
        weight = since / np.maximum(since + until, 1)
        position[rows] = self._between(before, after, weight)
        turn = wrap_angle(self.yaw_rad[after] - self.yaw_rad[before])
        yaw[rows] = wrap_angle(self.yaw_rad[before] + weight * turn)
        return PosesAt(position, yaw)

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
