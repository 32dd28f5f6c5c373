"""A robot drives on as it did: ahead, backward, aside, at its pace."""

import math

import numpy as np
import pytest

from progeo_core.localization.learned_motion import (
    LearnedMotion,
    chance_of_longer_step,
    likelihood_of_steps,
)
from progeo_core.localization.place_filter import PlaceFilter

LINE = np.column_stack([np.arange(100.0), np.zeros(100), np.zeros(100)])


def learned(velocity: list[float], yaw_rad: float, images: int = 20) -> LearnedMotion:
    motion = LearnedMotion()
    for _ in range(images):
        motion.learn(np.array([0.9]), np.array([velocity]), np.array([yaw_rad]))
    return motion


@pytest.mark.parametrize(
    ("velocity", "ahead"),
    [([0.0, 2.0, 0.0], 2.0), ([0.0, -2.0, 0.0], -2.0), ([2.0, 0.0, 0.0], 0.0)],
)
def test_motion_is_told_in_the_frame_of_the_places(velocity: list[float], ahead: float) -> None:
    motion = learned(velocity, math.pi / 2.0)
    assert motion.speed == pytest.approx(2.0)
    assert motion.mean[0] == pytest.approx(ahead, abs=0.01)
    assert motion.known > 0.9
    # Another place looks west: the same motion leads another way there.
    x, y = -motion.mean
    steps = np.array([[x, y, 0.0], [-x, -y, 0.0], [0.0, 0.0, 0.0]])
    weight, share = motion.weigh(steps, np.full(3, math.pi), 1.0, 1.0)
    assert weight[0] > 100.0 * weight[1:].max()
    assert share == pytest.approx(0.8)


def test_without_directions_the_pace_alone_counts() -> None:
    motion = learned([2.0, 0.0, 0.0], math.nan)
    steps = np.array([[4.0, 0.0, 0.0], [0.0, -4.0, 0.0], [0.5, 0.0, 0.0], [9.0, 0.0, 0.0]])
    weight, _ = motion.weigh(steps, np.full(4, math.nan), 2.0, 1.0)
    assert weight[0] == weight[1] == pytest.approx(1.0)
    assert weight[2:].max() < 0.5


def test_a_steady_robot_drives_hardly_farther_than_it_did() -> None:
    reach_m, share = learned([2.0, 0.0, 0.0], 0.0, images=60).reach(3.0)
    assert 6.0 <= reach_m < 7.0
    assert share == pytest.approx(0.8)


def test_nothing_is_learned_from_nothing() -> None:
    motion = LearnedMotion()
    motion.learn(np.empty(0), np.empty((0, 3)), np.empty(0))
    motion.learn(np.zeros(1), np.ones((1, 3)), np.zeros(1))
    _, share = motion.weigh(np.ones((1, 3)), np.zeros(1), 1.0, 1.0)
    assert share == motion.known == 0.0


@pytest.mark.parametrize("pace", [1, -1, 3])
def test_who_is_carried_off_is_found_where_the_images_go_the_way_that_it_drove(pace: int) -> None:
    """Each image then fits two places, of which one goes ahead and the other back."""

    def found(yaw_rad: float, elapsed_s: float | None = 1.0) -> float:
        place_filter = PlaceFilter(LINE, 1.0, yaw_rad=np.full(100, yaw_rad))
        before = [[50 + pace * step] for step in range(10)]
        after = [[30 + pace * step, 70 - pace * step] for step in range(5)]
        for image, seen in enumerate([*before, *after]):
            if image == len(before):
                place_filter.doubt(1.0)
            carried = place_filter.predict(elapsed_s)
            rows = np.concatenate([carried, np.setdiff1d(seen, carried)])
            odds = np.where(np.isin(rows, seen), 5.0, -5.0)
            belief = place_filter.update(rows, odds, odds)
        return float(belief.probability[belief.rows == after[-1][0]].sum())

    assert found(0.0) > 0.8
    assert found(math.nan) == pytest.approx(0.5, abs=0.05)
    if abs(pace) == 1:  # without times, no step is longer than the spacing
        assert found(0.0, elapsed_s=None) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("spacing_m", [0.5, 20.0])
def test_chance_of_a_longer_step_is_that_of_all_that_are_longer(spacing_m: float) -> None:
    steps = np.linspace(0.0, 300.0, 300_001)
    likelihood = likelihood_of_steps(steps, spacing_m)
    longer = likelihood[steps > 40.0].sum() / likelihood.sum()
    assert chance_of_longer_step(40.0, 300.0, spacing_m) == pytest.approx(longer, rel=0.01)
    assert chance_of_longer_step(40.0, 30.0, spacing_m) == 0.0


def test_long_steps_are_as_probable_in_each_order_of_magnitude() -> None:
    rest = [chance_of_longer_step(longest_m, 1e6, 1.0) for longest_m in (1e3, 1e4, 1e5, 1e6)]
    np.testing.assert_allclose(np.diff(rest), np.diff(rest)[0], rtol=0.01)


def test_robot_of_unknown_speed_is_rather_near_than_far() -> None:
    place_filter = PlaceFilter(LINE, 1.0)
    for seen in ([30], [31, 42]):
        carried = place_filter.predict(1.0)
        rows = np.concatenate([carried, np.setdiff1d(seen, carried)])
        odds = np.where(np.isin(rows, seen), 5.0, -5.0)
        belief = place_filter.update(rows, odds, odds)
    near, far = (float(belief.probability[belief.rows == row].sum()) for row in seen)
    assert near > 3.0 * far
    # Who jumps is not lost.
    assert far > 0.1
