import numpy as np
import pytest

from progeo_core.localization.place_verification import rerank_places

WEIGHT = np.array([1.0, 0.5, 0.8, 0.1])
PLACE = np.array([0, 0, 1, -1])


def test_views_that_say_nothing_change_nothing():
    checked = rerank_places(0.6, WEIGHT, PLACE, np.zeros(2))
    assert checked.confidence == pytest.approx(0.6)
    assert checked.weight.argmax() == 0


def test_view_that_fits_the_best_place_makes_it_surer():
    assert rerank_places(0.6, WEIGHT, PLACE, np.array([3.0, -1.0])).confidence > 0.95


def test_view_that_fits_another_place_moves_the_weight_there():
    checked = rerank_places(0.6, WEIGHT, PLACE, np.array([-1.0, 4.0]))
    assert checked.weight.argmax() == 2
    assert checked.confidence > 0.9


def test_views_that_fit_nowhere_leave_it_unsure():
    checked = rerank_places(0.6, WEIGHT, PLACE, np.array([-1.0, -1.0]))
    assert checked.confidence < 0.6


def test_image_from_off_the_map_is_not_made_sure_by_chance():
    # Five places that look equally little alike, one with some matches of features.
    checked = rerank_places(0.01, np.ones(5), np.arange(5), np.array([0.0, 2.0, 0, 0, 0]))
    assert checked.confidence < 0.1


def test_one_place_and_full_confidence_are_probabilities():
    only = rerank_places(1.0, np.ones(1), np.zeros(1, np.int64), np.array([-1.0]))
    assert only.confidence == pytest.approx(1.0)
    assert np.isfinite(only.weight).all()
