import numpy as np
import torch

from progeo_core.inference.xfeat_keypoints import _peaks, find_keypoints


def test_peaks_are_the_highest_around_them_and_off_the_border():
    heat = torch.zeros(16, 20)
    heat[1, 5] = heat[8, 9] = 0.9
    heat[8, 11] = heat[9, 8] = 0.8
    heat[4, 15] = 0.04
    heat[12, 17] = 0.06
    assert _peaks(heat).nonzero().tolist() == [[8, 9], [12, 17]]


def test_keypoints_come_by_their_trusted_heat_between_pixels_with_what_the_map_says_there():
    heat = torch.zeros(32, 40)
    heat[8, 8], heat[8, 9], heat[16, 24] = 0.8, 0.4, 0.9
    reliability = torch.ones(1, 4, 5)
    reliability[:, 2, 3:] = 0.1
    features = torch.arange(20.0).reshape(1, 4, 5).repeat(64, 1, 1)
    found = find_keypoints(features, heat, reliability, 8)
    assert found.shape == (2, 66)
    np.testing.assert_allclose(found[:, :2], [[8.0 + 1.0 / 6.0, 8.0], [24.0, 16.0]], atol=1e-6)
    assert found[0, 2] < found[1, 2]
    assert len(find_keypoints(features, heat, reliability, 1)) == 1
    assert len(find_keypoints(features, 0.0 * heat, reliability, 8)) == 0
