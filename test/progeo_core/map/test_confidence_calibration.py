import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.errors import DataError
from progeo_core.evaluation.metrics import reliability
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve, fit_curve
from progeo_core.map.place_map import PlaceMap


def answers(count, true_curve, seed=0):
    """Draw confidences, and whether each is right as often as the true curve says."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.05, 0.99, count)
    truth = np.array([true_curve.apply(value) for value in confidence])
    return confidence, rng.uniform(size=count) < truth


@pytest.mark.parametrize("true_curve", [ConfidenceCurve(-1.0, 0.7), ConfidenceCurve(0.8, 1.6)])
def test_fit_finds_the_curve_and_makes_other_answers_true(true_curve):
    curve = fit_curve(*answers(4000, true_curve))
    assert curve == pytest.approx(true_curve, abs=0.15)
    confidence, right = answers(4000, true_curve, seed=1)
    stated = np.array([curve.apply(value) for value in confidence])
    assert reliability(confidence, right).expected_error > 0.08
    assert reliability(stated, right).expected_error < 0.03


def test_only_right_or_no_answers_fit_a_finite_curve_near_the_start():
    curve = fit_curve(np.full(30, 0.95), np.ones(30, bool))
    assert np.isfinite(curve).all()
    assert 0.95 <= curve.apply(0.95) < 1.0
    assert fit_curve(np.empty(0), np.empty(0, bool)) == ConfidenceCurve()


@given(st.floats(0.0, 1.0), st.floats(-3.0, 3.0), st.floats(0.0, 5.0))
def test_curves_give_probabilities_and_compose(confidence, offset, slope):
    curve = ConfidenceCurve(offset, slope)
    assert 0.0 <= curve.apply(confidence) <= 1.0
    assert ConfidenceCurve().apply(confidence) == confidence
    inner = min(max(confidence, 0.05), 0.95)
    step = ConfidenceCurve(0.3, 0.8)
    assert step.then(curve).apply(inner) == pytest.approx(curve.apply(step.apply(inner)), abs=1e-6)


def test_contradiction_does_not_turn_the_curve_round():
    curve = fit_curve(np.repeat([0.1, 0.9], 50), np.repeat([True, False], 50))
    assert curve.slope == 0.0


def test_map_keeps_its_calibration_and_other_maps_have_none(filled_map):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        assert place_map.calibration() is None
        for slope in (2.0, 0.5):
            fitted = Calibration(ConfidenceCurve(0.1, slope), ConfidenceCurve(-0.2, 3.0))
            place_map.set_calibration(fitted)
    with PlaceMap.open(filled_map) as place_map:
        assert place_map.calibration() == fitted
        with pytest.raises(DataError, match="read-only"):
            place_map.set_calibration(fitted)
