import numpy as np

from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.landmark_check import Sighting
from progeo_core.verification.landmark_judge import LandmarkJudge

AHEAD = np.array([0.0, 0.0, 0.0, 1.0])


def pose(x_m):
    return CameraPose(np.array([x_m, 0.0, 0.0]), AHEAD)


def judged(agreement, scale=1.0, by_depth=True, places=10):
    """Return what is refused of a drive; agreement: with the landmarks of each place."""
    judge = LandmarkJudge()
    for place in range(places):
        others = [n for n in (place - 2, place - 1, place + 1, place + 2) if 0 <= n < places]
        judge.add(
            place,
            pose(place),
            by_depth,
            {
                n: Sighting(pose(n), agreement[place], pose(place + scale * (n - place)), 15.0)
                for n in others
            },
        )
    return judge.refused()


def test_depth_of_another_size_is_refused_everywhere():
    said = "depth is 0.80 times what the poses say"
    assert judged([1.0] * 10, scale=0.8) == dict.fromkeys(range(10), said)
    assert judged([1.0] * 10) == {}
    # Triangulated points are of the size of the poses.
    assert judged([1.0] * 10, scale=0.8, by_depth=False) == {}


def test_places_that_most_others_contradict_are_refused():
    some = [0.1, 1.0, 1.0, 0.2, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    found = judged(some)
    assert sorted(found) == [0, 3, 6]
    assert set(found.values()) == {"most other images contradict them"}
    assert judged(some, by_depth=False) == {}


def test_where_that_is_most_of_the_depth_it_is_all():
    found = judged([0.1] * 6 + [1.0] * 4)
    assert sorted(found) == [*range(10)]
    assert len(set(found.values())) == 1
    assert "most of the depth" in found[9]


def test_a_place_that_is_forgotten_is_refused_no_more():
    judge = LandmarkJudge()
    wrong = {n: Sighting(pose(n), 0.0, None, np.nan) for n in (1, 2)}
    for place in (0, 3, 4):
        judge.add(place, pose(place), True, wrong if place == 0 else {})
    assert [*judge.refused()] == [0]
    judge.forget(0)
    judge.forget(7)
    assert judge.refused() == {}
