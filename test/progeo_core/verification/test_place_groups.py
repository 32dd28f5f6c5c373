import itertools

import numpy as np
import pytest

from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.transform import Transform, level_quaternion
from progeo_core.verification.landmark_check import Sighting
from progeo_core.verification.place_groups import contradictions

AHEAD = np.array([0.0, 0.0, 0.0, 1.0])
MOVES = {"still": Transform(np.zeros(3), AHEAD), "five": Transform(np.array([5.0, 0, 0]), AHEAD)}
# Also turned by 20 degrees about the origin.
MOVES["turned"] = Transform(np.array([5.0, 0, 0]), level_quaternion(0.35))


def drive(moves, reach=2, px=3.0):
    """Return the poses of a drive whose places were moved, and what they see of each other."""
    true = [CameraPose(np.array([0.5 * n, 0.0, 0.0]), AHEAD) for n in range(len(moves))]
    poses = [
        CameraPose(*MOVES[move].then(Transform(*one)))
        for move, one in zip(moves, true, strict=True)
    ]
    sightings = {}
    for first, second in itertools.permutations(range(len(moves)), 2):
        if abs(first - second) <= reach:
            seen = CameraPose(*MOVES[moves[first]].then(Transform(*true[second])))
            error_px = px if moves[first] == moves[second] else 300.0
            sightings[first, second] = Sighting(poses[second], 0.9, seen, error_px)
    return dict(enumerate(poses)), sightings


@pytest.mark.parametrize("move", ["five", "turned"])
def test_places_that_were_moved_together_are_refused(move):
    moves = ["still"] * 8 + [move] * 5 + ["still"] * 7
    (found,) = contradictions(*drive(moves))
    # What is before and after them is one group, though no place sees from one to the other.
    assert found.sizes == (15, 5)
    assert found.refused == (8, 9, 10, 11, 12)
    assert found.is_clear
    if move == "five":
        assert str(found) == "groups of 15 and 5 places contradict each other by 5.00 m"


def test_of_groups_that_are_about_as_large_none_stands():
    (found,) = contradictions(*drive(["still"] * 9 + ["five"] * 6))
    assert found.sizes == (9, 6)
    assert found.refused == tuple(range(15))
    assert not found.is_clear


def test_several_groups_contradict_the_largest_one():
    moves = ["five"] * 3 + ["still"] * 12 + ["turned"] * 4
    (found,) = contradictions(*drive(moves))
    assert found.sizes == (12, 4, 3)
    assert found.refused == (0, 1, 2, 15, 16, 17, 18)
    assert str(found).startswith("groups of 12, 4 and 3 places")


def test_many_groups_are_told_in_few_words():
    poses, sightings = drive(["five", "still"] * 150, reach=1)
    # None of the 300 agrees with another, but those that moved are off by the same.
    (found,) = contradictions(poses, sightings)
    assert found.sizes == (150, 150)
    random = np.random.default_rng(0)
    apart = {
        pair: seen._replace(pose=CameraPose(random.normal(size=3) * 100.0, AHEAD))
        for pair, seen in sightings.items()
    }
    (found,) = contradictions(poses, apart)
    assert sum(found.sizes) == 300
    assert str(found).startswith("groups of ")
    assert " more of up to " in str(found)
    assert len(str(found)) < 100


def test_poses_that_are_all_rough_contradict_nothing():
    assert contradictions(*drive(["still"] * 20, px=40.0)) == []
    assert contradictions({}, {}) == []


def test_one_sighting_alone_contradicts_nothing():
    poses, sightings = drive(["still"] * 8 + ["five"])
    alone = {pair: one for pair, one in sightings.items() if 8 not in pair or pair == (7, 8)}
    assert contradictions(poses, alone) == []
    # Places that are known to agree need not see each other.
    (found,) = contradictions(poses, {(6, 8): sightings[6, 8], (7, 8): sightings[7, 8]}, [(6, 7)])
    assert (found.sizes, found.refused) == ((2, 1), (8,))
