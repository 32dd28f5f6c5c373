import numpy as np
import pytest

from progeo_core.localization.fitted_constants import VerificationConstants
from progeo_core.localization.inlier_evidence import (
    Compared,
    image_log_odds,
    inlier_log_odds,
    sequence_log_odds,
    shortfall_log_odds,
)

FITTED = VerificationConstants()
LINE = np.arange(3)[:, None] * [100.0, 0.0, 0.0]


def log_odds(*inliers, position=LINE, **known):
    return inlier_log_odds(Compared(np.array(inliers, float), position, 5.0, **known), FITTED)


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


def by_itself(*inliers, position=None, **known):
    if position is None:
        position = np.arange(len(inliers))[:, None] * [100.0, 0.0, 0.0]
    counts = np.array(inliers, float)
    return image_log_odds(Compared(counts, position, 5.0, **known), FITTED)


def test_lead_over_many_places_says_more_than_over_one_or_two():
    leads = [by_itself(60, *[20] * rivals)[0] for rivals in (0, 1, 2, 4, 6)]
    assert leads == sorted(leads)
    assert leads[-1] > leads[1] + 1.0
    # So it is with two that are much alike, not with six that differ as much as the place does.
    assert by_itself(60, 20, 55, 25, 50, 30, 45)[0] < leads[1]


def test_what_was_not_compared_changes_nothing():
    alone = by_itself(60, 20, 15)
    more = by_itself(60, 20, 15, np.nan, np.nan)
    assert more.tolist() == [*alone.tolist(), 0.0, 0.0]
    assert by_itself(np.nan, np.nan).tolist() == [0.0, 0.0]


def test_image_by_itself_fits_no_place_that_shares_what_wrong_ones_do():
    assert max(by_itself(20, 18, 22, 19, 16)) < -1.0
    assert by_itself(8)[0] < -1.0
    # Where wrong places share much, as many say nothing for one that shares as much.
    assert by_itself(60, 55, 62, 58, 65)[0] < 0.0 < by_itself(60, 20, 18, 22, 19)[0]


def test_more_inliers_never_say_less():
    odds = [by_itself(inliers, 20, 18, 25)[0] for inliers in (25, 40, 60, 90, 150, 300, 1000)]
    assert odds == sorted(odds)
    assert odds[-1] == pytest.approx(FITTED.highest)


def test_what_falls_short_of_the_usual_counts_and_what_exceeds_it_does_not():
    usual = FITTED.right_inliers
    log_odds = shortfall_log_odds(np.array([20.0, 60.0, usual, 10.0 * usual]), FITTED)
    assert log_odds[0] < -2.0 < log_odds[1] < log_odds[2] == log_odds[3] == 0.0


def test_neighbours_are_no_rivals_of_an_image_by_itself():
    near = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [100.0, 0.0, 0.0]])
    with_neighbour = by_itself(90, 80, 20, position=near)
    assert with_neighbour[0] == by_itself(90, 20)[0]


def test_image_by_itself_says_less_where_places_look_alike_or_it_shows_little():
    alike = by_itself(300, 20, 20, look_alikes=1.0)
    assert alike[0] == pytest.approx(FITTED.highest - FITTED.alike_odds)
    alone, doubted = by_itself(60)[0], by_itself(60, look_alikes=0.5)[0]
    assert doubted < alone - 0.5 * FITTED.alike_odds
    assert by_itself(8, 20, 20, detail=0.1)[0] == pytest.approx(0.1 * by_itself(8, 20, 20)[0])


def in_sequence(*inliers, **known):
    position = np.arange(len(inliers))[:, None] * [100.0, 0.0, 0.0]
    return sequence_log_odds(Compared(np.array(inliers, float), position, 5.0, **known), FITTED)


def test_in_a_sequence_one_rival_counts_less_the_more_others_agree():
    few, many = in_sequence(55, 44, 22, 28, 21), in_sequence(55, 44, *[22, 28, 21] * 4)
    assert many[0] > few[0] + 1.0
    # The lead over a rival tells which of them is right, all the same.
    assert many[0] > many[1] + 0.5


def test_in_a_sequence_a_place_hardly_believed_takes_nothing_from_one_that_leads():
    position = np.arange(5)[:, None] * [100.0, 0.0, 0.0]
    lead = log_odds(60, 20, 22, 18, 21, position=position)[0]
    assert in_sequence(60, 20, 22, 18, 21, 58)[0] >= lead
    assert in_sequence(60, 58, 22, 18, 21)[0] < lead - 1.0


def test_where_many_places_look_alike_all_rivals_count_and_only_they():
    inliers = (55, 44, *[22, 28, 21] * 4, 50)
    position = np.arange(len(inliers))[:, None] * [100.0, 0.0, 0.0]
    alike = in_sequence(*inliers, look_alikes=0.5)
    np.testing.assert_allclose(alike, log_odds(*inliers, position=position, look_alikes=0.5))
