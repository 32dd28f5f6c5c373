import numpy as np
import pytest

from progeo_core.slam.keyframes import KeyframeSelector


@pytest.fixture
def vectors(unit_vectors):
    return unit_vectors(50)


def at(x: float, yaw: float = 0.0) -> np.ndarray:
    return np.array([x, 0.0, yaw])


def test_distance_and_turn_make_keyframes(vectors) -> None:
    selector = KeyframeSelector()
    assert selector.take(at(0.0), 0, vectors[0])
    assert not selector.take(at(0.2), 0, vectors[1])
    assert selector.take(at(1.1), 0, vectors[2])
    assert not selector.take(at(1.1, 0.08), 0, vectors[3])
    assert selector.take(at(1.1, 0.4), 0, vectors[4])


def test_a_new_view_makes_a_keyframe_early_but_not_where_the_robot_stands(vectors) -> None:
    selector = KeyframeSelector()
    near = vectors[0] + 0.05 * vectors[1]
    near /= np.linalg.norm(near)
    selector.take(at(0.0), 0, vectors[0])
    assert selector.take(at(1.0), 0, near)
    assert not selector.take(at(1.1), 0, vectors[5]), "someone walked past"
    assert selector.take(at(1.4), 0, vectors[5])


def test_an_odometry_that_restarts_is_no_distance(vectors) -> None:
    selector = KeyframeSelector()
    selector.take(at(50.0), 0, vectors[0])
    assert selector.take(at(0.0), 1, vectors[1])
    assert not selector.take(at(0.1), 1, vectors[2])


def test_a_frozen_camera_gives_no_keyframes(vectors) -> None:
    selector = KeyframeSelector()
    taken = [selector.take(at(float(x)), 0, vectors[0]) for x in range(5)]
    assert taken == [True, False, False, False, False]


def test_without_odometry_every_other_image_counts(vectors) -> None:
    selector = KeyframeSelector()
    assert [selector.take(None, 0, v) for v in vectors[[0, 0, 1]]] == [True, False, True]
