"""Commands that are killed at random moments; `make kills` kills each a hundred times."""

from pathlib import Path

import numpy as np
import pytest

from test.command_kills import CASES, CommandKills

KILLS = 2


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_kills_leave_what_was_there_or_all_of_what_is_new(name: str, tmp_path: Path) -> None:
    command, rng = CommandKills(name, tmp_path), np.random.default_rng()
    for _ in range(KILLS):
        kill = command.kill(rng)
        assert kill.lost == 0
        assert kill.leftovers == ()
