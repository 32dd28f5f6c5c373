"""Drop places of a fleet's store that tell nothing new, by the rule of a single map."""

from __future__ import annotations

import time

import numpy as np

from progeo_core.fleet.region import Region
from progeo_core.fleet.store import FleetPlaces, FleetStore
from progeo_core.geo import Datum, enu_from_wgs84
from progeo_core.map.places import PlaceTable
from progeo_core.map.prune import PruneReport, PruneSettings, rows_to_drop
from progeo_core.progress import Advance, no_progress


def prune_fleet(
    store: FleetStore,
    settings: PruneSettings,
    region: Region | None = None,
    *,
    advance: Advance = no_progress,
) -> PruneReport:
    """Drop places that a newer place of a camera of that name can stand for; see `prune_map`.

    All places of the region, or of the store, are compared in memory: about 1 KB for each of 512
    values. Places with stamps in the future count as the oldest ones. `advance` counts places.
    """
    blocks = list(store.region(region, content=False))
    if not blocks:
        return PruneReport(0, 0, 0)
    ids = np.array([one for block in blocks for one in block.ids])
    descriptors = np.concatenate([block.descriptors for block in blocks])
    table = _table(blocks)
    dropped = rows_to_drop(table, lambda rows: descriptors[rows], settings, advance=advance)
    chosen = table.ids[dropped.redundant + dropped.surplus]
    if len(chosen):
        store.compact(ids[chosen].tolist())
    return PruneReport(len(ids), len(dropped.redundant), len(dropped.surplus))


def _table(blocks: list[FleetPlaces]) -> PlaceTable:
    """Return the places in one frame, oldest first; ids are rows of the blocks together."""
    geodetic = np.concatenate([block.geodetic for block in blocks])
    stamp_ns = np.concatenate([block.places.stamp_ns for block in blocks])
    age = np.where(stamp_ns > time.time_ns(), 0, stamp_ns)
    order = np.argsort(age, kind="stable")
    camera, traverse, image = (
        [name for block in blocks for name in getattr(block.places, column)]
        for column in ("camera", "traverse", "image")
    )
    return PlaceTable(
        ids=order.astype(np.int64),
        position=enu_from_wgs84(geodetic, Datum(*geodetic[0]))[order],
        yaw_rad=np.concatenate([block.places.yaw_rad for block in blocks])[order],
        stamp_ns=stamp_ns[order],
        camera=tuple(camera[row] for row in order),
        traverse=tuple(traverse[row] for row in order),
        image=tuple(image[row] for row in order),
    )
