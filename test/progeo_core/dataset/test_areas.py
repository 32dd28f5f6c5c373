import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progeo_core.dataset.areas import Area, split_by_area

CELL_M = 10.0
FRACTIONS = {Area.TEST: 0.2, Area.VALIDATION: 0.15}


def drive(count, seed=0):
    """Return positions every few metres along a way that wanders and crosses itself."""
    random = np.random.default_rng(seed)
    heading = np.cumsum(random.normal(0.0, 0.15, count))
    steps = 3.0 * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    return np.cumsum(steps, axis=0)


def nearest_m(one, other):
    return np.linalg.norm(one[:, None] - other, axis=-1).min()


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([3.0, 10.0, 25.0]), st.integers(200, 600))
def test_areas_are_a_cell_apart(seed, cell_m, count):
    position = drive(count, seed)
    area = split_by_area(position, np.zeros(count, np.int64), cell_m, FRACTIONS, seed)
    parts = [position[area == name] for name in (Area.TRAIN, Area.VALIDATION, Area.TEST)]
    assert all(len(part) for part in parts[1:])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        if len(parts[one]):
            assert nearest_m(parts[one], parts[other]) > cell_m


def test_areas_have_about_their_fraction():
    position = drive(5000)
    area = split_by_area(position, np.zeros(5000, np.int64), CELL_M, FRACTIONS, 0)
    for name, fraction in FRACTIONS.items():
        assert np.mean(area == name) == pytest.approx(fraction, abs=0.01)
    assert np.mean(area == Area.TRAIN) > 0.55


def test_the_seed_decides_and_the_order_of_images_does_not():
    position, passes = drive(2000), np.zeros(2000, np.int64)
    area = split_by_area(position, passes, CELL_M, FRACTIONS, 1)
    np.testing.assert_array_equal(split_by_area(position, passes, CELL_M, FRACTIONS, 1), area)
    assert (split_by_area(position, passes, CELL_M, FRACTIONS, 2) != area).any()
    order = np.random.default_rng(3).permutation(2000)
    shuffled = split_by_area(position[order], passes, CELL_M, FRACTIONS, 1)
    np.testing.assert_array_equal(shuffled, area[order])


def test_places_that_were_passed_twice_are_held_out_first():
    """Only the last quarter of the line was driven again."""
    line = np.stack([np.arange(400.0), np.zeros(400)], axis=-1)
    position = np.concatenate([line, line[300:]])
    passes = np.repeat([0, 1], [400, 100])
    for seed in range(5):
        area = split_by_area(position, passes, CELL_M, {Area.TEST: 0.1}, seed)
        # At most one cell of the patch was passed once.
        assert position[area == Area.TEST, 0].min() >= 300 - CELL_M


def test_no_fraction_takes_nothing():
    fractions = {Area.TEST: 0.0, Area.VALIDATION: 0.2}
    area = split_by_area(drive(500), np.zeros(500, np.int64), CELL_M, fractions, 0)
    assert not (area == Area.TEST).any()
    assert (area == Area.VALIDATION).any()


def test_heights_do_not_tell_places_apart():
    position = np.concatenate([drive(500), drive(500)])
    position = np.column_stack([position, np.repeat([0.0, 40.0], 500)])
    area = split_by_area(position, np.zeros(1000, np.int64), CELL_M, FRACTIONS, 0)
    np.testing.assert_array_equal(area[:500], area[500:])
