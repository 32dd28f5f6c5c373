import numpy as np
import pytest

from progeo_core.verification.proven_poses import proven_poses
from test.rough_scene import VIEWS, cameras, degrees_apart, rough_views

pytestmark = pytest.mark.slow  # three scenes are solved for each


def test_poses_that_half_of_the_images_find_again_are_kept() -> None:
    true = cameras()
    found = proven_poses(rough_views(0.05))
    assert len(found.poses) > 0.8 * VIEWS
    for row, pose in found.poses.items():
        assert np.linalg.norm(pose.position - true[row].position) < 0.1
        assert degrees_apart(pose, true[row]) < 2.0
    assert found.apart_m < 0.1
    assert found.turn_rad < np.radians(2.0)


def test_positions_that_contradict_the_images_prove_nothing() -> None:
    views = rough_views(0.05)
    random = np.random.default_rng(1)
    views = [view._replace(position=random.uniform(-4.0, 4.0, 3)) for view in views]
    found = proven_poses(views)
    assert not found.poses
    assert np.isnan(found.apart_m)
