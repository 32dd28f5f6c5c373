"""Training that is killed at random moments; `make kills` kills each stage a hundred times."""

from pathlib import Path

import numpy as np
import pytest

from test.training_kills import STAGES, TrainingKills

KILLS = 3


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_kills_lose_no_epoch_that_was_saved(stage: str, dataset: Path, tmp_path: Path) -> None:
    training, rng = TrainingKills(stage, dataset, tmp_path), np.random.default_rng()
    for _ in range(KILLS):
        kill = training.kill(rng)
        assert kill.lost == 0
        assert kill.leftovers == ()
    training.check_history()
