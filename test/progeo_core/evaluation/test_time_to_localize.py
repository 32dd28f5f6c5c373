import math

import numpy as np
import pytest

from progeo_core.evaluation.time_to_localize import measure_time_to_localize

SECOND = 1_000_000_000


def drive(*x_m):
    return np.array([[x, 0.0, 0.0] for x in x_m])


def measure(truth, found, localizable=None, stamped=True):
    count = len(truth)
    everywhere = np.ones(count, bool) if localizable is None else np.array(localizable, bool)
    stamps = (1 + np.arange(count)) * SECOND // 2 * stamped
    return measure_time_to_localize(truth, everywhere, np.array(found, bool), stamps, 2.5)


def test_start_and_each_jump_count_until_the_first_right_accepted_answer():
    truth = drive(0, 1, 2, 3, 4, 90, 91, 92, 93, 94)
    result = measure(truth, [0, 1, 1, 1, 1, 0, 0, 0, 1, 1])
    np.testing.assert_allclose(result.images, [2, 4])
    np.testing.assert_allclose(result.seconds, [0.5, 1.5])
    assert result.to_json()["images"] == {"median": 3.0, "max": 4.0}


def test_start_that_is_never_found_counts_as_a_start():
    truth = drive(0, 1, 2, 3, 60, 61, 62, 63)
    result = measure(truth, [1, 1, 1, 1, 0, 0, 0, 0])
    assert math.isnan(result.images[1])
    assert result.to_json()["starts"] == 2
    assert result.to_json()["found"] == 1
    assert measure(truth, [0] * 8).to_json()["images"] == {"median": None, "max": None}


def test_images_off_the_map_do_not_count_nor_do_drives_that_never_meet_it():
    truth = drive(0, 1, 2, 3, 60, 61, 62, 63)
    result = measure(truth, [0, 0, 0, 1, 0, 0, 0, 0], localizable=[0, 0, 1, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(result.images, [2])


def test_long_even_steps_are_no_jumps_and_unknown_stamps_give_no_seconds():
    result = measure(drive(*range(0, 100, 10)), [0, 0, 1, *[0] * 7], stamped=False)
    np.testing.assert_allclose(result.images, [3])
    assert np.isnan(result.seconds).all()


@pytest.mark.parametrize("count", [1, 2])
def test_shortest_drives(count):
    assert measure(drive(*range(count)), [1] * count).images.tolist() == [1.0]
