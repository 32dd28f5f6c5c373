import numpy as np
import pytest

from progeo_core.localization.fitted_constants import VerificationConstants
from progeo_core.localization.inlier_evidence import inlier_log_odds

FITTED = VerificationConstants()
LINE = np.arange(3)[:, None] * [100.0, 0.0, 0.0]


def log_odds(*inliers, position=LINE, **known):
    return inlier_log_odds(np.array(inliers, float), position, 5.0, FITTED, **known)


def test_the_place_with_most_inliers_gains_and_the_others_lose():
    odds = log_odds(200, 10, 5)
    assert odds.argmax() == 0
    assert odds[0] > 2.0
    assert max(odds[1:]) < 0.0


def test_where_places_elsewhere_share_as_many_inliers_they_say_less():
    alone, rivalled = log_odds(100, 5, 5), log_odds(100, 95, 5)
    assert rivalled[0] < alone[0] - 1.0
    assert abs(rivalled[0] - rivalled[1]) < 0.5


def test_an_image_from_elsewhere_speaks_against_all_places():
    # As many inliers come by chance.
    odds = log_odds(10, 9, 8)
    assert max(odds) < -1.0
    assert odds[0] - odds[2] < 0.5


def test_a_neighbour_is_no_rival():
    near = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [100.0, 0.0, 0.0]])
    assert log_odds(90, 80, 5, position=near)[0] == log_odds(90, 5, 5, position=near)[0]


def test_what_was_not_compared_says_nothing():
    assert log_odds(np.nan, np.nan, np.nan).tolist() == [0.0, 0.0, 0.0]
    assert log_odds(np.nan, 150, 5)[0] == 0.0


def test_evidence_is_bounded():
    odds = log_odds(100_000, 0, 0)
    assert odds[0] == pytest.approx(FITTED.highest)
    assert odds[1] == pytest.approx(FITTED.lowest)


def test_a_lead_says_little_where_the_map_has_places_built_alike():
    # A floor that is not mapped has more in common with one of those that are than with the others.
    one, many = log_odds(120, 80, 5), log_odds(120, 80, 5, look_alikes=1.0)
    assert one[0] > 0.5
    assert many[0] < 0.0
    assert many.argsort().tolist() == one.argsort().tolist()
    assert log_odds(100_000, 80, 5, look_alikes=1.0)[0] == pytest.approx(FITTED.highest)


def test_what_a_blank_wall_does_not_share_says_little_against_a_place():
    assert min(log_odds(0, 14, 0, detail=0.1)) > -0.5
    assert log_odds(0, 14, 0, detail=0.0).tolist() == [0.0, 0.0, 0.0]
    # What it shares counts all the same.
    assert log_odds(120, 14, 0, detail=0.1)[0] == log_odds(120, 14, 0)[0]


def test_inliers_say_less_of_an_image_by_itself():
    by_itself, in_sequence = log_odds(70, 20, 15, single=True), log_odds(70, 20, 15)
    assert 0.0 < by_itself[0] < in_sequence[0]
    assert in_sequence[1] < by_itself[1] < 0.0
