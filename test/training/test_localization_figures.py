"""What answers to a scene cost."""

import math
from pathlib import Path

import numpy as np
import pytest

TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture
def figures_of(monkeypatch):
    """Return a function that makes figures of ten images, two of them off the map."""
    monkeypatch.syspath_prepend(str(TRAINING))
    from localization_figures import Outcome, figures

    def make(accepted, right):
        on_map = np.arange(10) < 8
        accepted, right = (np.isin(np.arange(10), rows) for rows in (accepted, right))
        confidence = np.where(accepted, 0.95, np.where(right, 0.8, 0.1))
        # Clips of four images.
        clip = np.array(list("aaaabbbbcc"))
        along = np.where(np.arange(10) == 3, 1.7, np.where(np.arange(10) == 2, 1.6, np.nan))
        return figures(Outcome(confidence, accepted, right, right, on_map, right, along, clip))

    return make


def test_figures_count_what_is_accepted_on_and_off_the_map(figures_of):
    found = figures_of(accepted=[2, 3, 4, 9], right=[0, 1, 2, 3])
    assert (found.on_map, found.off_map) == (8, 2)
    assert (found.accepted, found.wrong, found.off_map_accepted) == (2, 1, 1)
    assert (found.recall, found.share, found.precision) == (0.5, 0.5, 0.5)
    assert found.first == 3.0
    # One of two clips, the third is not on the map.
    assert found.found == 0.5
    assert found.ellipse == 1.0
    assert found.along == 0.5
    stated_of_what_came_true = [0.8] * 2 + [0.95] * 2 + [0.05] * 2 + [0.9] * 4
    assert found.loss == pytest.approx(-np.mean(np.log(stated_of_what_came_true)))


def test_a_wrong_answer_costs_more_than_some_right_ones_that_are_withheld(figures_of):
    everything = list(range(8))
    assert figures_of(accepted=[0, 1, 2, 3], right=everything).cost < (
        figures_of(accepted=everything, right=everything[1:]).cost
    )
    assert figures_of(accepted=[], right=everything).precision == 1.0
    assert figures_of([*everything, 8], everything).cost > figures_of(everything, everything).cost


def test_nothing_that_is_on_the_map_is_no_figure(figures_of):
    found = figures_of(accepted=[], right=[])
    assert math.isnan(found.share)
    assert math.isnan(found.first)
    assert found.cost < 0.3
