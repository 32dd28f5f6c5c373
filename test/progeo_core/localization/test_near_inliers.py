import time

import numpy as np

from progeo_core.localization.near_inliers import compare_near

LINE = np.arange(9)[:, None] * [1.0, 0.0, 0.0]


class Counter:
    """Inliers of images, and which were compared."""

    def __init__(self, inliers):
        self.inliers, self.compared = inliers, []

    def __call__(self, image):
        self.compared.append(image)
        return float(self.inliers[image])


def known(*pairs):
    inliers = np.full(9, np.nan)
    for image, count in pairs:
        inliers[image] = count
    return inliers


def compare(weight, inliers, counter, finish=np.inf):
    peak = compare_near(np.array(weight, float), LINE, inliers, counter, 4.0, 15.0, finish)
    expected = np.nan_to_num(4.0 * np.log((peak.inliers + 15.0) / (peak.inliers.max() + 15.0)))
    np.testing.assert_allclose(peak.log_odds, expected, atol=1e-12)
    return peak.inliers


def test_the_most_probable_images_are_compared_until_the_peak_is_clear():
    counter = Counter([10, 20, 40, 80, 120, 80, 40, 20, 10])
    found = compare([1, 1, 1, 2, 1.5, 1.2, 1, 1, 1], known((2, 40.0)), counter)
    assert counter.compared == [3, 4, 5]
    assert found.tolist() == [40, 40, 40, 80, 120, 80, 80, 80, 80]


def test_at_most_five_are_compared_and_improbable_ones_never():
    counter = Counter(np.full(9, 50))
    compare(np.ones(9), known((0, 50.0)), counter)
    assert counter.compared == [1, 2, 3, 4, 5]
    counter = Counter(np.full(9, 50))
    compare([1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.0], known((0, 50.0)), counter)
    assert not counter.compared


def test_nothing_is_compared_without_time_or_where_nothing_can_be():
    counter = Counter(np.full(9, 50))
    late = compare(np.ones(9), known((0, 50.0)), counter, time.monotonic())
    assert late.tolist() == [50.0] * 9
    assert np.isnan(compare(np.ones(9), known(), counter)).all()
    assert not counter.compared


def test_an_image_without_features_is_as_the_nearest_one_with_some():
    found = compare(np.ones(9), known((0, 50.0)), Counter([0, np.nan, 60, *[50] * 6]))
    assert found[:4].tolist() == [50.0, 50.0, 60.0, 50.0]
