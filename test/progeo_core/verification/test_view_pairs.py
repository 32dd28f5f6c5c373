import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.verification.view_pairs import _partners, view_pairs
from test.rough_scene import VIEWS, cameras, rough_views


@pytest.fixture(scope="module")
def compared() -> list[int]:
    return []


@pytest.fixture(scope="module")
def pairs(compared: list[int]):
    return view_pairs(rough_views(0.1), compared.append)


def test_pairs_tell_how_their_cameras_are_turned_and_where_they_are(pairs, compared) -> None:
    poses = cameras()
    assert sum(compared) == VIEWS
    assert len(pairs) == VIEWS * (VIEWS - 1) // 2
    for pair in pairs:
        first, second = (poses[row] for row in pair.views)
        turn = first.rotation.T @ second.rotation
        assert Rotation.from_matrix(turn.T @ pair.rotation).magnitude() < np.radians(2.0)
        away = first.rotation.T @ (second.position - first.position)
        assert pair.direction @ away > 0.95 * np.linalg.norm(away)
        assert pair.matches > 100
    near, far = (one for one in pairs if one.views in {(0, 1), (0, VIEWS - 1)})
    assert near.parallax_rad < 0.2 < far.parallax_rad


def test_views_are_compared_with_the_next_ones_and_those_nearby_once() -> None:
    line = np.column_stack([np.arange(60.0), np.zeros(60), np.zeros(60)])
    line[59] = line[0]  # The last one comes back to the first.
    found = [(row, other) for row, others in enumerate(_partners(line)) for other in others]
    assert len(found) == len(set(found))
    assert {(0, 5), (20, 28), (0, 59)} <= set(found)
    assert (0, 40) not in found
