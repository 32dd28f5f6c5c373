import numpy as np

from progeo_core.slam.pair_consistency import Ends, consistent_pairs, grow_clique


def ends(x: list[float], segment: int = 0, yaw: float = 0.0) -> Ends:
    """Return keyframes on a line in the direction of yaw."""
    along = np.array(x)
    pose = np.column_stack([along * np.cos(yaw), along * np.sin(yaw), np.full(len(x), yaw)])
    return Ends(np.arange(len(x)), pose, np.full(len(x), segment))


def test_drives_along_one_way_agree_whatever_the_frames() -> None:
    agree = consistent_pairs(ends([10, 11, 12]), ends([0, 1, 2], yaw=1.0), 0.5)
    assert (agree == ~np.eye(3, dtype=bool)).all(), "no pair agrees with itself"


def test_drives_of_other_lengths_or_turns_disagree() -> None:
    assert not consistent_pairs(ends([10, 20]), ends([0, 3]), 2.0).any()
    turned = ends([0, 1])
    turned.pose[1, 2] = 1.0
    assert not consistent_pairs(ends([10, 11]), turned, 2.0).any()


def test_poses_of_two_odometries_do_not_compare() -> None:
    match = Ends(np.arange(2), ends([0, 1]).pose, np.array([0, 1]))
    assert not consistent_pairs(ends([10, 11]), match, 2.0).any()


def test_one_image_is_at_one_place() -> None:
    query = Ends(np.array([7, 7]), ends([10, 10]).pose, np.zeros(2, np.int64))
    assert not consistent_pairs(query, ends([0, 1]), 2.0).any()


def test_a_clique_holds_the_seed_and_no_disagreement() -> None:
    agree = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]], bool)
    clique = grow_clique(agree, np.array([1.0, 2.0, 3.0, 9.0]), 0)
    assert clique.tolist() == [0, 2]
    assert grow_clique(agree, np.array([1.0, -2.0, -3.0, 9.0]), 0).tolist() == [0]
