"""Programs that change a map, killed at random moments; `make kills` kills each a hundred times."""

import os
from pathlib import Path

import numpy as np
import pytest

from test.map_kills import CASES, kill_once

KILLS = 3


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_kills_lose_nothing_that_was_acknowledged(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "big"))
    for _ in range(KILLS):
        kill = kill_once(name, tmp_path, rng)
        assert kill.lost == 0
        assert kill.leftovers == ()
