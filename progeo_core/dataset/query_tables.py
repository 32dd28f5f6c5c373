"""Tables of the queries of a data set in the order of time, which their names do not keep."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from progeo_core.dataset.names import named_positions
from progeo_core.dataset.passes import time_order
from progeo_core.dataset.plan import Fate, Plan
from progeo_core.geo import Datum
from progeo_core.records.records import Records, write_records

_QUERIES = (Fate.VAL_QUERIES, Fate.TEST_QUERIES)


def write_query_tables(
    folder: Path, records: Records, plan: Plan, names: Sequence[str], datum: Datum | None = None
) -> None:
    """Write `val/queries.csv` and `test/queries.csv`, where there are queries.

    One traverse follows the other, each in the order of time. Rows have all that is known of an
    image but its depth; positions are in the frame of the names, see `named_positions`.
    """
    order = time_order(records)
    placed = named_positions(records, datum)
    for fate in _QUERIES:
        rows = order[np.isin(order, plan.rows_of(fate))]
        if rows.size:
            images = folder / fate.value
            queries = dataclasses.replace(
                placed.select(rows), images=tuple(images / names[row] for row in rows), depth=()
            )
            write_records(images.with_name(f"{images.name}.csv"), queries)
