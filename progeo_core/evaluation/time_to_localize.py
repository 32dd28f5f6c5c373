"""Time to localize: images and seconds until a camera is found, at the start and after jumps."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray

BoolArray = NDArray[np.bool_]

# A step of the true positions longer than this many usual ones, and than two radii, is a jump: the
# camera was carried away, or two traverses follow each other.
_JUMP_STEPS, _JUMP_RADII = 10.0, 2.0


class TimeToLocalize(NamedTuple):
    """Time from each start to the first right accepted answer, all [s].

    A start is the first image with a place in the database after the beginning or a jump. images: 1
    if found at once, NaN if not before the next jump or the end. seconds: also NaN where stamps are
    unknown.
    """

    images: FloatArray
    seconds: FloatArray

    def to_json(self) -> dict[str, Any]:
        """Return the documented figures; None where no start was found."""
        return {
            "starts": len(self.images),
            "found": int(np.isfinite(self.images).sum()),
            "images": _median_and_max(self.images),
            "seconds": _median_and_max(self.seconds),
        }


def measure_time_to_localize(
    truth: FloatArray,
    localizable: BoolArray,
    found: BoolArray,
    stamp_ns: NDArray[np.int64],
    radius_m: float,
) -> TimeToLocalize:
    """Measure answers in order: truth [n, 3] (m); found: right and accepted; stamps 0 unknown."""
    images, seconds = [], []
    for begin, end in itertools.pairwise([*_starts(truth, radius_m), len(truth)]):
        possible = begin + np.flatnonzero(localizable[begin:end])
        if not possible.size:
            continue
        first = int(possible[0])
        hits = first + np.flatnonzero(found[first:end])
        known = hits.size > 0 and stamp_ns[first] > 0 and stamp_ns[hits[0]] >= stamp_ns[first]
        images.append(float(hits[0] - first + 1) if hits.size else np.nan)
        seconds.append((stamp_ns[hits[0]] - stamp_ns[first]) * 1e-9 if known else np.nan)
    return TimeToLocalize(np.array(images, np.float64), np.array(seconds, np.float64))


def _starts(truth: FloatArray, radius_m: float) -> list[int]:
    """Return the first image and the images after a jump."""
    step = np.linalg.norm(np.diff(truth[:, :2], axis=0), axis=1)
    usual = float(np.median(step)) if step.size else 0.0
    jump = step > max(_JUMP_STEPS * usual, _JUMP_RADII * radius_m)
    return [0, *(np.flatnonzero(jump) + 1).tolist()]


def _median_and_max(values: FloatArray) -> dict[str, float | None]:
    known = values[np.isfinite(values)]
    if not known.size:
        return {"median": None, "max": None}
    return {"median": float(np.median(known)), "max": float(known.max())}
