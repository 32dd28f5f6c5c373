import numpy as np
import pytest

from progeo_core.localization.fitted_constants import SequenceConstants
from progeo_core.localization.image_evidence import place_log_odds

FITTED = SequenceConstants()
# A map of unlike places, as an image of one of them sees it, and one from elsewhere.
USUAL = np.random.default_rng(0).normal(0.0, 0.08, 100)


def log_odds(similarity, usual=USUAL, far_spread=0.08):
    return place_log_odds(np.array(similarity), usual, far_spread, FITTED)


def test_what_stands_out_gains_and_what_looks_as_any_place_does_loses():
    odds = log_odds([0.35, 0.0])
    assert odds[0] > 2.0
    assert odds[1] < -1.0


def test_the_scale_of_a_model_says_nothing():
    # A model whose similarities spread half as far gives the same evidence.
    np.testing.assert_allclose(
        log_odds([0.3, 0.1]), log_odds([0.15, 0.05], USUAL / 2.0, far_spread=0.04)
    )


def test_in_other_light_a_place_that_stands_out_counts_for_more():
    # Poor light makes everything less alike; what matters is then what stands out.
    assert log_odds([0.15], USUAL / 3.0)[0] > log_odds([0.15])[0] + 0.5


@pytest.mark.parametrize("usual", [np.zeros(1), np.full(5, 0.3)])
def test_a_map_of_one_spot_gives_finite_evidence(usual):
    assert np.isfinite(log_odds([0.3, 0.0], usual)).all()
