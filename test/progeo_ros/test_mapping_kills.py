"""The mapping node in a process of its own, killed at random moments, its map continued by others.

`python -m test.benchmarks --only mapping_kills` does the same a hundred times.
"""

from pathlib import Path

import numpy as np
import pytest

from test.mapping_kills import kill_while_mapping, private_environment

pytestmark = pytest.mark.slow  # every test waits for a process that loads a network

KILLS = 4


def test_kills_at_random_moments_lose_nothing_that_was_acknowledged(
    corridor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in private_environment().items():
        monkeypatch.setenv(name, value)
    rng = np.random.default_rng()
    path, files = tmp_path / "site.progeo", sorted((corridor / "ref").glob("*.jpg"))
    total = 0
    for number in range(KILLS):
        kill = kill_while_mapping(path, files, rng, saving=number % 2 == 1)
        assert kill.acknowledged > 0
        assert kill.total == total + kill.found
        total = kill.total
