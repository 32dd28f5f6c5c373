import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.errors import DataError
from progeo_core.localization.consensus import (
    ConsensusSettings,
    distinct_places,
    dominant_mode,
    estimate_from_belief,
    estimate_pose,
    place_gap,
    presence,
)
from progeo_core.localization.fitted_constants import SingleImageConstants
from progeo_core.localization.place_filter import Belief
from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE

SETTINGS = ConsensusSettings(place_radius_m=2.5)


def line(*x_m: float) -> np.ndarray:
    return np.array([[x, 0.0, 0.0] for x in x_m])


def estimate(similarity, position, yaw_rad=None, **options):
    yaw = np.full(len(similarity), np.nan) if yaw_rad is None else np.asarray(yaw_rad)
    return estimate_pose(np.asarray(similarity), position, yaw, SETTINGS, **options)


def test_position_stays_with_the_dominant_place_and_ignores_the_other():
    # Two neighbours outweigh one slightly better match far away; their mean would be off the map.
    found = estimate([0.50, 0.49, 0.49], line(100.0, 0.0, 1.0))
    np.testing.assert_allclose(found.position, [0.5, 0.0, 0.0], atol=0.05)


def test_rival_nearby_widens_the_covariance_in_its_direction():
    alone = estimate([0.6, 0.1], line(0.0, 4.0))
    rivalled = estimate([0.6, 0.59], line(0.0, 4.0))
    assert math.sqrt(rivalled.covariance[0, 0]) > 2.0
    assert math.sqrt(alone.covariance[0, 0]) < 1.0
    assert rivalled.covariance[1, 1] == pytest.approx(alone.covariance[1, 1])


def test_rival_elsewhere_lowers_the_confidence_and_leaves_the_covariance():
    alone = estimate([0.6, 0.1], line(0.0, 40.0))
    rivalled = estimate([0.6, 0.59], line(0.0, 40.0))
    assert rivalled.confidence < 0.7 < alone.confidence
    np.testing.assert_allclose(rivalled.covariance, alone.covariance)


def test_answer_that_is_probably_wrong_has_the_spread_of_all_matches():
    found = estimate([0.6, 0.6], line(0.0, 40.0))
    assert found.confidence < 0.5
    assert math.sqrt(found.covariance[0, 0]) > 10.0


def test_distinct_places_are_numbered_from_the_heaviest_and_limited():
    weight = np.array([0.1, 0.3, 0.2, 0.4])
    place = distinct_places(weight, line(50.0, 20.0, 21.0, 0.0), 2.5, 2)
    assert place.tolist() == [-1, 1, 1, 0]


def test_covariance_never_promises_more_than_the_floor_or_the_map_can_hold():
    fine = estimate([0.9], line(3.0)).covariance
    coarse = estimate([0.9], line(3.0), resolution_m=6.0).covariance
    assert fine[0, 0] == pytest.approx(SETTINGS.position_floor_m**2)
    assert coarse[0, 0] >= (6.0 / math.sqrt(12.0)) ** 2


def test_axes_that_no_match_observes_have_huge_variance():
    found = estimate([0.9], line(0.0))
    assert math.isnan(found.yaw_rad)
    assert (np.diag(found.covariance)[3:] == UNOBSERVED_VARIANCE).all()
    assert (np.diag(found.covariance) > 0.0).all()


def test_yaw_is_averaged_on_the_circle_over_those_that_know_it():
    found = estimate(
        [0.9, 0.9, 0.9], line(0.0, 0.5, 1.0), [math.pi - 0.1, -math.pi + 0.1, math.nan]
    )
    assert abs(found.yaw_rad) == pytest.approx(math.pi)
    assert found.covariance[5, 5] == pytest.approx(0.1**2 + SETTINGS.yaw_floor_rad**2, rel=0.05)


def test_opposite_headings_give_no_yaw():
    found = estimate([0.9, 0.9], line(0.0, 0.5), [0.0, math.pi])
    assert math.isnan(found.yaw_rad)
    assert found.covariance[5, 5] == UNOBSERVED_VARIANCE


def test_confidence_rises_with_the_gap_to_the_best_other_place():
    gaps = [0.6, 0.5, 0.3, 0.0]
    confidences = [estimate([0.6, other], line(0.0, 40.0)).confidence for other in gaps]
    assert confidences == sorted(confidences)
    assert confidences[0] < 0.5
    assert confidences[-1] > 0.9


def test_neighbours_of_the_best_place_are_no_rivals():
    position = line(0.0, 1.0, 40.0)
    assert place_gap(np.array([0.6, 0.59, 0.2]), position, 2.5) == pytest.approx(0.5, abs=1e-3)


def test_one_place_or_one_spot_has_nothing_to_be_told_from():
    assert place_gap(np.array([0.99]), line(0.0), 2.5) == 0.0
    assert place_gap(np.array([0.5, 0.5, 0.5]), line(0.0, 0.0, 0.0), 2.5) == 0.0
    assert estimate([0.99], line(0.0)).confidence < 0.5


def test_chain_of_places_is_not_one_place():
    position = line(*range(20))
    mode = dominant_mode(np.ones(20), position, 2.5)
    assert np.ptp(position[mode][:, 0]) <= 5.0


def test_no_matches_is_an_error():
    with pytest.raises(DataError, match="holds no places"):
        estimate([], np.empty((0, 3)))


def test_image_unlike_every_place_is_not_trusted_however_much_one_stands_out():
    constants = SingleImageConstants()
    faint, clear = (
        estimate([0.35, -0.3], line(0.0, 40.0), on_map=presence(level, constants))
        for level in (0.5, 4.0)
    )
    assert faint.confidence < 0.1
    assert clear.confidence > 0.9


def test_belief_turns_into_its_heaviest_place_with_its_probability():
    found = followed(log_odds=[0.0, 0.0, 0.0])
    assert found.confidence == pytest.approx(0.8)
    assert found.position[0] == pytest.approx(0.375)


def test_covariance_of_a_belief_holds_where_its_last_image_would_put_it():
    agreeing, elsewhere = followed([0.0, 0.0, 0.0]), followed([0.0, 0.0, 9.0])
    beside = followed([-30.0, 0.0, 0.0])
    np.testing.assert_array_equal(beside.position, agreeing.position)
    gained = beside.covariance[0, 0] - agreeing.covariance[0, 0]
    # By itself, the image would have the robot at 1 m, or else halfway; belief has it at 0.375 m.
    assert gained == pytest.approx((1.0 - 0.375) ** 2 - (0.5 - 0.375) ** 2)
    assert beside.covariance[1, 1] == agreeing.covariance[1, 1]
    # That it looks like another place lowers no more than the confidence.
    np.testing.assert_array_equal(elsewhere.covariance, agreeing.covariance)


def followed(log_odds):
    """Return the pose of a belief in places at 0 m, 1 m and 50 m."""
    belief = Belief(
        np.arange(3),
        np.array([0.5, 0.3, 0.1]),
        line(0.0, 1.0, 50.0),
        np.zeros(3),
        np.array(log_odds),
        off_map=0.1,
    )
    return estimate_from_belief(belief, np.full(3, np.nan), SETTINGS, 1.0)


@given(
    st.lists(
        st.tuples(st.floats(-1.0, 1.0), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
        min_size=1,
        max_size=30,
    )
)
def test_any_matches_give_a_usable_pose(matches):
    similarity, x_m, y_m = np.array(matches).T
    found = estimate(similarity, np.stack([x_m, y_m, 0.0 * x_m], axis=-1))
    assert np.isfinite(found.position).all()
    assert np.linalg.eigvalsh(found.covariance).min() > 0.0
    assert 0.0 <= found.confidence <= 1.0


def test_a_map_of_places_kilometres_apart_has_a_radius() -> None:
    assert SETTINGS.widened(20_000.0).place_radius_m == 30_000.0


def test_places_denser_than_views_are_not_told_apart() -> None:
    assert SETTINGS.told_apart_m(0.1) == pytest.approx(0.5)
    assert SETTINGS.told_apart_m(1.0) == 1.0
