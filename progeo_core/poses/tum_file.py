"""Trajectories in the TUM format, which evo and other tools read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from progeo_core.atomic_file import replaced_file
from progeo_core.geo import FloatArray
from progeo_core.poses.transform import level_quaternion

_NS_PER_S = 1_000_000_000


class StampedPose(NamedTuple):
    """Stamp (ns), position [3] (m) and yaw (rad, NaN unknown)."""

    stamp_ns: int
    position: FloatArray
    yaw_rad: float


def write_trajectory(path: Path, poses: Iterable[StampedPose]) -> None:
    """Write lines "stamp x y z qx qy qz qw" (s, m), by stamp; the file appears whole or not at all.

    The format cannot express an unknown direction: an unknown yaw is written as 0.
    """
    with replaced_file(path) as unfinished:
        lines = [_line(pose) for pose in sorted(poses, key=lambda pose: pose.stamp_ns)]
        unfinished.write_text("".join(lines), encoding="ascii")


def _line(pose: StampedPose) -> str:
    # Whole seconds and nanoseconds apart: a float would lose the last digits of today's stamps.
    stamp = f"{pose.stamp_ns // _NS_PER_S}.{pose.stamp_ns % _NS_PER_S:09d}"
    x, y, z = pose.position
    *_, turn, rest = level_quaternion(pose.yaw_rad)
    return f"{stamp} {x:.6f} {y:.6f} {z:.6f} 0 0 {turn:.9f} {rest:.9f}\n"
