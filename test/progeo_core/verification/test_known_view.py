import numpy as np
import pytest

from progeo_core.verification.known_view import known_view, match_views
from test.known_views import camera, make_scene, moved
from test.place_views import make_view


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def test_matches_are_those_of_the_same_points(scene):
    matches = match_views(camera(scene, [0, 0, 0], 0, 0.5), camera(scene, [1, 0, 0.5], 8, 0.5, 1))
    assert matches.first.tolist() == matches.second.tolist()
    assert len(matches.first) > 190
    assert matches.agreement > 0.95
    assert not matches.contradict


def test_wrong_poses_are_seen(scene):
    view = camera(scene, [0, 0, 0], 0, 0.5)
    matches = match_views(view, moved(camera(scene, [1, 0, 0.5], 8, 0.5, 1), [0, 4, 1]))
    assert matches.agreement < 0.2
    assert matches.contradict
    # Too few matches tell nothing.
    few = view._replace(rays=view.rays[:10], descriptors=view.descriptors[:10])
    assert np.isnan(match_views(few, view).agreement)
    assert not match_views(few, view).contradict


def test_images_that_show_nothing_in_common_do_not_contradict_their_poses(scene):
    view = camera(scene, [0, 0, 0], 0, 0.5)
    rng = np.random.default_rng(0)
    strange = view._replace(rays=rng.uniform(-0.4, 0.4, (80, 2)), descriptors=view.descriptors[:80])
    matches = match_views(view, moved(strange, [1, 0, 0.5]))
    assert not len(matches.first)
    assert np.isnan(matches.agreement)
    assert not matches.contradict


def test_an_image_without_features_matches_nothing(scene):
    view = camera(scene, [0, 0, 0], 0, 0.5)
    black = view._replace(rays=view.rays[:0], descriptors=view.descriptors[:0])
    for first, second in ((view, black), (black, view)):
        matches = match_views(first, second)
        assert not len(matches.first)
        assert not matches.contradict


def test_a_place_whose_camera_is_not_known_is_of_no_use():
    view = make_view(np.zeros(3))
    assert known_view(view) is not None
    for lacking in (
        view._replace(pose=None),
        view._replace(pose=view.pose._replace(orientation=np.full(4, np.nan))),
        view._replace(intrinsics=None),
        view._replace(features=None),
        view._replace(features=view.features._replace(size=(480, 480))),
    ):
        assert known_view(lacking) is None
