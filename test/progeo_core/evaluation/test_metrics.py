import json
import math

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.evaluation.metrics import evaluate, precision_recall, radius_text, reliability
from progeo_core.localization.answer import Localization, Match
from progeo_core.poses.pose_estimate import PoseEstimate

DATABASE = np.array([[x, 0.0, 0.0] for x in range(0, 100, 10)], dtype=float)


def answer(x_m, confidence=0.5, accepted=True, places=(), sigma_m=1.0):
    covariance = np.diag([sigma_m**2] * 2 + [1.0] * 4)
    matches = tuple(
        Match(i, 0.5, np.array([p, 0.0, 0.0]), math.nan, "") for i, p in enumerate(places)
    )
    estimate = PoseEstimate(np.array([x_m, 0.0, 0.0]), math.nan, covariance, confidence)
    return Localization(
        0, "", estimate, None, accepted, "LOCALIZED", "", matches, np.zeros(1, np.float32)
    )


def truth(*x_m):
    return np.array([[x, 0.0, 0.0] for x in x_m])


def test_query_counts_at_n_if_one_of_its_n_best_places_is_near():
    answers = [answer(0, places=[0, 50]), answer(0, places=[50, 60, 0]), answer(0, places=[70, 80])]
    recall = evaluate(answers, truth(1, 1, 1), DATABASE, 5.0).recall_at
    assert recall == pytest.approx({1: 1 / 3, 5: 2 / 3, 10: 2 / 3, 20: 2 / 3})


def test_queries_without_positives_stay_in_the_denominator_and_are_counted_when_accepted():
    answers = [answer(0, places=[0]), answer(0, places=[0]), answer(0, places=[0], accepted=False)]
    found = evaluate(answers, truth(0, 500, 600), DATABASE, 5.0)
    assert found.recall_at[1] == pytest.approx(1 / 3)
    assert (found.off_map_accepts, found.false_accepts) == (1, 1)
    assert found.to_json()["protocol"]["with_positives"] == 1


def test_the_recall_of_chance_is_the_share_of_places_within_the_radius():
    answers = [answer(0), answer(0)]
    assert evaluate(answers, truth(0, 500), DATABASE, 10.0).chance == pytest.approx((0.2 + 0) / 2)


def test_heights_do_not_count():
    found = evaluate([answer(0, places=[0])], np.array([[0.0, 0.0, 99.0]]), DATABASE, 5.0)
    assert found.recall_at[1] == 1.0
    assert found.error_m[0] == 0.0


def test_precision_recall_of_a_known_ranking():
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    curve = precision_recall(confidence, np.array([True, True, False, True]), 4)
    np.testing.assert_allclose(curve.precision, [1, 1, 2 / 3, 3 / 4])
    np.testing.assert_allclose(curve.recall, [0.25, 0.5, 0.5, 0.75])
    assert curve.recall_at(1.0) == 0.5
    assert curve.recall_at(0.7) == 0.75
    assert curve.area == pytest.approx(0.25 + 0.25 + 0.25 * 0.75)


def test_equal_confidences_are_accepted_together():
    curve = precision_recall(np.array([0.9, 0.9]), np.array([True, False]), 2)
    assert curve.precision.tolist() == [0.5]
    assert curve.recall_at(1.0) == 0.0


def test_reliability_of_answers_that_are_right_as_often_as_stated():
    stated = np.repeat([0.25, 0.75], 100)
    right = np.concatenate([np.arange(100) < 25, np.arange(100) < 75])
    assert reliability(stated, right).expected_error == pytest.approx(0.0)
    assert reliability(np.full(4, 0.95), np.zeros(4, bool)).expected_error == pytest.approx(0.95)


def test_gaussian_errors_fill_the_ellipses_as_stated():
    rng = np.random.default_rng(0)
    offsets = rng.normal(0.0, 2.0, (4000, 2))
    answers = [answer(0, sigma_m=2.0) for _ in offsets]
    where = np.column_stack([offsets, np.zeros(len(offsets))])
    found = evaluate(answers, where, DATABASE, 50.0).consistency
    np.testing.assert_allclose(found.coverage, [0.5, 0.9, 0.99], atol=0.02)
    assert found.nees == pytest.approx(2.0, abs=0.1)


def test_json_has_the_documented_keys_and_no_nan():
    sequence = [answer(1, 0.99, places=[0])]
    single = [answer(30, 0.2, accepted=False, places=[30])]
    figures = evaluate(single, truth(1), DATABASE, 5.0, sequence).to_json()
    read = json.loads(json.dumps(figures, allow_nan=False))
    assert {
        "schema",
        "queries",
        "database",
        "protocol",
        "recall_at",
        "position_error_m",
        "recall_at_precision",
        "auc_pr",
        "sequence",
    } <= set(read)
    assert set(read["recall_at"]) == {"1", "5", "10", "20"}
    assert set(read["position_error_m"]) == {"median", "p90"}
    assert set(read["recall_at_precision"]) == {"1.00", "0.99"}
    assert {"accepted", "false_accepts", "off_map_accepts"} <= set(read["sequence"])
    assert read["recall_at"]["1"] == 0.0
    assert read["sequence"]["recall_at"]["1"] == 1.0
    assert read["nees"] is None


def test_answers_and_truths_must_pair_up():
    with pytest.raises(DataError, match="0 answers for 0"):
        evaluate([], truth().reshape(0, 3), DATABASE, 5.0)
    with pytest.raises(DataError, match="1 answers for 2"):
        evaluate([answer(0)], truth(0, 1), DATABASE, 5.0)


@pytest.mark.parametrize(
    ("radius_m", "said"),
    [(9.13433, "9.13 m"), (2.5, "2.5 m"), (25.0, "25 m"), (1234.5, "1234.5 m")],
)
def test_a_radius_has_two_decimals_at_most(radius_m, said):
    assert radius_text(radius_m) == said
