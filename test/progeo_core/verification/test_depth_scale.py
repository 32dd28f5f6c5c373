import numpy as np
import pytest

from progeo_core.verification.depth_scale import depth_scale, place_scale


def test_positions_that_err_do_not_change_the_scale():
    random = np.random.default_rng(0)
    places = []
    for _ in range(200):
        given = random.normal(size=(6, 3))
        # Depth that is 1.3 times too large sees the others that much farther away.
        noisy = given + random.normal(scale=0.1, size=(6, 3))
        places.append(place_scale(np.zeros(3), zip(noisy, 1.3 * given, strict=True)))
    found = depth_scale(places)
    assert found.factor == pytest.approx(1.3, rel=0.03)
    assert found.fault == f"depth is {found.factor:.2f} times what the poses say"


def test_nothing_is_said_of_a_few_places_of_right_depth_or_of_scatter():
    assert depth_scale([]).fault == ""
    assert depth_scale([np.nan] * 9 + [2.0]).fault == ""
    assert depth_scale([1.06] * 50).fault == ""
    assert depth_scale([1.1] * 50).fault != ""
    assert depth_scale([0.8, 0.9, 1.0, 1.1, 1.3, 1.6, 1.9]).fault == ""


def test_cameras_at_one_point_tell_no_scale():
    here = np.ones(3)
    assert np.isnan(place_scale(here, [(here + 0.01, here + 0.02)]))
    assert np.isnan(place_scale(here, []))
    # Landmarks that see others on the other side are of no size.
    assert np.isnan(place_scale(here, [(here + 1.0, here - 1.0)]))
