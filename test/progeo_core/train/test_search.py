from unittest import mock

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from progeo_core.train import search


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 12), st.integers(0, 1000))
def test_blocks_find_what_the_whole_table_does(
    places: int, queries: int, count: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    database = random.standard_normal((places, 5)).astype(np.float32)
    asked = random.standard_normal((queries, 5)).astype(np.float32)
    database[random.random(places) < 0.2] = np.nan
    with (
        mock.patch.object(search, "_QUERY_BLOCK", 4),
        mock.patch.object(search, "_DATABASE_BLOCK", 7),
    ):
        found = search.nearest(asked, database, count, torch.device("cpu"))
    distance = np.linalg.norm(asked[:, None] - database[None], axis=2)
    order = np.argsort(distance, axis=1)[:, :count]  # NaN comes last
    usable = int(np.isfinite(database[:, 0]).sum())
    expected = np.full((queries, count), -1)
    expected[:, : min(usable, count)] = order[:, :usable]
    np.testing.assert_array_equal(found, expected)
