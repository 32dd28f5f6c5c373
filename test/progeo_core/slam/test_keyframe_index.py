import numpy as np
import pytest

from progeo_core.slam.keyframe_index import KeyframeIndex
from progeo_core.slam.keyframes import Keyframe


def keyframe(number: int) -> Keyframe:
    return Keyframe(number, number + 1, np.array([float(number), 0.0, 0.0]), 0, True, float(number))


@pytest.fixture
def memory(unit_vectors) -> KeyframeIndex:
    filled = KeyframeIndex(8)
    for number, vector in enumerate(unit_vectors(600)):
        filled.add(keyframe(number), vector)
    return filled


def test_a_keyframe_is_found_at_once(memory: KeyframeIndex, unit_vectors) -> None:
    fresh = unit_vectors(1, seed=5)[0]
    memory.add(keyframe(600), fresh)
    found = memory.search(fresh, 3, np.ones(601, bool))
    assert found.numbers[0] == 600
    assert found.similarity[0] > 0.9
    assert (np.diff(found.similarity) <= 0).all()


def test_only_what_is_allowed_is_found(memory: KeyframeIndex, unit_vectors) -> None:
    allowed = np.zeros(300, bool)
    allowed[[3, 7]] = True
    found = memory.search(unit_vectors(600)[100], 10, allowed)
    assert sorted(found.numbers.tolist()) == [3, 7]
    assert not len(memory.search(unit_vectors(1)[0], 10, np.zeros(10, bool)).numbers)


def test_the_table_grows_with_the_keyframes(memory: KeyframeIndex) -> None:
    assert memory.table.path_length_m.tolist() == list(range(600))
    assert memory.table.pose.shape == (600, 3)


def test_a_long_drive_finds_what_comparing_everything_finds(unit_vectors) -> None:
    count, dimension = 9000, 64
    places = unit_vectors(2000, dimension=dimension)
    noise = unit_vectors(count, seed=1, dimension=dimension)
    views = places[np.arange(count) % 2000] + 0.5 * noise
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    index = KeyframeIndex(dimension)
    for number, view in enumerate(views):
        index.add(keyframe(number), view)
    allowed = np.ones(count - 100, bool)
    allowed[::3] = False
    nearest = []
    for view in views[-100:]:
        found = index.search(view, 3, allowed)
        assert allowed[found.numbers].all()
        cosine = np.where(allowed, views[: len(allowed)] @ view, -1.0)
        nearest.append(np.argmax(cosine) in found.numbers)
    assert np.mean(nearest) > 0.95
