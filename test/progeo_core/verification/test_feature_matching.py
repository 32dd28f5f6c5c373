import numpy as np

from progeo_core.verification.feature_matching import mutual_matches

AXES = np.eye(4, 64, dtype=np.float32)


def test_each_finds_its_counterpart_and_unrelated_ones_find_none():
    other = np.eye(64, dtype=np.float32)[[9, 2, 0]]
    found = mutual_matches(AXES, other)
    assert found.first.tolist() == [0, 2]
    assert found.second.tolist() == [2, 1]


def test_a_match_must_be_the_best_on_both_sides():
    near = AXES[[0]] + 0.3 * AXES[[1]]
    near /= np.linalg.norm(near)
    found = mutual_matches(np.concatenate([AXES[:1], near]), AXES[:1])
    assert found.first.tolist() == [0]


def test_no_features_have_no_matches():
    nothing = np.empty((0, 64), np.float32)
    assert not len(mutual_matches(nothing, AXES).first)
    assert not len(mutual_matches(AXES, nothing).second)
