"""Exact nearest neighbours of queries in a database of any size, block by block."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

# Rows compared at once: 1024 × 32768 distances take 128 MB.
_QUERY_BLOCK, _DATABASE_BLOCK = 1024, 32768


def nearest(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    count: int,
    device: torch.device,
    *,
    unit_length: bool = False,
) -> NDArray[np.int64]:
    """Return the rows [q, count] of the nearest database descriptors by L2 distance, best first.

    queries [q, D]; database [n, D], memory-mapped where it is large: one block of it is in memory
    at a time. A row of NaN (an unreadable image) is never near; where the database has fewer than
    `count` usable rows, -1 fills up. unit_length: descriptors are scaled to that first.
    """
    rows = np.full((len(queries), count), -1, np.int64)
    for start in range(0, len(queries), _QUERY_BLOCK):
        block = torch.from_numpy(np.array(queries[start : start + _QUERY_BLOCK])).to(device)
        found = _nearest(block, database, count, unit_length)
        rows[start : start + _QUERY_BLOCK] = found.cpu().numpy()
    return rows


def _nearest(
    queries: Tensor, database: NDArray[np.float32], count: int, unit_length: bool
) -> Tensor:
    if unit_length:
        queries = F.normalize(queries, dim=1)
    best = torch.full((len(queries), count), torch.inf, device=queries.device)
    rows = torch.full((len(queries), count), -1, device=queries.device)
    for start in range(0, len(database), _DATABASE_BLOCK):
        block = torch.from_numpy(np.array(database[start : start + _DATABASE_BLOCK]))
        block = block.to(queries.device)
        if unit_length:
            block = F.normalize(block, dim=1)
        # The squared distance without |q|², which orders nothing.
        distance = (block * block).sum(1) - 2 * queries @ block.T
        distance = distance.nan_to_num(nan=torch.inf)
        block_rows = torch.arange(start, start + len(block), device=queries.device)
        block_rows = torch.where(distance.isinf(), -1, block_rows.expand_as(distance))
        best, order = torch.cat([best, distance], 1).topk(count, largest=False, sorted=True)
        rows = torch.cat([rows, block_rows], 1).gather(1, order)
    return rows
