"""Nearest of a store of any size: `python -m test.benchmarks.fleet_nearest COUNT`.

Drives as in `fleet_benchmark`, with thumbnails of 64 bytes, in a folder that goes afterwards. Three
million take a quarter of an hour of processor time.
"""

from __future__ import annotations

import datetime
import sys
import tempfile

import lancedb

from progeo_core.fleet.lance_store import open_fleet
from test.benchmarks.clustered_map import FINGERPRINT, Clusters
from test.benchmarks.fleet_benchmark import fill, nearest_row, processor_s


def main(count: int) -> None:
    """Fill, index and search a store."""
    clusters = Clusters.draw(count)
    with tempfile.TemporaryDirectory() as folder:
        store = open_fleet(folder, FINGERPRINT)
        newest = datetime.timedelta(0)
        table = lancedb.connect(folder, read_consistency_interval=newest).open_table("places")
        fill(store, table, clusters, count, thumbnail_bytes=64)
        print(f"compact: {processor_s(store.compact):.0f} s of processor time", flush=True)
        print(nearest_row(store, table, clusters))
        info = store.info()
        indexes = sum(one.size_bytes or 0 for one in table.list_indices())
        print(f"bytes of a place: {(info.size_bytes + indexes) / info.places:.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
