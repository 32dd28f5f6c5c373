import numpy as np
import pytest

from progeo_core.localization.image_verification import (
    ImageVerifier,
    WeightedMatches,
    prior_of_places,
    weigh_places,
)
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.ranking import Query
from test.progeo_core.localization.conftest import CountingVerifier, random_descriptors

WEIGHT = np.array([1.0, 0.5, 0.8, 0.1])
PLACE = np.array([0, 0, 1, -1])


def weigh(confidence, log_odds, weight=WEIGHT, place=PLACE, presence=1.0):
    matches = WeightedMatches(np.arange(len(weight)), weight, confidence, presence)
    prior = prior_of_places(matches, place)
    return weigh_places(weight, place, prior, np.array(log_odds, float))


def test_views_that_say_nothing_change_nothing():
    verified = weigh(0.6, [0.0, 0.0])
    assert verified.confidence == pytest.approx(0.6)
    assert verified.weight.argmax() == 0


def test_view_that_fits_the_best_place_makes_it_surer():
    assert weigh(0.6, [3.0, -1.0]).confidence > 0.95


def test_view_that_fits_another_place_moves_the_weight_there():
    verified = weigh(0.6, [-1.0, 4.0])
    assert verified.weight.argmax() == 2
    assert verified.confidence > 0.9


def test_views_that_fit_nowhere_leave_it_unsure():
    assert weigh(0.6, [-1.0, -1.0]).confidence < 0.6


def test_image_from_off_the_map_is_not_made_sure_by_chance():
    # Five places that look equally little similar, one with some inliers.
    verified = weigh(0.01, [0.0, 2.0, 0, 0, 0], np.ones(5), np.arange(5))
    assert verified.confidence < 0.1


def test_other_places_are_no_more_probable_than_that_the_image_is_of_the_map():
    surely, hardly = (weigh(0.3, [-2.0, 4.0], presence=one) for one in (1.0, 0.32))
    assert surely.confidence > 0.9
    assert hardly.confidence < 0.7


def test_what_was_not_compared_ranks_no_better_for_it():
    verified = weigh(0.6, [-2.0, -3.0], np.array([1.0, 0.5, 0.8, 0.7]))
    assert verified.weight.argsort().tolist()[-1] == 0
    # Nor for the image being probably off the map.
    assert weigh(0.2, [0.0, 0.0], presence=0.25).weight.argmax() == 0


def test_one_place_and_full_confidence_are_probabilities():
    only = weigh(1.0, [-1.0], np.ones(1), np.zeros(1, np.int64))
    assert only.confidence == pytest.approx(1.0)
    assert np.isfinite(only.weight).all()


def verify(prepared, inliers, budget_ms=10_000, confidence=0.3, count=30, magnified=0.0):
    """Return the result for places that weigh less and less, and the rows that were compared."""
    verifier = CountingVerifier(prepared, inliers)
    verifier.magnified = magnified
    rows, weight = np.arange(count), 0.99 ** np.arange(count)
    query = Query(0, "", np.zeros(64, np.float32), np.zeros(64, np.float32), rows, None)
    settings = LocalizerSettings(verification_ms=budget_ms)
    matches = WeightedMatches(rows, weight, confidence, 1.0)
    verified = ImageVerifier(prepared, 15.0, verifier).weigh(query, matches, settings)
    return verified, verifier.compared


def test_one_image_of_each_place_is_compared_the_heaviest_first_then_those_around(prepare):
    # Places are 10 m apart and 15 m wide: each takes its neighbours with it.
    verified, compared = verify(prepare(random_descriptors(40)), {6: 200, 7: 90})
    assert compared[:5] == [0, 2, 4, 6, 8]
    # Beside it no other is near as probable.
    assert compared[5:] == [7]
    assert verified.weight.argmax() == 6
    assert verified.weight[7] > verified.weight[0]


def test_comparing_ends_once_the_answer_is_sure(prepare):
    _, compared = verify(prepare(random_descriptors(40)), {4: 300}, confidence=0.8)
    assert compared[:5] == [0, 2, 4, 6, 8]
    assert compared[5:] == [5]


def test_the_answer_is_where_inliers_peak_beside_the_image_that_was_compared_first(prepare):
    # The first of the images of a place shares much, and one just beyond the place more.
    shared = {4: 90, 5: 110, 6: 140, 7: 220, 8: 150, 9: 60}
    verified, compared = verify(prepare(random_descriptors(40)), shared, confidence=0.8)
    assert 7 in compared
    assert verified.weight.argmax() == 7


def test_where_the_map_ends_an_image_from_farther_on_is_not_sure(prepare):
    prepared = prepare(random_descriptors(30))
    (amid, same), (at_end, ahead) = (
        [
            verify(prepared, {row: 900}, confidence=0.05, magnified=one)[0].confidence
            for one in (0.0, 0.6)
        ]
        for row in (10, 0)
    )
    assert amid == same
    assert at_end > 0.7
    assert ahead < 0.3
    far, _ = verify(prepared, {0: 900}, confidence=1.0, magnified=9.0)
    assert far.confidence < 1e-6


def test_without_time_three_places_are_compared(prepare):
    _, compared = verify(prepare(random_descriptors(40)), {}, budget_ms=1)
    assert len(compared) >= 3
    _, with_time = verify(prepare(random_descriptors(40)), {})
    # Twelve places, and what is around the first.
    assert with_time == [*range(0, 24, 2), 1, 3]


def test_places_without_local_features_change_nothing(prepare):
    unknown = dict.fromkeys(range(40), np.nan)
    verified, _ = verify(prepare(random_descriptors(40)), unknown)
    assert verified.confidence == pytest.approx(0.3)
    assert verified.weight.argmax() == 0
