import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.verification.rotation_averaging import averaged_rotations, world_rotation
from progeo_core.verification.view_pairs import ViewPair
from test.rough_scene import VIEWS, cameras

# Rows of features that fit, of a right pair and of a wrong one.
MANY, FEW = np.arange(60), np.arange(25)
POSES = cameras()
TRUE = np.stack([pose.rotation for pose in POSES])
POSITION = np.stack([pose.position for pose in POSES])


def pairs(wrong: float = 0.0) -> list[ViewPair]:
    """Return all pairs, their turns off by half a degree; a share, of few matches, by anything."""
    random = np.random.default_rng(0)
    made = []
    for first in range(VIEWS):
        for second in range(first + 1, VIEWS):
            off, rows = Rotation.from_rotvec(random.normal(0.0, np.radians(0.5), 3)), MANY
            if random.uniform() < wrong:
                off, rows = Rotation.random(rng=random), FEW
            turn = TRUE[first].T @ TRUE[second] @ off.as_matrix()
            away = TRUE[first].T @ (POSITION[second] - POSITION[first])
            direction = away / np.linalg.norm(away)
            made.append(ViewPair((first, second), turn, direction, (rows, rows), 0.1))
    return made


def test_wrong_pairs_are_outvoted() -> None:
    given = pairs(wrong=0.25)
    averaged = averaged_rotations(VIEWS, given)
    assert set(averaged.group) == {0}
    world = TRUE[0] @ averaged.rotation[0].T
    off = Rotation.from_matrix((world @ averaged.rotation).transpose(0, 2, 1) @ TRUE)
    assert off.magnitude().max() < np.radians(1.5)
    assert np.mean(averaged.error_rad > np.radians(5.0)) == pytest.approx(0.25, abs=0.06)


def test_views_that_no_pair_joins_are_in_groups_of_their_own() -> None:
    given = [one for one in pairs() if (one.views[0] < 9) == (one.views[1] < 9)]
    group = averaged_rotations(VIEWS, given).group
    assert len(set(group[:9])) == len(set(group[9:])) == 1
    assert group[0] != group[9]


def test_positions_and_level_cameras_turn_the_scene_upright() -> None:
    world = Rotation.from_rotvec([0.4, -1.2, 2.0]).as_matrix()
    rough = POSITION + np.random.default_rng(1).normal(0.0, 0.1, POSITION.shape)
    found = world_rotation(world.T @ TRUE, pairs(), rough, 0.1)
    assert found is not None
    assert Rotation.from_matrix(found.T @ world).magnitude() < np.radians(2.0)
    # Positions so uncertain tell no direction.
    assert world_rotation(world.T @ TRUE, pairs(), rough, 5.0) is None
