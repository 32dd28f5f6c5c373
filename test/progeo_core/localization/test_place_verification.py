import numpy as np
import pytest

from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import Belief
from progeo_core.localization.place_verification import (
    PlaceVerifier,
    WeightedMatches,
    prior_of_places,
    rival_places,
    weigh_places,
)
from progeo_core.localization.ranking import Query
from test.progeo_core.localization.conftest import random_descriptors

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


class CountingVerifier(PlaceVerifier):
    """Verification by given inliers of each row, which notes the rows that it compared."""

    def __init__(self, prepared, inliers):
        super().__init__(prepared, 15.0)
        self.given, self.compared = inliers, []

    def inliers(self, query, row):
        self.compared.append(row)
        return float(self.given.get(row, 0))

    def detail(self, query):
        return 1.0


def verify(prepared, inliers, budget_ms=10_000, confidence=0.3, count=30):
    """Return the result for places that weigh less and less, and the rows that were compared."""
    verifier = CountingVerifier(prepared, inliers)
    rows, weight = np.arange(count), 0.99 ** np.arange(count)
    query = Query(0, "", np.zeros(64, np.float32), np.zeros(64, np.float32), rows, None)
    settings = LocalizerSettings(verification_ms=budget_ms)
    matches = WeightedMatches(rows, weight, confidence, 1.0)
    verified = verifier.weigh_matches(query, matches, settings)
    return verified, verifier.compared


def test_one_image_of_each_place_is_compared_the_heaviest_first(prepare):
    # Places are 10 m apart and 15 m wide: each takes its neighbours with it.
    verified, compared = verify(prepare(random_descriptors(40)), {6: 200})
    assert compared[:4] == [0, 2, 4, 6]
    assert verified.weight.argmax() == 6
    assert verified.weight[7] > verified.weight[0]


def test_comparing_ends_once_the_answer_is_sure(prepare):
    _, compared = verify(prepare(random_descriptors(40)), {0: 300}, confidence=0.8)
    assert compared == [0, 2, 4]


def test_without_time_three_places_are_compared(prepare):
    _, compared = verify(prepare(random_descriptors(40)), {}, budget_ms=1)
    assert len(compared) >= 3
    _, with_time = verify(prepare(random_descriptors(40)), {})
    assert len(with_time) == 7


def test_belief_of_a_sequence_is_weighed_by_place(prepare):
    prepared = prepare(random_descriptors(40))
    verifier = CountingVerifier(prepared, {20: 200})
    rows = np.array([5, 6, 20, 30])
    position = prepared.places.position[rows]
    belief = Belief(rows, np.array([0.4, 0.2, 0.2, 0.1]), position, np.zeros(4), np.zeros(4), 0.1)
    query = Query(0, "", np.zeros(64, np.float32), np.zeros(64, np.float32), rows, None)
    odds = verifier.log_odds(query, belief, LocalizerSettings(verification_ms=10_000))
    assert verifier.compared[:2] == [5, 20]
    assert odds[0] == odds[1] < 0.0 < odds[2]


def test_where_a_sequence_is_undecided_many_places_are_compared_but_not_alike_ones(prepare):
    prepared = prepare(random_descriptors(40))
    rows, even = np.arange(40), np.full(40, 0.02)
    belief = Belief(rows, even, prepared.places.position, np.zeros(40), np.zeros(40), 0.2)
    query = Query(0, "", np.zeros(64, np.float32), np.zeros(64, np.float32), rows, None)
    for look_alikes, places in ((0.0, 16), (0.5, 5)):
        verifier = CountingVerifier(prepared, {})
        verifier.look_alikes = look_alikes
        verifier.log_odds(query, belief, LocalizerSettings(verification_ms=10_000))
        assert len(verifier.compared) == places


def test_what_the_image_resembles_is_a_rival_of_what_the_sequence_believes():
    position = np.arange(9)[:, None] * [10.0, 0.0, 0.0]
    probability = 0.5 ** np.arange(1.0, 10.0)
    similarity = np.zeros(9)
    similarity[7] = 0.9
    belief = Belief(np.arange(9), probability, position, similarity, np.zeros(9), 0.1)
    assert rival_places(belief, 4.0, 5).tolist() == [0, 1, 3, 4, -1, -1, -1, 2, -1]
    assert rival_places(belief._replace(similarity=-np.arange(9.0)), 14.0, 5).max() == 4
    one = Belief(np.array([4]), np.ones(1), np.zeros((1, 3)), np.ones(1), np.ones(1), 0.0)
    assert rival_places(one, 4.0, 5).tolist() == [0]
