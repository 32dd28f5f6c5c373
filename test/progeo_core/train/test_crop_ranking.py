import numpy as np

from progeo_core.train.crop_ranking import rank_crops

NONE = np.nan


def test_the_nearest_of_all_crops_comes_first_and_each_image_once() -> None:
    found = np.array([[1, 2], [2, 3], [1, 4], [5, -1], [2, 1]] + [[-1, -1]] * 5)
    far = np.array([[3, 9], [4, 5], [2, 8], [6, NONE], [7, 8]] + [[NONE] * 2] * 5, np.float32)
    rows, distances = rank_crops(found, far, voting=False)
    assert rows.tolist() == [[1, 2], [-1, -1]]
    np.testing.assert_array_equal(distances, [[2, 4], [NONE, NONE]])


def test_crops_that_agree_outvote_one_that_is_a_little_nearer() -> None:
    found = np.array([[7, 1], [8, 1], [8, 2], [8, 3], [9, 4]])
    far = np.array([[0.5, 0.9], *[[0.51, 0.9]] * 3, [0.6, 0.9]], np.float32)
    nearest, _ = rank_crops(found, far, voting=False)
    rows, distances = rank_crops(found, far, voting=True)
    assert nearest[0].tolist() == [7, 8]
    # Three first places: the squared distance .2601 loses .01 (3 / 1 + 3 / 5 + 3 / 10).
    assert rows[0].tolist() == [8, 7]
    np.testing.assert_allclose(distances[0], [0.51, 0.5])
    far[:, 0] += [-0.05, 0, 0, 0, 0]
    assert rank_crops(found, far, voting=True)[0][0].tolist() == [7, 8]
