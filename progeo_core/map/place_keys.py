"""Which image of a table or bag is which place of a map."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from progeo_core.map.place_map import IdArray, PlaceTable
from progeo_core.map.place_rows import storable_name
from progeo_core.records.records import Records

# Name of an image, its traverse and stamp (ns).
_Key: TypeAlias = tuple[str, str, int]


def rows_of_records(table: PlaceTable, records: Records) -> IdArray:
    """Return the row of the place of every image [n]: same name, traverse and stamp; -1 none.

    Maps of earlier versions have the names of files as seen from a working folder: so they are
    looked for from this one, too.
    """
    rows = {key: row for row, key in enumerate(_place_keys(table))}
    folder = Path.cwd()

    def row_of(key: _Key) -> int:
        if (row := rows.get(key)) is not None:
            return row
        image, traverse, stamp_ns = key
        seen = os.path.relpath(image, folder) if image.startswith("/") else image
        return rows.get((seen, traverse, stamp_ns), -1)

    return np.array([row_of(key) for key in _record_keys(records)], np.int64)


def rows_of_moved_records(table: PlaceTable, records: Records) -> IdArray:
    """Return the row of the place of every image [n] whose folder may be elsewhere now; -1 none.

    Without its folder, a name counts only where one place and one image have it.
    """
    rows = rows_of_records(table, records)
    free = set(range(len(table.ids))) - set(rows.tolist())
    places = _by_file_name(_place_keys(table))
    for key, record in _by_file_name(_record_keys(records)).items():
        if rows[record] < 0 and places.get(key) in free:
            rows[record] = places[key]
    return rows


def first_rows(records: Records) -> NDArray[np.bool_]:
    """Return whether each image [n] is the first of its name, traverse and stamp."""
    rows: dict[_Key, int] = {}
    first = [rows.setdefault(key, row) == row for row, key in enumerate(_record_keys(records))]
    return np.array(first, np.bool_)


def _place_keys(table: PlaceTable) -> Iterator[_Key]:
    return zip(table.image, table.traverse, table.stamp_ns.tolist(), strict=True)


def _record_keys(records: Records) -> Iterator[_Key]:
    images = (storable_name(str(image)) for image in records.images)
    traverses = map(storable_name, records.traverse)
    return zip(images, traverses, records.stamp_ns.tolist(), strict=True)


def _by_file_name(keys: Iterator[_Key]) -> dict[_Key, int]:
    """Return the rows of keys without folders, where one row has it."""
    short: Sequence[_Key] = [
        (PurePath(image).name, traverse, stamp_ns) for image, traverse, stamp_ns in keys
    ]
    counts = collections.Counter(short)
    return {key: row for row, key in enumerate(short) if counts[key] == 1}
