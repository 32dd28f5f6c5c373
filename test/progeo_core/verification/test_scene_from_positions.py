import numpy as np
import pytest

from progeo_core.verification.scene_from_positions import scenes_from_positions
from progeo_core.verification.view_pairs import view_pairs
from test.rough_scene import VIEWS, cameras, degrees_apart, rough_views


@pytest.mark.slow
def test_a_scene_is_nearer_than_the_positions_it_was_made_from() -> None:
    views, true = rough_views(0.1), cameras()
    (scene,) = scenes_from_positions(views, view_pairs(views))
    assert sorted(scene) == list(range(VIEWS))
    off, rough = (
        [np.linalg.norm(at - true[row].position) for row, at in positions]
        for positions in (
            [(row, pose.position) for row, pose in scene.items()],
            [(row, view.position) for row, view in enumerate(views)],
        )
    )
    assert np.median(off) < 0.6 * np.median(rough)
    assert max(degrees_apart(pose, true[row]) for row, pose in scene.items()) < 2.0


def test_views_without_pairs_are_in_no_scene() -> None:
    assert scenes_from_positions(rough_views(0.1), []) == []
