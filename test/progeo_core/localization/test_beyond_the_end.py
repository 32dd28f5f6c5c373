import math

import numpy as np
import pytest

from progeo_core.localization.beyond_the_end import BeyondTheEnd
from progeo_core.localization.ranking import Query
from test.progeo_core.localization.conftest import CountingVerifier, random_descriptors

NOTHING = np.zeros(64, np.float32)
QUERY = Query(0, "", NOTHING, NOTHING, np.arange(20), None)


@pytest.fixture
def log_odds(prepare):
    """Return a function of a row, the image's inliers, its magnification and that per place."""
    prepared = prepare(random_descriptors(20))

    def of(row, inliers=200, magnified=0.0, grows=math.nan):
        verifier = CountingVerifier(prepared, {row: inliers})
        verifier.magnified, verifier.grows = magnified, grows
        beyond = BeyondTheEnd(prepared.places.position, 15.0, verifier)
        return beyond.log_odds(QUERY, row)

    return of


def test_the_larger_or_smaller_an_image_shows_the_last_place_the_farther_off_it_is(log_odds):
    ahead = [log_odds(19, magnified=one) for one in (0.0, 0.1, 0.2, 0.3, 0.5)]
    assert ahead[0] == ahead[1] == 0.0
    assert ahead[1:] == sorted(ahead[1:], reverse=True)
    assert ahead[-1] < -5.0
    assert log_odds(0, magnified=-0.5) == ahead[-1]


def test_amid_the_map_nothing_speaks_against_a_place(log_odds):
    assert log_odds(10, inliers=20, magnified=0.5) == 0.0


def test_how_fast_places_grow_tells_how_far_off_an_image_is(log_odds):
    # Places are 10 m apart and 15 m wide.
    slowly, fast = (log_odds(19, magnified=0.3, grows=one) for one in (0.1, 0.4))
    assert slowly < -10.0
    assert fast > -1.0
    # In a street where nothing seems to grow, no trifle is far away.
    assert log_odds(19, magnified=0.02, grows=0.0) == 0.0


def test_an_image_that_shares_less_than_right_ones_do_may_be_of_what_lies_beyond(log_odds):
    few = [log_odds(19, inliers) for inliers in (200, 60, 20)]
    assert few == sorted(few, reverse=True)
    assert few[-1] < -1.0
    # If what it shares is as large as in the place, that speaks for it.
    assert log_odds(19, 60, magnified=math.nan) < few[1]


def test_a_place_without_local_features_tells_nothing(log_odds):
    assert log_odds(19, inliers=math.nan) == 0.0
