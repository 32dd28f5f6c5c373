"""Passes over a place, and the split of its images into a database and its queries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.records.records import Records

IntArray = NDArray[np.int64]

# A recording that is silent for longer continues with another pass.
_PASS_GAP_NS = 600 * 1_000_000_000
# A camera that turns on the spot sees something new.
_MIN_TURN_RAD = np.radians(15.0)
# With fewer queries than this share of the images, recall says too little.
_MIN_QUERIES = 0.2


class Roles(NamedTuple):
    """Images [n] that are database and those that are queries; the others are left out.

    by_pass: whether queries are of other passes than the database, or alternate with it.
    """

    database: NDArray[np.bool_]
    queries: NDArray[np.bool_]
    by_pass: bool


def time_order(records: Records) -> IntArray:
    """Return the rows [n] by traverse, the earliest first, then by time; unstamped in row order."""
    _, first, traverse = np.unique(
        np.array(records.traverse, np.str_), return_index=True, return_inverse=True
    )
    start_ns = np.full(len(first), np.iinfo(np.int64).max)
    np.minimum.at(start_ns, traverse, records.stamp_ns)
    return np.lexsort((records.stamp_ns, first[traverse], start_ns[traverse]))


def number_passes(records: Records) -> IntArray:
    """Return the pass [n] of each image: one traverse, without a break of ten minutes."""
    order = time_order(records)
    traverse = np.array(records.traverse, np.str_)[order]
    stamp = records.stamp_ns[order]
    starts = np.ones(len(order), np.bool_)
    gap = (np.diff(stamp) > _PASS_GAP_NS) & (stamp[:-1] > 0)
    starts[1:] = (traverse[1:] != traverse[:-1]) | gap
    passes = np.empty(len(order), np.int64)
    passes[order] = np.cumsum(starts) - 1
    return passes


def moved_enough(records: Records, passes: IntArray, min_distance_m: float) -> NDArray[np.bool_]:
    """Whether each image [n] of LOCAL records is `min_distance_m` from the last such one.

    The last one is that of the same pass and camera; a turn of 15° also counts as moving.
    """
    kept = np.zeros(len(records), np.bool_)
    last: dict[tuple[int, str], int] = {}
    for row in time_order(records).tolist():
        key = int(passes[row]), records.camera[row]
        if key not in last or _differs(records, last[key], row, min_distance_m):
            kept[row], last[key] = True, row
    return kept


def split_roles(cells: IntArray, visits: IntArray) -> Roles:
    """Split images in the order of time into a database and its queries.

    cells: [n] or [n, k], where each was taken; visits: [n], in which visit to the area.
    Visits that show new cells, longest first, become the database; those that mostly return to
    known cells become queries, without the images whose cell the database does not have. Where too
    few images are of second visits, every other image is a query.
    """
    cell = np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)
    seen: set[int] = set()
    database = np.zeros(len(cell), np.bool_)
    for rows in _longest_first(cell, visits):
        shown = set(cell[rows].tolist())
        if 2 * len(shown - seen) > len(shown):
            database[rows] = True
            seen |= shown
    queries = ~database & np.isin(cell, list(seen))
    if queries.sum() >= _MIN_QUERIES * len(cell):
        return Roles(database, queries, by_pass=True)
    odd = np.arange(len(cell)) % 2 == 1
    return Roles(~odd, odd, by_pass=False)


def number_visits(records: Records, passes: IntArray, inside: NDArray[np.bool_]) -> IntArray:
    """Return in which visit [n] to an area each image was taken; `inside` says which are in it.

    A visit ends with its pass, and when the camera leaves the area. Without stamps the time of
    leaving is unknown: then a pass is one visit.
    """
    order = np.lexsort((records.stamp_ns, passes))
    starts = np.ones(len(order), np.bool_)
    stamped = records.stamp_ns[order] > 0
    left = (inside[order][1:] != inside[order][:-1]) & stamped[1:] & stamped[:-1]
    starts[1:] = (passes[order][1:] != passes[order][:-1]) | left
    visits = np.empty(len(order), np.int64)
    visits[order] = np.cumsum(starts) - 1
    return visits


def _longest_first(cell: IntArray, visits: IntArray) -> list[IntArray]:
    """Return the rows of each visit, most cells first, and earlier ones first among equals."""
    order = np.argsort(visits, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(visits[order])) + 1)
    return sorted(parts, key=lambda rows: -len(np.unique(cell[rows])))


def _differs(records: Records, one: int, other: int, min_distance_m: float) -> bool:
    step: FloatArray = records.position[other] - records.position[one]
    turn = abs(float(wrap_angle(records.yaw_rad[other] - records.yaw_rad[one])))
    # False for NaN: an unknown direction is no turn.
    return float(np.linalg.norm(step)) >= min_distance_m or turn >= _MIN_TURN_RAD
